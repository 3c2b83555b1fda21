"""What people called no problem, held against what rules would page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detectors.incident import group
from detectors.rules import DEFAULT_RULES
from schemas.lifecycle import LabelRecord
from streams.backtest import Backtested, backtest, policy_with
from streams.cli import app
from streams.disowned import hold, load
from streams.labels import LabelsError
from streams.settings import Settings
from tests.delivery.events import traffic, write
from tests.incident.signals import T0, over_budget


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(traffic(), tmp_path_factory.mktemp("events") / "events.jsonl")


@pytest.fixture(scope="module")
def done(events: Path) -> Backtested:
    return backtest([events], policy_with(Settings(), DEFAULT_RULES))


def label(done: Backtested, rule: str = "escalation_spike", **changed: object) -> LabelRecord:
    """The first incident of a rule, as a person's click would label it."""
    incident, member = next(
        (one, member) for one in done.incidents for member in one.members if member.rule == rule
    )
    made = LabelRecord(
        incident_id="once-1", app=incident.app, environment=incident.environment, route=member.route,
        signal=member.signal, rule=rule, signal_id="s", onset=member.onset, last_at=member.last_at, alarms=1,
        actor="dana", time=member.last_at,
    )  # fmt: skip
    return made.model_copy(update=changed)


def test_a_label_of_a_user_is_of_no_other() -> None:
    (incident,) = group([over_budget("u", "ann", T0)])
    of = LabelRecord(
        incident_id="once-1", app=incident.app, environment=incident.environment, route=incident.route,
        signal=incident.signal, rule=incident.rule, signal_id="s", onset=T0, last_at=T0, alarms=1,
        actor="dana", time=T0,
    )  # fmt: skip
    assert [
        hold([of.model_copy(update={"user": user})], [incident]).again for user in ("ann", "bob", "")
    ] == [["once-1"], [], ["once-1"]]


def test_what_would_come_again_and_what_is_spared(done: Backtested) -> None:
    same = label(done)
    held = hold([same], done.incidents)
    assert (held.again, held.spared) == (["once-1"], [])
    precision = {one.rule: (one.incidents, one.false) for one in held.rules}
    of = sum(any(m.rule == "escalation_spike" for m in one.members) for one in done.incidents)
    assert precision["escalation_spike"] == (of, 1)
    for changed in (
        {"rule": "no_such_rule"},
        {"route": "elsewhere"},
        {"app": "another"},
        {"onset": 0, "last_at": 1},
    ):
        spared = hold([same.model_copy(update=changed)], done.incidents)
        assert (spared.again, spared.spared) == ([], ["once-1"]), changed
        assert all(one.at_most == 1.0 for one in spared.rules)


def test_rules_that_do_not_page_spare_them(events: Path, done: Backtested, tmp_path: Path) -> None:
    labels = tmp_path / "labels.jsonl"
    labels.write_text(label(done).model_dump_json() + "\n")
    quiet = tmp_path / "quiet.yaml"
    quiet.write_text("rules:\n  - name: escalation_spike\n    enabled: false\n")
    arguments = ["backtest", "--events", str(events), "--no-problem", str(labels), "--against", str(quiet)]
    said = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert said["no_problem"]["paged_again"] == ["once-1"]
    assert said["no_problem"]["rules"]["escalation_spike"]["precision_at_most"] < 1
    assert said["against"]["no_problem"]["spared"] == ["once-1"]
    text = CliRunner().invoke(app, arguments).output
    assert "1 of 1 incidents that people called no problem would come again" in text
    assert "0 of 1 incidents that people called no problem would come again" in text


def test_a_file_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    wrong = tmp_path / "labels.jsonl"
    wrong.write_text('{"incident_id": "x"}\n')
    with pytest.raises(LabelsError, match=r"labels.jsonl: line 1: app: "):
        load(wrong)
    assert load(Path("/dev/null")) == []
