"""What a successful task costs: it rises with what requests cost, and with the tasks that fail."""

from __future__ import annotations

from random import Random

import pytest

from detectors.rules import Rule
from detectors.segment import SegmentMonitors
from schemas.observation import PriceStatus
from schemas.signal import Recovery, Severity, Signal, SignalName
from tests.detectors.streams import HEALTHY, dollars, feed_all, on_conversation, on_trace, rate

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


@pytest.mark.parametrize("signal", [SignalName.COST_PER_SUCCESS, SignalName.COST])
def test_an_alarm_ends_with_the_baseline_that_it_was_against(signal: SignalName) -> None:
    """Prices come to be reported by the application: nothing could ever show that the old ones are back."""
    rules = (Rule("costs", signal, Severity.P2, min_effect=0.05),)
    segment, random = SegmentMonitors("shop", "prod", "chat", rules), Random(3)

    def feed(first: int, last: int, price: PriceStatus, factor: float) -> list[tuple[int, Signal | Recovery]]:
        said: list[tuple[int, Signal | Recovery]] = []
        for at in range(first, last):
            cost = dollars(random, factor)
            ones = on_trace(segment, at * SPACING, f"t{at}", HEALTHY, None, cost, price)[0]
            ones += on_conversation(segment, at * SPACING, f"t{at}", HEALTHY, None, False)
            said += [(at, one) for one in (*ones, *[one for _, one in segment.settle()])]
        return said

    assert feed(0, 3_000, PriceStatus.PRICED, 1.0) == []
    alarms = [one for _, one in feed(3_000, 3_300, PriceStatus.PRICED, 3.0)]
    assert {type(one) for one in alarms} == {Signal}
    # 67 reported requests of a block of 100 are dominant, which is known at its end.
    ((at, end),) = feed(3_300, 5_000, PriceStatus.REPORTED, 1.0)
    assert isinstance(end, Recovery)
    assert at == 3_399
    assert (end.detected_at, end.alarm_id) == (at * SPACING, alarms[0].id)
    assert end.reason.startswith("baseline renewed, for most prices come from another source now; ")
    assert end.value == pytest.approx(3.0 * 0.0051, rel=0.2)
    # And what is dearer by the new source is an alarm of its own, with an end of its own.
    again = [one for _, one in feed(5_000, 5_300, PriceStatus.REPORTED, 3.0)]
    assert again
    assert [type(one) for _, one in feed(5_300, 7_000, PriceStatus.REPORTED, 1.0)] == [Recovery]


def test_the_other_side_stays_open_when_the_costs_are_learned_anew() -> None:
    segment, random = shop()
    start = 6_000 * SPACING
    bad = ours(feed_all(segment, random, 300, start, factor=3.0, escalated=0.4, name="bad"))
    assert {"unsuccessful" in one.reason for one in bad} == {True, False}
    said: list[Signal | Recovery] = []
    for at in range(300):
        time, name = start + (300 + at) * SPACING, f"new{at}"
        said += on_trace(segment, time, name, HEALTHY, None, dollars(random), PriceStatus.REPORTED)[0]
        failed = rate(random, 0.4) > 0
        said += on_conversation(segment, time, name, HEALTHY, None, failed)
        said += [one for _, one in segment.settle()]
    assert not any(isinstance(one, Recovery) for one in ours(said))
    well = ours(feed_all(segment, random, 1_500, start + 600 * SPACING, escalated=0.05, name="well"))
    ends = [one for one in well if isinstance(one, Recovery)]
    assert [one.alarm_id for one in ends] == [bad[0].id]


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
