"""The planning figures of ``gleaner rules check``: upper figures, of the right size, and never optimistic."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest

from detectors.esr import MixtureESR, rate_bets
from detectors.planning import plans, rate_delay, threshold
from detectors.rules import DEFAULT_RULES, Rule
from schemas.signal import Severity, SignalName
from tests.detectors.streams import rate


def test_the_threshold_is_segments_times_units_a_day_times_days() -> None:
    assert threshold(DEFAULT_RULES[1], 10_000) == 280_000
    assert threshold(DEFAULT_RULES[1], 10_000, segments=3) == 840_000
    assert threshold(DEFAULT_RULES[1], 10) == 5_000, "no budget arms below this"


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_measured_delays_lie_below_the_plan_and_not_far_below(share: float) -> None:
    detector = MixtureESR(0.022, 0.02, rate_bets(0.022), 50_000.0)
    planned = rate_delay(detector, share)
    delays = []
    for seed in range(40):
        detector.reset()
        random = Random(seed)
        delays.append(next(unit for unit in range(10_000) if detector.update(rate(random, share))))
    assert 0.3 * planned < median(delays) < planned


def test_larger_shifts_are_seen_sooner_and_smaller_budgets_later() -> None:
    for rule in DEFAULT_RULES:
        seen = [plan.units for plan in plans(rule, 10_000)]
        assert seen == sorted(seen, reverse=True)
        later = [plan.units for plan in plans(rule, 10_000, segments=100)]
        assert all(one < other for one, other in zip(seen, later, strict=True))


def test_a_bound_plans_from_the_bound() -> None:
    rule = Rule("r", SignalName.ERROR, Severity.P2, bound=0.1)
    assert [plan.shift for plan in plans(rule, 1_000)] == ["10.0% → 15.0%", "10.0% → 25.0%", "10.0% → 50.0%"]
