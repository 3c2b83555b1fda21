"""What a reference spans: a test call long before the launch is no traffic, and slow traffic is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.baseline import DAY_MS, HOUR_MS, ArmingPolicy, Baseline, Pin, Stage
from detectors.bounded import BoundedDetector
from detectors.cost import CostDetector
from detectors.cost_reference import CostReference, log_cost
from detectors.detector import Detector
from detectors.esr import rate_bets
from detectors.unit import Unit
from tests.detectors.streams import HEALTHY, dollars

T = 1_772_438_400_000
POLICY = ArmingPolicy()


def rates() -> Detector:
    return BoundedDetector(rate_bets, 4.0, POLICY)


def costs() -> Detector:
    return CostDetector(4.0, POLICY)


def pins(detector: Detector, times: list[int]) -> list[Pin]:
    """The baselines that it pins on these units, in batches of at most a thousand."""
    random, found, at = Random(1), list[Pin](), 0
    units: list[Unit] = [
        (
            time,
            dollars(random) if isinstance(detector, CostDetector) else float(n % 20 == 0),
            f"t{n}",
            HEALTHY,
            None,
        )
        for n, time in enumerate(times)
    ]
    while at < len(units):
        before = detector.pin
        at, fired = detector.run(units[: at + 1_000], at, min(at + 1_000, len(units)), 1, True)
        assert not fired
        if detector.pin is not None and detector.pin is not before:
            found.append(detector.pin)
    return found


@pytest.mark.parametrize("make", [rates, costs])
@pytest.mark.parametrize(
    "early", [[0], [T - 30 * DAY_MS], [T - 60 * DAY_MS, T - 60 * DAY_MS + 60_000, T - 5 * DAY_MS]]
)
def test_an_early_event_changes_neither_budget_nor_pin(
    make: Callable[[], Detector], early: list[int]
) -> None:
    """2,000 units a day from T on."""
    launched = [T + at * DAY_MS // 2_000 for at in range(9_000)]
    alone, after = pins(make(), launched), pins(make(), early + launched)
    assert [pin.stage for pin in alone] == [Stage.PROVISIONAL, Stage.PINNED]
    for one, other in zip(alone, after, strict=True):
        assert other.stage is one.stage
        assert other.threshold == pytest.approx(one.threshold, rel=0.05)
        assert other.span_ms == pytest.approx(one.span_ms, abs=2 * HOUR_MS)
        assert abs(other.n - one.n) <= 200


@pytest.mark.parametrize("make", [rates, costs])
def test_slow_traffic_is_as_slow_as_it_is(make: Callable[[], Detector]) -> None:
    """A unit every two days: every pause is long, and none is an exception."""
    slow = pins(make(), [T + at * 2 * DAY_MS for at in range(1_000)])
    assert [(pin.n, pin.span_ms) for pin in slow] == [(200, 398 * DAY_MS), (1_000, 1_998 * DAY_MS)]
    assert {pin.threshold for pin in slow} == {POLICY.least_threshold}


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.sampled_from([0, 1, HOUR_MS, DAY_MS, DAY_MS + 1, 40 * DAY_MS]), min_size=2, max_size=80
    ),
    cuts=st.sets(st.integers(1, 79), max_size=5),
)
def test_how_units_come_and_restarts_change_nothing(steps: list[int], cuts: set[int]) -> None:
    quick = ArmingPolicy(provisional_units=10**6)
    one, other, reference = Baseline(1.0, quick), Baseline(1.0, quick), CostReference()
    units: list[Unit] = []
    time = T
    for at, step in enumerate(steps):
        time += step
        units.append((time, 0.5, f"t{at}", HEALTHY, None))
        one.learn(time, 0.5, 1)
    ends = [0, *sorted(cut for cut in cuts if cut < len(units)), len(units)]
    for start, stop in pairwise(ends):
        other.learn_all(units[start:stop])
        written = orjson.loads(orjson.dumps(other.snapshot()))
        other = Baseline(1.0, quick)
        other.restore(None, written)
        reference.learn_all(units[start:stop], [log_cost(0.5)] * (stop - start))
    assert other.snapshot() == one.snapshot()
    long = [step for step in steps[1:] if step > DAY_MS]
    assert one.snapshot()["pauses"] == [len(long), sum(long)]
    left_out = sum(long) if 20 * len(long) <= len(steps) else 0
    assert reference.span_ms == sum(steps[1:]) - left_out


@settings(deadline=None, max_examples=60)
@given(
    days=st.lists(st.floats(0.0, 12.0), min_size=30, max_size=120), some=st.integers(1, 40), seed=st.randoms()
)
def test_what_is_said_never_to_pin_never_pins(days: list[float], some: int, seed: Random) -> None:
    """``cannot_pin`` may be wrong in one direction only: it decides what may be learned as a batch."""
    policy = ArmingPolicy(provisional_units=5, full_units=30, full_span_ms=3 * DAY_MS, slow_units=20)
    baseline, time, at = Baseline(1.0, policy), T, 0
    times = []
    for gap in days:
        time += int(gap * DAY_MS) if seed.random() < 0.1 else 60_000
        times.append(time)
    while at < len(times):
        batch = times[at : at + some]
        sure = baseline.cannot_pin(batch[-1], len(batch))
        pinned = [baseline.learn(one, 0.5, 1) for one in batch]
        assert not (sure and any(pinned))
        at += len(batch)


def test_a_state_without_pauses_goes_on() -> None:
    baseline = Baseline(1.0, POLICY)
    baseline.learn(T, 0.5, 1)
    written = baseline.snapshot()
    del written["pauses"]
    again = Baseline(1.0, POLICY)
    again.restore(None, written)
    assert again.snapshot() == baseline.snapshot()
