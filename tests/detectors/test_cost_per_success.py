"""What a successful task costs: it rises with what requests cost, and with the tasks that fail."""

from __future__ import annotations

from random import Random

import pytest

from detectors.segment import SegmentMonitors
from schemas.observation import PriceStatus
from schemas.signal import Recovery, Signal, SignalName
from tests.detectors.streams import HEALTHY, feed_all, on_conversation, on_trace, rate

SPACING = 50_000
RULE = "cost_per_success_rise"


def shop() -> tuple[SegmentMonitors, Random]:
    segment, random = SegmentMonitors("shop", "prod", "chat"), Random(21)
    assert feed_all(segment, random, 6_000, escalated=0.05) == []
    return segment, random


def ours(said: list[Signal | Recovery]) -> list[Signal | Recovery]:
    return [one for one in said if one.rule == RULE]


def test_dearer_requests() -> None:
    segment, random = shop()
    first = ours(feed_all(segment, random, 200, 6_000 * SPACING, factor=2.5, escalated=0.05))[0]
    assert isinstance(first, Signal)
    assert first.signal is SignalName.COST_PER_SUCCESS
    assert first.baseline is not None
    # dollars(…) has a mean of 0.0051; 1 in 20 tasks fails
    assert first.baseline == pytest.approx(0.0051 / 0.95, rel=0.1)
    assert first.value == pytest.approx(2.5 * first.baseline, rel=0.5)
    assert first.unit == "US dollars a success"
    assert first.budget == "at most 1 false page per 4 weeks"
    assert first.reason.startswith("a successful task costs about $0.0")
    assert "a request costs $0.0" in first.reason


def test_tasks_that_fail() -> None:
    segment, random = shop()
    said = feed_all(segment, random, 300, 6_000 * SPACING, escalated=0.4, name="bad")
    first = ours(said)[0]
    assert isinstance(first, Signal)
    assert first.baseline == pytest.approx(0.0051 / 0.95, rel=0.1)
    assert first.value is not None
    assert first.baseline is not None
    assert first.value / first.baseline == pytest.approx(0.95 / 0.6, rel=0.2)
    assert "1 in 3 conversations is unsuccessful, normally 1 in 19" in first.reason
    assert len(first.examples) == 3
    assert len({one.id for one in said}) == len(said)


@pytest.mark.parametrize(("factor", "escalated"), [(2.5, 0.05), (1.0, 0.4)])
def test_what_it_costs_now_has_the_interval_of_the_side_that_moved(factor: float, escalated: float) -> None:
    """Over ten shops the interval holds what a success costs now in eight at least, and is of use."""
    held, truth = 0, 0.0051 * factor / (1.0 - escalated)
    for seed in range(10):
        segment, random = SegmentMonitors("shop", "prod", "chat"), Random(seed)
        feed_all(segment, random, 3_000, escalated=0.05)
        said = feed_all(segment, random, 300, 3_000 * SPACING, factor=factor, escalated=escalated, name="now")
        first = next(one for one in ours(said) if isinstance(one, Signal))
        low, value, high = first.value_from, first.value, first.value_to
        assert low is not None
        assert value is not None
        assert high is not None
        assert 0.0 < low < value < high < 4.0 * low
        held += low <= truth <= high
    assert held >= 8


def test_it_is_over_when_neither_side_is_open() -> None:
    segment, random = shop()
    start = 6_000 * SPACING
    bad = ours(feed_all(segment, random, 300, start, factor=3.0, escalated=0.4, name="bad"))
    sides = {"unsuccessful" in one.reason for one in bad}
    assert sides == {True, False}, "both have fired"
    cheap_again = ours(feed_all(segment, random, 900, start + 300 * SPACING, escalated=0.4, name="half"))
    assert not any(isinstance(one, Recovery) for one in cheap_again), "tasks still fail"
    well = ours(feed_all(segment, random, 1_500, start + 1_200 * SPACING, escalated=0.05, name="well"))
    ends = [one for one in well if isinstance(one, Recovery)]
    assert len(ends) == 1
    assert ends[0].alarm_id == bad[0].id


def test_failures_of_unknown_cost_are_not_told() -> None:
    segment, random = SegmentMonitors("shop", "prod", "chat"), Random(3)
    said: list[Signal | Recovery] = []
    for at in range(3_000):
        time, name = at * SPACING, f"t{at}"
        said += on_trace(segment, time, name, HEALTHY, None, None, PriceStatus.UNKNOWN_MODEL)[0]
        failed = rate(random, 0.02 if at < 2_000 else 0.5) > 0
        said += on_conversation(segment, time, name, HEALTHY, None, failed)
        said += [one for _, one in segment.settle()]
    assert {one.rule for one in said} == {"escalation_spike"}


def test_healthy_segments_keep_the_budget() -> None:
    """6 streams of 5.8 days; at most one false page in 28 days allows 6 * 5.8 / 28 = 1.2 in the mean."""
    fired = [len(ours(feed_all(*_fresh(seed), 10_000))) for seed in range(6)]
    assert sum(fired) <= 3


def _fresh(seed: int) -> tuple[SegmentMonitors, Random]:
    return SegmentMonitors("shop", "prod", "chat"), Random(900 + seed)
