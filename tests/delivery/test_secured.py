"""A worker on a real Kafka that speaks TLS and SCRAM: it does what it does on an open one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.settings import Settings
from streams.topics import ensure_topics
from tests.delivery.events import Event
from tests.delivery.harness import Deployment, Outcome
from tests.kafka.server import KafkaServer, free_ports

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
STORE = "not-a-secret"
"""Password of a key store that lives for one test."""


def keytool(folder: Path, *arguments: str) -> None:
    command = ["keytool", *arguments, "-keystore", "server.p12", "-storepass", STORE, "-alias", "broker"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def secured(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The open address of a Kafka of its own, and the settings of a client of its secured one.

    ``kafka`` is not used: it skips where there is none.
    """
    folder = tmp_path_factory.mktemp("secured")
    pair = ["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-dname", "CN=broker", "-validity", "2"]
    keytool(folder, *pair, "-ext", "san=ip:127.0.0.1", "-ext", "bc:c", "-storetype", "PKCS12")
    keytool(folder, "-exportcert", "-rfc", "-file", "ca.pem")
    (port,) = free_ports(1)
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL"
    properties: dict[str, object] = {
        "listener.security.protocol.map": protocols,
        "listener.name.secure.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.secure.scram-sha-512.sasl.jaas.config": login,
        "listener.name.secure.ssl.keystore.location": folder / "server.p12",
        "listener.name.secure.ssl.keystore.password": STORE,
        "listener.name.secure.ssl.keystore.type": "PKCS12",
    }
    with KafkaServer(properties=properties, listener=f"SECURE://127.0.0.1:{port}") as server:
        admin = AdminClient({"bootstrap.servers": server.bootstrap})
        made = UserScramCredentialUpsertion(
            "gleaner", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), b"mirabelle"
        )
        for done in admin.alter_user_scram_credentials([made]).values():
            done.result(30)
        yield (
            server.bootstrap,
            {
                "brokers": f"127.0.0.1:{port}",
                "broker_protocol": "SASL_SSL",
                "broker_ca": str(folder / "ca.pem"),
                "broker_username": "gleaner",
                "broker_password": "mirabelle",
            },
        )


async def test_a_worker_over_tls_and_scram_concludes_what_a_replay_does(
    secured: tuple[str, dict[str, str]], tmp_path: Path, events: list[Event], replayed: Outcome
) -> None:
    open_brokers, settings = secured
    given: dict[str, Any] = {**settings}
    deployment = Deployment(open_brokers, tmp_path)
    created = await ensure_topics(Settings(**(deployment.values | settings)))  # type: ignore[arg-type]
    assert created
    try:
        deployment.publish(events)
        deployment.release()
        deployment.start(**given)
        await deployment.finish(replayed)
    finally:
        deployment.end()


def test_a_wrong_password_is_said_in_a_line_that_does_not_tell_it(
    secured: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    _, settings = secured
    given = {f"GLEANER_{name.upper()}": value for name, value in settings.items()}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "status"],
        cwd=ROOT,
        env=environment | given | {"GLEANER_BROKER_PASSWORD": "plum", "GLEANER_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "invalid credentials with SASL mechanism SCRAM-SHA-512" in said, said
    assert "Traceback" not in said, said
    assert "plum" not in said
