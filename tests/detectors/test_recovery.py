"""When an alarm is over: after units that show it, never by silence, hardly ever while it is still bad."""

from __future__ import annotations

from random import Random

import pytest

from detectors.recovery import RecoveryWatch
from detectors.segment import SegmentMonitors
from schemas.signal import Recovery, Signal, SignalName
from tests.detectors.streams import badness, feed, feed_all, rate

SPACING = 50_000


def shop() -> tuple[SegmentMonitors, Random]:
    segment, random = SegmentMonitors("shop", "prod", "chat"), Random(8)
    assert feed(segment, random, 6_000) == []
    return segment, random


def of(said: list[Signal | Recovery], rule: str) -> list[Signal | Recovery]:
    return [one for one in said if one.rule == rule]


def test_it_fires_on_this_unit_and_places_the_return() -> None:
    watch = RecoveryWatch(usual=0.1, shift=0.4, variance=0.09)
    assert watch.run([0.5] * 500) == 500
    assert watch.run([0.1] * 200) == 70
    assert watch.since() == 71


def test_still_bad_hardly_ever_passes() -> None:
    """At the bar, 20,000 units run to a wrong all-clear in the mean; here the whole shift is still there."""
    wrong = 0
    for seed in range(40):
        random = Random(seed)
        watch = RecoveryWatch(usual=0.12, shift=0.1, variance=0.0625)
        wrong += watch.run([badness(random, 0.22) for _ in range(5_000)]) < 5_000
    assert wrong == 0


def test_a_bar_that_is_just_kept_passes_within_the_bound() -> None:
    passed = 0
    for seed in range(40):
        random = Random(1_000 + seed)
        watch = RecoveryWatch(usual=0.02, shift=0.08, variance=0.0196)
        passed += watch.run([rate(random, 0.04) for _ in range(5_000)]) < 5_000
    assert passed <= 40 * 5_000 / 20_000


@pytest.mark.parametrize(
    ("rule", "mean", "escalated", "factor"),
    [
        ("faithfulness_drop", 0.35, 0.02, 1.0),
        ("escalation_spike", 0.12, 0.15, 1.0),
        ("cost_per_success_rise", 0.12, 0.02, 3.0),
    ],
)
def test_an_alarm_ends_once_when_its_signal_is_back(
    rule: str, mean: float, escalated: float, factor: float
) -> None:
    segment, random = shop()
    start = 6_000 * SPACING
    said = feed_all(segment, random, 300, start, mean=mean, escalated=escalated, factor=factor, name="bad")
    bad = of(said, rule)
    assert len(bad) > 1
    assert all(isinstance(one, Signal) for one in bad)
    back_at = 6_300 * SPACING
    after = of(feed_all(segment, random, 2_000, back_at, name="good"), rule)
    assert len(after) == 1
    back = after[0]
    assert isinstance(back, Recovery)
    assert back.alarm_id == bad[0].id
    assert back_at - 20 * SPACING <= back.since <= back.detected_at
    assert back.detected_at <= back_at + 800 * SPACING
    assert back.n >= 20
    monitor = segment.monitor(back.signal)
    assert monitor is not None
    assert not monitor.open


def test_what_it_says() -> None:
    segment, random = shop()
    feed_all(segment, random, 300, 6_000 * SPACING, mean=0.35, escalated=0.15)
    said = feed_all(segment, random, 1_500, 6_300 * SPACING)
    drop = next(one for one in of(said, "faithfulness_drop") if isinstance(one, Recovery))
    assert drop.signal is SignalName.FAITHFULNESS
    assert drop.baseline == pytest.approx(0.88, abs=0.01)
    assert drop.bound is not None
    assert 0.78 < drop.bound < drop.baseline
    assert drop.value > drop.bound
    assert drop.reason.startswith(
        f"the mean score is {drop.value:.2f} over {drop.n} scored answers, normally"
    )
    handed = next(one for one in of(said, "escalation_spike") if isinstance(one, Recovery))
    assert handed.bound is not None
    assert handed.baseline < handed.bound < 0.08
    assert (
        f"conversations are handed to a person, normally {handed.baseline:.1%}; that it is" in handed.reason
    )


def test_it_does_not_end_while_it_is_bad_nor_by_silence() -> None:
    segment, random = shop()
    said = feed_all(segment, random, 3_000, 6_000 * SPACING, mean=0.35)
    assert not any(isinstance(one, Recovery) for one in said)
    # A week without a single unit, then two of them: nothing has been shown.
    later = 9_000 * SPACING + 7 * 86_400_000
    assert not any(isinstance(one, Recovery) for one in feed_all(segment, random, 2, later))
    monitor = segment.monitor(SignalName.FAITHFULNESS)
    assert monitor is not None
    assert monitor.open


def test_a_second_drop_is_a_new_alarm_with_an_end_of_its_own() -> None:
    segment, random = shop()
    at, ends = 6_000 * SPACING, []
    for turn in range(2):
        bad = of(feed_all(segment, random, 200, at, mean=0.35, name=f"bad{turn}-"), "faithfulness_drop")
        good = of(
            feed_all(segment, random, 1_200, at + 200 * SPACING, name=f"good{turn}-"), "faithfulness_drop"
        )
        ends += [(bad[0].id, one) for one in good if isinstance(one, Recovery)]
        at += 1_400 * SPACING
    assert len(ends) == 2
    assert all(end.alarm_id == first for first, end in ends)
    assert ends[0][1].id != ends[1][1].id
