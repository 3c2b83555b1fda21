"""``gleaner backtest`` and ``gleaner rules``: what they print, and that they agree with replay."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from detectors.rules import DEFAULT_RULES, Rule
from schemas.base import rfc3339
from schemas.signal import Severity, SignalName
from streams.backtest import backtest, compare, policy_with
from streams.cli import app
from streams.commands.fail import Failed
from streams.replay import replay
from streams.rules_file import load_rules
from streams.settings import Settings
from streams.steps.ingest import IngestPolicy
from streams.steps.observe import ScoringPolicy
from tests.delivery.events import traffic, write

STRICT = """
rules:
  - name: escalation_spike
    min_effect: 0.9
  - name: tokens
    signal: tokens_per_request
    severity: P3
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(traffic(), tmp_path_factory.mktemp("events") / "events.jsonl")


def run(*arguments: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_its_alarms_are_those_of_replay_each_with_its_incident(events: Path) -> None:
    done = backtest([events], policy_with(Settings(), DEFAULT_RULES))
    unscored = IngestPolicy(scoring=ScoringPolicy(rate=0.0))
    assert [alarm for alarm, _ in done.alarms] == replay([events], unscored).alarms()
    ids = {incident.id for incident in done.incidents}
    assert {incident for alarm, incident in done.alarms if alarm.pages} <= ids
    assert done.events == len(traffic())
    assert 0.2 < done.span_days < 0.4


def test_json_is_the_contract(events: Path) -> None:
    status, out, _ = run("backtest", "--events", events, "--json")
    data = json.loads(out)
    assert status == 0
    assert set(data) == {
        *("events", "dead_lettered", "traces", "unscored_traces", "span_days", "seconds", "alarms")
    }
    alarm = next(alarm for alarm in data["alarms"] if alarm["rule"] == "escalation_spike")
    assert alarm["incident_id"]
    assert alarm["members"] == [
        {key: alarm[key] for key in ("signal", "rule", "onset", "detected_at")},
    ]


def test_what_no_rule_could_see_is_said(tmp_path: Path) -> None:
    """Without a scorer, rules on scores are blind to answers that their application did not score."""
    own: dict[str, Any] = {"trace_id": "own", "scores": {"faithfulness": 0.9}}
    plain: dict[str, Any] = {"trace_id": "plain", "question": "q?", "contexts": ["a b c"], "answer": "a b c"}
    bare: dict[str, Any] = {"trace_id": "bare", "answer": "a"}
    for names, told, scored in (
        (
            [own, plain, bare],
            "2 of 3 traces without a score: rules on faithfulness, grounded rate and unscored rate saw"
            " nothing of them; --score scores them offline",
            "1 of 3 traces could not be scored",
        ),
        ([own], None, None),
    ):
        file = tmp_path / "e.jsonl"
        lines = [json.dumps({"timestamp": "2026-03-06T09:12:44Z", **event}) + "\n" for event in names]
        file.write_text("".join(lines))
        for options, says in (([], told), (["--score"], scored)):
            status, out, _ = run("backtest", "--events", file, *options)
            assert status == 0
            assert says in out if says else "score" not in out
        data = json.loads(run("backtest", "--events", file, "--json")[1])
        assert (data["traces"], data["unscored_traces"]) == (len(names), len(names) - 1)


def test_each_incident_is_listed_with_its_day(events: Path) -> None:
    done = backtest([events], policy_with(Settings(), DEFAULT_RULES))
    status, out, _ = run("backtest", "--events", events)
    assert status == 0
    assert done.incidents
    for incident in done.incidents:
        day = rfc3339(incident.detected_at)
        assert f"\n{day[:10]} {day[11:16]}  {incident.severity.value} · " in out


def test_another_rules_file_is_compared(events: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(STRICT)
    status, out, _ = run("backtest", rules, "--events", events, "--json")
    fired = {alarm["rule"] for alarm in json.loads(out)["alarms"]}
    assert (status, "tokens" in fired, "escalation_spike" in fired) == (0, True, False)
    status, out, _ = run("backtest", "--events", events, "--against", rules)
    assert status == 0
    assert "only these rules" in out


def test_incidents_of_two_rule_sets_are_matched(events: Path) -> None:
    policy = policy_with(Settings(), DEFAULT_RULES)
    first = backtest([events], policy).incidents
    assert compare(first, first) == ([], [], len(first))
    assert compare(first, []) == (first, [], 0)
    only = (Rule("served", SignalName.SERVED_MODEL, Severity.INFO, pages=False),)
    assert backtest([events], policy._replace(rules=only)).incidents == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["backtest"], "--events"),
        (["backtest", "--events", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
        (["backtest", "a.yaml", "b.yaml", "--events", "x"], "one rules file"),
    ],
)
def test_wrong_use_is_said_in_one_line(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert says in str(result.exception)


def test_rules_check_says_each_rule_in_words() -> None:
    status, out, _ = run("rules", "check", "--per-day", "500")
    assert status == 0
    assert "at most 1 false page per 4 weeks: at 500 conversations a day in 1 segment" in out
    assert out.count("sees, mostly sooner than") == 4
    status, out, _ = run("rules", "check", "--json")
    rules = [json.loads(line) for line in out.splitlines()]
    assert [rule["name"] for rule in rules] == [rule.name for rule in DEFAULT_RULES]
    assert rules[1]["threshold"] == 280_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: [{name: x, signal: speed}]", "rules.1.signal"),
        ("rules: [", "not YAML"),
        ("rules: []\ndefaults: false\nrules: []", "rules: stands twice, again in line 3"),
        (
            "rules: [{name: x, signal: error_rate, budget: 1 per week, budget: 1 per year}]",
            "budget: stands twice",
        ),
        (
            "rules: [{name: x, signal: error_rate, min_effect: 5}]",
            "min_effect: error_rate lies between 0 and 1",
        ),
        (
            "rules: [{name: x, signal: error_rate, threshold: {above: 1}}]",
            "above: error_rate is never above 1",
        ),
        ("rules: [{name: x, signal: error_rate, threshold: {above: 0.2, clear: -5}}]", "and is 0 or more"),
        ("rules: [{name: x, signal: faithfulness, threshold: {below: 0.9, clear: 5}}]", "it would never end"),
    ],
)
def test_a_wrong_rules_file_is_named_with_its_field(text: str, says: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    result = CliRunner().invoke(app, ["rules", "check", str(rules)])
    assert str(rules) in str(result.exception)
    assert says in str(result.exception)


def test_anchors_and_merges_are_no_repetition(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "defaults: false\nrules:\n"
        "  - &one {name: one, signal: error_rate, budget: 1 per week}\n"
        "  - {<<: *one, name: two, signal: refusal_rate}\n"
    )
    assert [(rule.name, rule.budget_weeks) for rule in load_rules(rules)] == [("one", 1.0), ("two", 1.0)]


DECLARED = """
defaults: false
rules:
  - name: dear_hour
    signal: spend
    severity: P2
    threshold: {above: 0.5, over: 1h}
  - name: errors
    signal: escalation_rate
    severity: P2
    slo: {objective: 0.98, min_units: 20}
"""


def test_declared_rules_are_backtested_and_end(events: Path, tmp_path: Path) -> None:
    """By the same steps: the spike of the cost is found at a bucket's end, and its end, too."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(DECLARED)
    status, out, _ = run("backtest", rules, "--events", events, "--json")
    assert status == 0
    alarms = json.loads(out)["alarms"]
    assert {alarm["rule"] for alarm in alarms} == {"dear_hour", "errors"}
    assert all(
        alarm["detected_at"][-6:-1] == "00.00" or alarm["detected_at"].endswith(":00Z") for alarm in alarms
    )
    assert all(alarm["incident_id"] for alarm in alarms)


def test_the_example_is_checked_in_words() -> None:
    status, out, _ = run("rules", "check", "examples/rules.yaml", "--per-day", "2000")
    assert status == 0
    assert "14.4 times over 1 h and 5 min; 6 times over 6 h and 30 min; 1 times over 3 d and 6 h (P3)" in out
    assert "at that traffic the windows of 1 h never hold 200 requests" in out
    assert "below 0.75 on at least 50 conversations, asked every 5 min; clears at 0.775" in out
    assert out.count("no stated budget") == 5
    assert "silence included; learned for 3 days, pinned at 7" in out
    assert "80% (info), 95% (P3), 100% (P2) of 100,000 tokens in a UTC day" in out
    status, out, _ = run("rules", "explain", "examples/rules.yaml", "--json")
    data = {rule["name"]: rule for rule in map(json.loads, out.splitlines())}
    assert data["fast_enough"]["kind"] == "slo"
    assert [tier["rate"] for tier in data["fast_enough"]["tiers"]] == [14.4, 6.0, 1.0]
    assert data["fast_enough"]["expected_false_alarms_30d"] < 1e-6
    assert data["traffic"]["direction"] == "both"


def refused(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, Failed), result.output
    assert result.exception.status == 2
    return str(result.exception)


def test_dead_letters_are_said(events: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.jsonl"
    mixed.write_bytes(events.read_bytes() + b"# not an event\n" * 7)
    count = len(traffic())
    status, out, error = run("backtest", "--events", mixed)
    assert status == 0
    assert f"{count + 7:,} events, 7 of them dead-lettered, over" in out
    assert error.count("dead letter: line ") == 5
    assert "… and 2 more; gleaner replay keeps them in its store" in error
    status, out, _ = run("backtest", "--events", mixed, "--json")
    assert (status, json.loads(out)["events"], json.loads(out)["dead_lettered"]) == (0, count + 7, 7)


@pytest.mark.parametrize(
    ("text", "says"),
    [("# A title\n\nSome words.\n", "all 2 were refused, the first: line 1: "), ("", "they are empty")],
)
def test_files_of_which_nothing_could_be_read_are_refused(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(text)
    for more in ((), ("--json",)):
        error = refused("backtest", "--events", file, *more)
        assert error.startswith(f"no event could be read of {file}: {says}")


def test_an_argument_that_is_neither_rules_nor_events_is_refused(events: Path, tmp_path: Path) -> None:
    rules = tmp_path / "rules.conf"
    rules.write_text(STRICT)
    assert refused("backtest", rules, "--events", events).startswith(
        f"{rules}: by its name neither a rules file (.yaml, .yml) nor events (.jsonl, .ndjson, .json): "
    )
