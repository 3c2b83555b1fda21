"""A rule that is edited while the state is away: what it says holds from the restart on, and what it was
told of has an end."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pytest

from detectors.baseline import ArmingPolicy, Pin, Stage
from detectors.bounded import BoundedDetector
from detectors.cost import CostDetector
from detectors.declared.volume_baseline import VolumeBaseline
from detectors.esr import rate_bets
from detectors.monitor import Monitor
from detectors.rule_edits import OpenAlarms, under
from detectors.rulebook import parse
from detectors.rules import Rule
from detectors.segment import SegmentMonitors
from schemas.catalog import RATES
from schemas.observation import PriceStatus, TraceRow
from schemas.signal import Recovery, Severity, Signal, SignalName
from tests.detectors.streams import HEALTHY, dollars

T = 1_772_438_400_000
SPACING = 20_000
BIT = RATES[SignalName.ERROR]
POLICY = ArmingPolicy()


def segment(**says: Any) -> SegmentMonitors:
    rule = {"name": "e", "signal": "error_rate", **says}
    return SegmentMonitors("a", "p", "r", parse({"defaults": False, "rules": [rule]}))


def feed(one: SegmentMonitors, random: Random, first: int, n: int, share: float) -> list[Signal | Recovery]:
    decided = [
        (T + at * SPACING, BIT if random.random() < share else 0, f"t{at}", HEALTHY, None)
        for at in range(first, first + n)
    ]
    return one.on_conversations(decided, 600_000, 1)


def moved(before: SegmentMonitors, after: SegmentMonitors, forget: bool = False) -> SegmentMonitors:
    """``after``, restored from what ``before`` writes; ``forget``: as it was written before rules were."""
    for monitor in before.monitors:
        monitor.track.memory._written = 0
    apart = {
        part: data for part, (_, made) in before.monitors.apart().items() if (data := made()) is not None
    }
    parts = [before.baselines(), before.snapshot(), before.monitors.remembered(), apart]
    baselines, *rest = [orjson.loads(orjson.dumps(part)) for part in parts]
    if forget:
        for one in baselines.values():
            del one["rule"]
    after.restore(baselines, *rest)
    return after


def pin_of(one: SegmentMonitors) -> Pin:
    monitor = one.monitor(SignalName.ERROR)
    assert monitor is not None
    assert monitor.pin is not None
    assert monitor.pin is monitor.detector.pin
    return monitor.pin


@pytest.mark.parametrize("n", [3_000, 15_000])
@pytest.mark.parametrize(
    ("before", "after", "share", "fires"),
    [
        ({"bound": 0.02}, {"bound": 0.2}, 0.1, False),
        ({"bound": 0.2}, {"bound": 0.02}, 0.05, True),
        ({}, {"bound": 0.02}, 0.05, True),
        ({"bound": 0.02}, {}, 0.05, False),
    ],
)
def test_another_bound_holds_from_the_restart_on(
    before: dict[str, Any], after: dict[str, Any], share: float, fires: bool, n: int
) -> None:
    random = Random(1)
    old = segment(**before)
    feed(old, random, 0, n, min(share, 0.01) if before.get("bound") == 0.02 else share)
    new = moved(old, segment(**after))
    if "bound" in after:
        assert (pin_of(new).m0, pin_of(new).stage) == (after["bound"], Stage.PINNED), "at once, not after 200"
        assert pin_of(new).threshold == pin_of(old).threshold
    else:
        assert pin_of(old).m0 == 0.02
        assert new.monitor(SignalName.ERROR).pin is None  # type: ignore[union-attr]
    told = feed(new, random, n, 4_000, share)
    assert bool(told) is fires
    assert all(one.baseline == 0.02 for one in told)


@pytest.mark.parametrize("n", [500, 15_000])
def test_another_budget_moves_the_threshold_and_nothing_else(n: int) -> None:
    old = segment(budget="1 per 4 weeks")
    feed(old, Random(1), 0, n, 0.05)
    new = moved(old, segment(budget="1 per year"))
    assert pin_of(new) == pin_of(old)._replace(threshold=pin_of(old).threshold * 52.18 / 4)
    back = moved(new, segment(budget="1 per 4 weeks"))
    assert pin_of(back).threshold == pytest.approx(pin_of(old).threshold)
    assert pin_of(moved(old, segment(budget="1 per 4 weeks"))) == pin_of(old)


def test_no_budget_arms_below_the_least_threshold() -> None:
    pin = Pin(Stage.PINNED, 0.1, 0.1, 0.1, 200, 86_400_000, 40_000.0)
    assert POLICY.rescaled(pin, 0.01).threshold == POLICY.least_threshold


def test_a_state_that_names_no_rule_is_of_the_rule_as_it_is() -> None:
    old = segment(bound=0.02)
    feed(old, Random(1), 0, 1_000, 0.01)
    assert pin_of(moved(old, segment(bound=0.2), forget=True)).m0 == 0.02
    assert pin_of(moved(moved(old, segment(bound=0.02), forget=True), segment(bound=0.2))).m0 == 0.2


def test_a_renamed_rule_keeps_what_is_normal_and_ends_what_was_open() -> None:
    random, old = Random(1), segment()
    assert feed(old, random, 0, 15_000, 0.01) == []
    assert feed(old, random, 15_000, 300, 0.4)
    new = moved(old, segment(name="errors"))
    monitor = new.monitor(SignalName.ERROR)
    assert monitor is not None
    assert not monitor.open
    assert pin_of(new) == pin_of(old)
    again = feed(new, random, 15_300, 300, 0.4)
    assert {one.rule for one in again} == {"errors"}
    assert isinstance(again[0], Signal)
    well = feed(new, random, 15_600, 2_000, 0.01)
    assert [(type(one), one.rule, one.alarm_id) for one in well if isinstance(one, Recovery)] == [
        (Recovery, "errors", again[0].id)
    ]


def test_costs_keep_their_sample_under_another_budget() -> None:
    rule = Rule("c", SignalName.COST, Severity.P3, budget_weeks=4.0)
    old, random = Monitor(rule, CostDetector(4.0, POLICY)), Random(2)
    for at in range(300):
        old.update(T + at * SPACING, f"t{at}", dollars(random), HEALTHY, None, 1, ())
    assert old.pin is not None
    base, state = [orjson.loads(orjson.dumps(part)) for part in (old.detector.baseline(), old.snapshot())]
    learned = {at: old.detector.learned(at) for at, version in enumerate(old.detector.learning) if version}
    new = Monitor(Rule("c", SignalName.COST, Severity.P3, budget_weeks=8.0), CostDetector(8.0, POLICY))
    new.restore(base, state, None, learned)
    new.edited(under(rule))
    assert new.pin == old.pin._replace(threshold=2 * old.pin.threshold)
    assert new.detector.baseline()["ref"] == old.detector.baseline()["ref"]
    hits = [
        at
        for at in range(300, 400)
        if new.update(T + at * SPACING, f"t{at}", dollars(random, 5.0), HEALTHY, None, 1, ()) is not None
    ]
    assert 300 <= hits[0] <= 325


def test_another_budget_of_volume_moves_its_threshold() -> None:
    old = VolumeBaseline(4.0)
    for at in range(8 * 288):
        old.learn(T + at * 300_000, 20, 1)
    assert old.pin is not None
    written = orjson.loads(orjson.dumps(old.snapshot()))
    new = VolumeBaseline(8.0)
    new.restore(written)
    assert new.pin == old.pin._replace(threshold=2 * old.pin.threshold)
    del written["weeks"]
    new.restore(written)
    assert new.pin == old.pin, "as it was written before budgets were"


# -- what ends ---------------------------------------------------------------------------------------


def alarm(rule: str, at: int, value: float | None = 0.3, signal: SignalName = SignalName.ERROR) -> Signal:
    return Signal(
        id=f"{rule}-{at}",
        app="a",
        environment="p",
        route="r",
        signal=signal,
        rule=rule,
        severity=Severity.P2,
        pages=True,
        direction="up",
        onset=at,
        detected_at=at,
        baseline=0.02,
        value=value,
        n=30,
        reason="",
    )


def named(name: str, **more: Any) -> Rule:
    return Rule(name, SignalName.ERROR, Severity.P2, **more)


OF = ("a", "p", "r")


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        ([named("e")], False),
        ([named("e", budget_weeks=9.0, min_units=99)], False),
        ([named("e", bound=0.1)], True),
        ([named("errors")], True),
        ([], True),
        ([Rule("e", SignalName.TASK_FAILURE, Severity.P2)], True),
    ],
)
def test_what_no_rule_stands_for_any_more_ends_under_its_old_name(now: list[Rule], ends: bool) -> None:
    before = OpenAlarms(OF, [named("e")])
    before.note([alarm("e", 10), alarm("e", 20, 0.4)])
    after = OpenAlarms(OF, now)
    told = after.restore(orjson.loads(orjson.dumps(before.snapshot())), 50)
    assert [(one.rule, one.alarm_id, one.detected_at, one.value) for one in told] == (
        [("e", "e-10", 50, 0.4)] if ends else []
    )
    assert after.snapshot() == ({} if ends else before.snapshot())
    again = OpenAlarms(OF, now).restore(before.snapshot(), 50)
    assert again == told, "the same end, however often the state is restored"


def test_what_has_ended_or_never_ends_is_not_kept() -> None:
    model = Rule("m", SignalName.SERVED_MODEL, Severity.INFO, pages=False)
    alarms = OpenAlarms(OF, [named("e"), model])
    alarms.note([alarm("m", 5, None, SignalName.SERVED_MODEL), alarm("e", 10)])
    assert list(alarms.snapshot()) == ["e"]
    (end,) = OpenAlarms(OF, []).restore(alarms.snapshot(), 0)
    assert end.detected_at == 10, "never before what it ends"
    alarms.note([end])
    assert alarms.snapshot() == {}


def test_cost_per_success_under_another_name_starts_its_alarm_anew() -> None:
    def make(name: str) -> SegmentMonitors:
        rule = {"name": name, "signal": "cost_per_success", "min_effect": 0.05}
        return SegmentMonitors("a", "p", "r", parse({"defaults": False, "rules": [rule]}))

    def costs(one: SegmentMonitors, first: int, n: int, factor: float) -> list[Signal | Recovery]:
        rows = [
            TraceRow(
                T + at * SPACING, f"t{at}", 1, 0, 0, 0, 0, None, None, 0, dollars(random, factor),
                PriceStatus.PRICED, None, None, None, None,
            )
            for at in range(first, first + n)
        ]  # fmt: skip
        one.on_traces(rows, [HEALTHY] * n, 1)
        return [said for _, said in one.settle()]

    random, old = Random(5), make("c")
    assert costs(old, 0, 1_000, 1.0) == []
    assert costs(old, 1_000, 200, 4.0)
    new = moved(old, make("dear"))
    (first, *_) = costs(new, 1_200, 200, 4.0)
    assert (type(first), first.rule) == (Signal, "dear")
    ends = [one for one in costs(new, 1_400, 3_000, 1.0) if isinstance(one, Recovery)]
    assert [(one.rule, one.alarm_id) for one in ends] == [("dear", first.id)]


def test_the_bound_of_a_detector_that_has_not_armed_is_the_new_ones() -> None:
    detector = BoundedDetector(rate_bets, 4.0, POLICY, bound=0.02)
    detector.update(T, "t", 0.0, 1, True)
    other = BoundedDetector(rate_bets, 4.0, POLICY, bound=0.2)
    other.restore(detector.baseline(), detector.snapshot())
    other.redeclare()
    for at in range(200):
        other.update(T + at * SPACING, "", 0.0, 1, True)
    assert other.pin is not None
    assert other.pin.m0 == 0.2
