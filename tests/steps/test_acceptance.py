"""What a person accepts as normal is learned anew: from its time on, of what it names, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random

import pytest

from detectors.monitor import Monitor
from detectors.rulebook import parse
from detectors.rules import Rule
from schemas.observation import BaselineRow, Flag, Profile, ScoreRow, TraceRow
from schemas.signal import Recovery, Signal, SignalName
from streams.replay import replay
from streams.steps.owner import Owner, OwnerPolicy
from tests.delivery.events import START, STEP_MS, Event, write
from tests.delivery.events import traffic as events
from tests.steps.logs import (
    MINUTE,
    POLICY,
    T0,
    Log,
    Message,
    absorbed,
    acceptance,
    concluded,
    fresh,
    score,
    trace,
)
from tests.steps.test_determinism import interrupted, production

SHIFT, ACCEPTED, END = 300, 450, 900
"""Traces, one a minute: since when they are worse, when that is accepted, and how many there are."""
AT = ACCEPTED * MINUTE
RULES = """{"defaults": false, "rules": [
  {"name": "errors", "signal": "error_rate", "min_effect": 0.01},
  {"name": "cost", "signal": "cost_per_success"},
  {"name": "faith", "signal": "faithfulness", "min_effect": 0.03},
  {"name": "grounded", "signal": "grounded_rate", "bound": 0.1}
]}"""
Told = Signal | Recovery


@cache
def rules() -> tuple[Rule, ...]:
    return parse(json.loads(RULES))


def traffic(seed: int) -> list[TraceRow | ScoreRow]:
    """Errors, costs and scores that get worse for good; the judge answers some minutes after each trace."""
    rng, rows, scores = Random(seed), [], []
    for n in range(END):
        bad = n >= SHIFT
        flags = Flag.SCORE_REQUESTED.value | (
            Flag.ERROR.value if rng.random() < (0.4 if bad else 0.02) else 0
        )
        cost = (0.03 if bad else 0.01) * rng.uniform(0.8, 1.25)
        rows.append(trace(n * MINUTE, f"t{n:04}", flags=flags, cost=cost))
        value = min(max(rng.gauss(0.5 if bad else 0.9, 0.08), 0.0), 1.0)
        scores.append((n + rng.randrange(1, 8), score(f"t{n:04}", value, low=value < 0.6)))
    scores.sort(key=lambda one: one[0])
    mixed: list[TraceRow | ScoreRow] = []
    for n, row in enumerate(rows):
        mixed.append(row)
        while scores and scores[0][0] <= n:
            mixed.append(scores.pop(0)[1])
    return mixed + [one for _, one in scores]


def log(
    rows: Sequence[TraceRow | ScoreRow],
    *said: BaselineRow,
    every: int = 20,
    spread: int = 1,
) -> list[Message]:
    """``rows`` over so many routes, with what was accepted in its place, and a report every so many rows."""
    made, left, now = Log(), sorted(said), T0
    for at, row in enumerate(rows):
        while left and isinstance(row, TraceRow) and left[0].time <= row.time:
            made.rows(left.pop(0))
        now = max(now, row.time)
        made.rows(row, profile=Profile(route=f"r{int(row.trace_id[1:]) % spread}"))
        if at % every == 0:
            made.progress(at=now)
    return made.rows(*left).ended(at=now + 60 * MINUTE).messages


def run(messages: Sequence[Message]) -> tuple[Owner, list[Told]]:
    owner = fresh(POLICY._replace(rules=rules()))
    for message in messages:
        owner.absorb(message)
    return owner, [one for one in concluded(owner).signals if isinstance(one, Told)]


def monitor(owner: Owner, signal: SignalName, route: str = "r0") -> Monitor:
    found = owner.apps["app"].segments["default", route].monitors.monitor(signal)
    assert found is not None
    return found


def ends(told: Sequence[Told]) -> list[tuple[str, int, str | None]]:
    return [(one.rule, one.detected_at - T0, one.accepted_by) for one in told if isinstance(one, Recovery)]


def after(told: Sequence[Told], rule: str) -> list[Signal]:
    """Alarms on what came once it was accepted."""
    return [
        one for one in told if isinstance(one, Signal) and one.rule == rule and one.detected_at >= T0 + AT
    ]


def test_without_it_alarms_go_on_for_ever() -> None:
    owner, told = run(log(traffic(1)))
    assert ends(told) == []
    for rule in ("errors", "cost", "faith"):
        assert len(after(told, rule)) > 3
    assert monitor(owner, SignalName.ERROR).open


def test_every_learned_baseline_is_learned_anew_from_then_on() -> None:
    owner, told = run(log(traffic(1), acceptance(AT)))
    assert sorted(ends(told)) == [(rule, AT, "dana") for rule in ("cost", "errors", "faith")]
    for rule in ("errors", "cost", "faith"):
        assert after(told, rule) == []
    for signal, level in ((SignalName.ERROR, 0.4), (SignalName.FAITHFULNESS, 0.5)):
        watched = monitor(owner, signal)
        assert watched.pin is not None
        assert watched.pin.n == 200, "from the first unit after it"
        assert watched.pin.mean == pytest.approx(level, abs=0.1)
        assert not watched.open
    bad = [one for one in told if isinstance(one, Signal) and one.rule == "errors"]
    (end,) = [one for one in told if isinstance(one, Recovery) and one.rule == "errors"]
    assert (end.alarm_id, end.since) == (bad[0].id, T0 + AT)
    assert end.reason.startswith("accepted as normal by a person, and learned anew; the last before that: ")


def test_a_declared_bound_stays_what_it_is() -> None:
    owner, told = run(log(traffic(1), acceptance(AT)))
    pin = monitor(owner, SignalName.GROUNDED).pin
    assert pin is not None
    assert pin.mean == 0.1
    assert after(told, "grounded")


@pytest.mark.parametrize(
    ("named", "ended"),
    [
        ({"signal": "error_rate"}, ["errors"]),
        ({"rule": "faith"}, ["faith"]),
        ({"rule": "grounded"}, []),
        ({"signal": "error_rate", "rule": "faith"}, []),
        ({"route": "r0", "signal": "cost_per_success"}, ["cost"]),
        ({"route": "r1"}, []),
        ({"route": "*"}, []),
        ({"environment": "staging"}, []),
    ],
)
def test_only_what_it_names(named: dict[str, str], ended: list[str]) -> None:
    _, told = run(log(traffic(1), acceptance(AT, **named)))
    assert [rule for rule, _, _ in ends(told)] == ended


def test_it_explains_nothing() -> None:
    owner, _ = run(log(traffic(1), acceptance(AT)))
    segment = owner.apps["app"].segments["default", "r0"]
    assert list(segment.monitors._watch.recent) == []
    assert owner.apps["app"].counters["changes"] == 1


def test_what_is_said_again_is_said_once() -> None:
    """By ingest after a crash, and by who said it: the same words at another place of the topic."""
    rows, said = traffic(1), acceptance(AT)
    once, again = run(log(rows, said))[1], log(rows, said)
    again[700:700] = Log().rows(said._replace(offset=0)).messages
    again.append(Log().rows(trace(0, "other"), said, said).messages[0])
    owner, told = run(again)
    assert told == once
    assert owner.apps["app"].counters["changes"] == 1


def test_one_that_comes_late_holds_from_there_on() -> None:
    made = log(traffic(1))
    at = next(
        n for n, one in enumerate(made) if any(getattr(row, "trace_id", "") == "t0600" for row in one[-1])
    )
    made.insert(at, Log().rows(acceptance(AT)).messages[0])
    owner, told = run(made)
    (end,) = [one for one in told if isinstance(one, Recovery) and one.rule == "errors"]
    assert 550 * MINUTE < end.detected_at - T0 < 600 * MINUTE
    assert owner.apps["app"].counters["late"] == 1
    assert not any(one.detected_at > end.detected_at for one in after(told, "errors"))


def test_how_far_reports_are_apart_changes_nothing() -> None:
    rows, said = traffic(2), acceptance(AT + 1)
    whole = sorted(one.id for one in run(log(rows, said, every=1))[1])
    for every in (7, 60, 10_000):
        assert sorted(one.id for one in run(log(rows, said, every=every))[1]) == whole


@pytest.mark.parametrize("seed", range(3))
def test_crashes_change_nothing(seed: int) -> None:
    """While scores and conversations of before are still out, too."""
    policy = POLICY._replace(rules=rules())
    messages = log(traffic(3), acceptance(AT), acceptance(AT + 40 * MINUTE, signal="error_rate"), every=3)
    done = interrupted(messages, seed, policy).signals
    assert [one for one in done if isinstance(one, Told)] == run(messages)[1]


def test_routes_of_little_traffic_together() -> None:
    """Twelve routes of 75 traces: none arms by itself. A day later they are watched together."""
    rng, rows = Random(5), []
    for n in range(5 * 1_440 // 5):
        flags = Flag.ERROR.value if rng.random() < (0.4 if n >= 1_000 else 0.02) else 0
        rows.append(trace(n * 5 * MINUTE, f"t{n:05}", flags=flags))
    made = log(rows, acceptance(1_200 * 5 * MINUTE, route="*"), spread=12)
    owner, told = run(made)
    assert ends(told) == [("errors", 1_200 * 5 * MINUTE, "dana")]
    assert {one.route for one in told if one.rule == "errors"} == {"*"}
    pool = owner.apps["app"]._pools["default"].monitors.monitor(SignalName.ERROR)
    assert pool is not None
    assert pool.pin is not None
    assert pool.pin.mean == pytest.approx(0.4, abs=0.1)


def test_a_replay_of_the_same_events_says_the_same(tmp_path: Path) -> None:
    """Through the step of ingest and the wire on the one hand, from a file on the other."""
    at = START + 1_000 * STEP_MS
    value = {"app": "shop", "dimension": "gleaner.baseline", "to": "accepted"}
    said = Event("changes", at, value | {"timestamp": at, "author": "dana"})
    live = absorbed(production(1_200, 1, said, judged=False), OwnerPolicy())
    assert "late" not in live.counters["shop"]
    again = replay([write([*events(1_200), said], tmp_path / "events.jsonl")])

    def told(signals: Sequence[object]) -> dict[str, Told]:
        return {one.id: one for one in signals if isinstance(one, Told)}

    assert told(live.signals) == told(again.signals)
    ended = [one for one in again.signals if isinstance(one, Recovery) and one.accepted_by == "dana"]
    assert sorted((one.rule, one.app, one.route) for one in ended) == [
        ("cost_per_success_rise", "shop", "chat"),
        ("cost_per_success_rise", "shop", "search"),
        ("escalation_spike", "shop", "search"),
        ("faithfulness_drop", "shop", "search"),
    ]
