"""docs/alerting.md names what exists."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from detectors.incident import DONE, Verdict
from detectors.incident.inhibition import TABLE
from detectors.silence import Silence
from schemas.command import Verb
from schemas.effect import NotifyReason
from schemas.incident import IncidentState
from sinks import words
from sinks.asked import SAYS
from sinks.samples import SAMPLES
from sinks.slack.routes import Route
from streams.commands.incident_silence import SHOWN
from streams.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "alerting.md").read_text(encoding="utf-8")


def test_reasons_settings_and_samples_are_documented() -> None:
    for reason in NotifyReason:
        assert f"`{reason.value}`" in TEXT
    for name in Settings.model_fields:
        if name.startswith(("slack_", "incident_", "group_wait", "fallback_", "trace_url", "digest_")):
            assert f"GLEANER_{name.upper()}" in TEXT
    for name in SAMPLES:
        assert name in TEXT
    for state in IncidentState:
        assert f"| `{state.value}` |" in TEXT
    for verdict in set(Verdict) - DONE:
        if verdict.value in SAYS and verdict is not Verdict.DUPLICATE:
            assert f"`{verdict.value}`" in TEXT
    for verb in Verb:
        assert verb.value.replace("_", "-") in TEXT
    assert words.headline(SAMPLES["faithfulness"]) in TEXT


def test_every_answer_to_why_it_did_not_fire_is_documented() -> None:
    for why in Silence:
        assert f"`{why.value}`" in TEXT
        assert why in SHOWN


def test_routes_are_documented() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    settings = Settings.model_validate(tomllib.loads(example))
    assert [route.channel for route in settings.routes] == ["C0BILLING", "C0SUPPORT"]
    for name in Route.model_fields:
        assert f"\n{name} = " in example
    with pytest.raises(ValidationError, match=r"is a time to a time, such as 09:00-18:00"):
        Route(channel="C01", hours="9-18")


def test_the_table_of_what_is_held_back_is_the_one_that_acts() -> None:
    rows = [line.split("|") for line in TEXT.splitlines() if line.startswith("| `") and line.count("|") == 5]
    documented = {
        cells[1].strip(" `"): (
            cells[2].strip(),
            frozenset(cells[3].replace("`", "").replace(" ", "").split(",")),
        )
        for cells in rows
    }
    assert documented == {signal: (row.direction, row.signals) for signal, row in TABLE.items()}


def test_every_verdict_of_a_command_has_words() -> None:
    assert {verdict.value for verdict in DONE} <= set(SAYS)
    assert set(SAYS) <= {verdict.value for verdict in Verdict}
