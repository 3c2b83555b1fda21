"""Labelled incidents: what became of each, and which pages were false."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detectors.rules import DEFAULT_RULES
from schemas.base import rfc3339
from schemas.signal import SignalName, WindowStat
from streams.backtest import Backtested, backtest, policy_with
from streams.cli import app
from streams.labelled import Outcome, false_pages, find
from streams.labels import Label, LabelsError, load_labels
from streams.settings import Settings
from tests.delivery.events import START, STEP_MS, traffic, write

WORSE = START + 600 * STEP_MS
"""From here on half of the shop's conversations are handed to people."""
END = START + 1_200 * STEP_MS


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(traffic(), tmp_path_factory.mktemp("events") / "events.jsonl")


@pytest.fixture(scope="module")
def done(events: Path) -> Backtested:
    return backtest([events], policy_with(Settings(), DEFAULT_RULES))


def label(
    start: int = WORSE,
    end: int = END,
    route: str = "search",
    signal: SignalName | None = SignalName.ESCALATION,
    app: str = "shop",
) -> Label:
    return Label("known", app, "prod", route, signal, start, end)


def found(done: Backtested, *labels: Label) -> list[Outcome]:
    return [one.outcome for one in find(labels, done.alarms, done.incidents, done.windows)]


def test_the_delay_is_that_of_the_first_alarm_in_the_label(done: Backtested) -> None:
    first = min(
        alarm.detected_at
        for alarm, _ in done.alarms
        if (alarm.rule, alarm.route) == ("escalation_spike", "search")
    )
    (one,) = find([label()], done.alarms, done.incidents, done.windows)
    assert one.outcome is Outcome.PAGED
    assert one.alarm is not None
    assert (one.delay_ms, one.alarm.detected_at, one.already_open) == (first - WORSE, first, False)
    assert 0 < first - WORSE < 2 * 3_600_000
    (late,) = find([label(first)], done.alarms, done.incidents, done.windows)
    assert late.delay_ms == 0
    (later,) = find([label(first + 1)], done.alarms, done.incidents, done.windows)
    assert later.already_open


def test_missed_and_without_data_are_two_things(done: Backtested) -> None:
    healthy = label(START, START + 100 * STEP_MS)
    assert found(done, healthy) == [Outcome.MISSED]
    assert found(done, label(app="care", route="chat")) == [Outcome.MISSED]
    assert found(done, label(signal=SignalName.BROKEN_OUTPUT)) == [Outcome.MISSED]
    assert found(done, label(route="nowhere")) == [Outcome.NO_DATA]
    assert found(done, label(END + 1, END + 3_600_000 * 9)) == [Outcome.NO_DATA]


def test_false_pages_overlap_no_label(done: Backtested) -> None:
    incidents = done.incidents
    assert incidents
    assert {incident.app for incident in incidents} == {"shop"}
    assert false_pages([], incidents) == incidents
    whole = [label(START, END, route, None) for route in ("chat", "search")]
    assert false_pages(whole, incidents) == []
    assert false_pages([label(START, END, "search", None, "care")], incidents) == incidents
    assert false_pages([label(START, START + 1, "search", None)], incidents) == incidents


def test_units_are_those_of_the_windows_by_their_part(done: Backtested) -> None:
    (alarm, incident) = next(
        (alarm, of)
        for alarm, of in done.alarms
        if (alarm.rule, alarm.route) == ("escalation_spike", "search")
    )
    at = alarm.detected_at

    def window(start: int, end: int, n: int, signal: SignalName = SignalName.ESCALATION) -> WindowStat:
        return WindowStat(
            app="shop",
            environment="prod",
            route="search",
            signal=signal,
            start=start,
            end=end,
            n=n,
            total=0.0,
        )

    windows = [
        window(at - 3_000, at - 2_000, 100),  # half of it after the label's start
        window(at - 2_000, at - 1_000, 30),
        window(at - 1_000, at + 1_000, 20),  # half of it before the alarm
        window(at - 2_000, at - 1_000, 999, SignalName.COST),
    ]
    (one,) = find([label(at - 2_500)], [(alarm, incident)], done.incidents, windows)
    assert one.delay_units == 50 + 30 + 10
    (unknown,) = find([label(at - 2_500)], [(alarm, incident)], done.incidents, windows[-1:])
    assert (unknown.outcome, unknown.delay_units) == (Outcome.PAGED, None)


GOOD = {"app": "shop", "environment": "prod", "route": "search", "start": WORSE, "end": rfc3339(END)}


def test_labels_are_read_with_times_of_both_kinds(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD | {"name": "n", "signal": "escalation_rate"}))
    one, other = load_labels(path)
    assert one == Label("line 1", "shop", "prod", "search", None, WORSE, END)
    assert other == one._replace(name="n", signal=SignalName.ESCALATION)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"start": "yesterday"}, "line 2: start: is no time"),
        ({"start": "2026-03-02T08:00:00"}, "line 2: start: has no zone"),
        ({"end": WORSE}, "line 2: end: is not after start"),
        ({"signal": "speed"}, "line 2: signal: input should be"),
        ({"app": ""}, "line 2: app: string should have at least 1 character"),
        ({"rout": "chat"}, "line 2: rout: extra inputs are not permitted"),
    ],
)
def test_a_bad_label_is_named_by_line_and_field(tmp_path: Path, wrong: dict[str, object], says: str) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(json.dumps(GOOD) + "\n" + json.dumps(GOOD | wrong))
    with pytest.raises(LabelsError) as raised:
        load_labels(path)
    assert str(raised.value).startswith(f"{path}: {says}")


def test_what_is_no_file_of_labels_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"app": 1')
    (tmp_path / "b").write_text("")
    del (short := dict(GOOD))["route"]
    (tmp_path / "c").write_text(json.dumps(short))
    for name, says in (
        ("a", "line 1: Invalid JSON"),
        ("b", "holds no label"),
        ("c", "route: field required"),
        ("d", "No such"),
    ):
        with pytest.raises(LabelsError, match=says):
            load_labels(tmp_path / name)


def test_the_command_prints_both(events: Path, tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"app": "care", "route": "chat", "name": "quiet"})
    )
    arguments = ["backtest", "--events", str(events), "--labels", str(path)]
    data = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert {"events", "span_days", "seconds", "alarms", "labels", "false_pages_per_week"} <= set(data)
    paged, missed = data["labels"]
    assert (paged["outcome"], paged["start"]) == ("paged", rfc3339(WORSE))
    assert paged["delay_seconds"] > 0
    assert paged["delay_units"] > 0
    assert (missed["outcome"], missed["delay_seconds"], missed["rule"]) == ("missed", None, None)
    assert data["false_pages_per_week"] is None  # of less than a day no rate a week is told
    told = CliRunner().invoke(app, arguments).stdout
    assert "1 of 2 labelled incidents paged" in told
    assert "  quiet: missed" in told
    deaf = tmp_path / "deaf.yaml"
    deaf.write_text("rules: [{name: escalation_spike, enabled: false}]")
    path.write_text(json.dumps(GOOD | {"signal": "escalation_rate"}))
    data = json.loads(CliRunner().invoke(app, [*arguments, "--against", str(deaf), "--json"]).stdout)
    outcomes = [data["labels"][0]["outcome"], data["against"]["labels"][0]["outcome"]]
    assert outcomes == ["paged", "missed"]
    path.write_text("{}")
    assert "line 1: app" in str(CliRunner().invoke(app, arguments).exception)


def test_charts_are_drawn_of_what_has_data(events: Path, tmp_path: Path) -> None:
    folder = tmp_path / "charts"
    plain = json.loads(CliRunner().invoke(app, ["backtest", "--events", str(events), "--json"]).stdout)
    arguments = ["backtest", "--events", str(events), "--charts", str(folder), "--json"]
    data = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert data["alarms"] == plain["alarms"]
    names = [Path(path).name for path in data["charts"]]
    assert sorted(names) == sorted(path.name for path in folder.glob("*.png"))
    assert len(list(folder.glob("*.svg"))) == len(names)
    fired = {
        f"shop.prod.{a['route']}.{a['rule']}.png" for a in data["alarms"] if a["signal"] != "served_model"
    }
    assert set(names[: len(fired)]) == fired
    assert "care.prod.chat.faithfulness_drop.png" in names
    per_success = (folder / "shop.prod.search.cost_per_success_rise.svg").read_bytes()
    assert b"successful tasks per" in per_success
    assert b"baseline" in per_success
    assert b"baseline" in (folder / "shop.prod.search.escalation_spike.svg").read_bytes()
