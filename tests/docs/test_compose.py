"""docker-compose.yml hands every setting to a role, and a secret to the one that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from streams.commands.roles import ROLES
from streams.settings import Settings, is_secret

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"
OF_THE_IMAGE = {"state_dir", "store_path", "embedded"}
"""Where a container keeps what it owns is the image's to say; the embedded broker is for trying out."""
EVERYONES = {"broker_password"}


def environments() -> dict[str, dict[str, Any]]:
    services = yaml.safe_load(COMPOSE.read_text())["services"]
    return {name: one["environment"] for name, one in services.items() if name != "kafka"}


def handed_over(environment: dict[str, Any]) -> set[str]:
    return {name.removeprefix("GLEANER_").lower() for name in environment if name.startswith("GLEANER_")}


def test_every_setting_reaches_a_role_and_every_name_is_a_setting() -> None:
    given = set.union(*[handed_over(environment) for environment in environments().values()])
    assert given == set(Settings.model_fields) - OF_THE_IMAGE


def test_a_secret_goes_to_one_role() -> None:
    for name in {name for name in Settings.model_fields if is_secret(name)} - EVERYONES:
        roles = [role for role, environment in environments().items() if name in handed_over(environment)]
        assert len(roles) == 1, (name, roles)


def test_no_secret_is_in_the_file() -> None:
    for environment in environments().values():
        written = {name: value for name, value in environment.items() if value is not None}
        assert set(written) <= {"GLEANER_BROKERS", "GLEANER_PARTITIONS", "GLEANER_REPLICATION", "HOME"}


def test_health_is_of_roles_that_there_are() -> None:
    for service in yaml.safe_load(COMPOSE.read_text())["services"].values():
        command = service.get("healthcheck", {}).get("test", [])
        if command[1:3] == ["gleaner", "health"]:
            assert set(command[3:]) <= set(ROLES)
