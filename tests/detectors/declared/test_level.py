"""Declared lines: where they fire, that noise is one alarm, and what silence does."""

from __future__ import annotations

from random import Random

import pytest

from detectors.declared.finding import Finding, Said
from detectors.declared.level import Level
from detectors.declared.policy import Threshold
from tests.detectors.declared.rows import DAY, HOUR, MINUTE, back, found

Units = list[tuple[int, float, str]]


def score(policy: Threshold) -> Level:
    return Level(policy, "answers", "faithfulness", "{:.2f}".format, share=True)


def said(level: Level, units: Units, upto: int) -> list[Said]:
    level.add(units)
    return level.close(upto)


def run(level: Level, units: Units, upto: int) -> list[Finding]:
    return found(said(level, units, upto))


def steady(value: float, start: int, end: int, every: int = MINUTE) -> Units:
    return [(time, value, f"t{time}") for time in range(start, end, every)]


def test_it_fires_at_the_end_of_the_bucket_that_crosses_and_names_the_worst() -> None:
    units = steady(0.9, 0, 3 * HOUR) + steady(0.5, 3 * HOUR, 6 * HOUR)
    alarms = run(score(Threshold(0.8, falls=True)), units, 6 * HOUR)
    assert len(alarms) == 1
    first = alarms[0]
    # mean = .9 - .4 x: below .8 when more than a quarter of the hour is bad
    assert (first.time, first.onset) == (3 * HOUR + 20 * MINUTE, 3 * HOUR)
    assert first.value == pytest.approx(0.7667, abs=1e-4)
    assert (first.baseline, first.rises, first.n) == (0.8, False, 60)
    assert first.examples == tuple(f"t{3 * HOUR + at * MINUTE}" for at in (19, 18, 17))
    assert first.reason == (
        "mean faithfulness of the last 1 h is 0.77 (60 answers), below the declared 0.80; it clears at 0.82"
    )


def test_noise_around_the_line_is_one_alarm() -> None:
    """A mean that swings by half a hundredth around the line for two days: told at first, and after a day."""
    random = Random(3)
    units = [(time, 0.8 + random.uniform(-0.05, 0.05), f"t{time}") for time in range(0, 2 * DAY, MINUTE)]
    alarms = run(score(Threshold(0.8, falls=True)), units, 2 * DAY)
    assert len(alarms) == 2
    assert alarms[1].time - alarms[0].time >= DAY
    every_crossing = run(score(Threshold(0.8, falls=True, clear=0.8)), units, 2 * DAY)
    assert len(every_crossing) > 20, "without a distance each crossing would be an alarm"


def test_it_fires_again_only_after_it_cleared() -> None:
    units: Units = []
    for at, value in enumerate((0.9, 0.5, 0.81, 0.7, 0.95, 0.5)):
        units += steady(value, at * 3 * HOUR, (at + 1) * 3 * HOUR)
    heard = said(score(Threshold(0.8, falls=True)), units, 18 * HOUR)
    alarms, ends = found(heard), back(heard)
    assert [end.opened for end in ends] == [alarms[0].time]
    assert ends[0].bound == pytest.approx(0.82)
    assert ends[0].time // (3 * HOUR) == 4
    assert [finding.time // (3 * HOUR) for finding in alarms] == [1, 5], "0.81 lies short of 0.82"


def test_few_units_are_not_judged() -> None:
    units = steady(0.1, 0, DAY, 2 * MINUTE)
    assert run(score(Threshold(0.8, falls=True, min_units=31)), units, DAY) == []
    assert run(score(Threshold(0.8, falls=True, min_units=30)), units, DAY)[0].time == HOUR


def test_a_sum_is_over_the_window() -> None:
    """Ten dollars an hour, then twenty: above 303 in 24 hours after 6.3 hours."""
    units = steady(10 / 60, 0, 2 * DAY) + steady(20 / 60, 2 * DAY, 3 * DAY)
    level = Level(Threshold(303.0, False, DAY), "requests", "spend", "${:.0f}".format, sums=True)
    alarms = run(level, units, 3 * DAY)
    assert [finding.time - 2 * DAY for finding in alarms] == [6 * HOUR + 20 * MINUTE]
    assert alarms[0].reason.startswith(
        "spend of the last 24 h is $303 (1,440 requests), above the declared $303"
    )


def test_a_mean_is_not_judged_in_silence_and_a_count_is() -> None:
    bad = score(Threshold(0.8, falls=True))
    assert len(run(bad, steady(0.5, 0, 2 * HOUR), 2 * HOUR)) == 1
    assert bad.close(90 * DAY) == []
    few = Level(Threshold(30.0, True, HOUR), "requests", "volume", "{:.0f}".format, sums=True, counts=True)
    assert run(few, steady(1.0, 0, 3 * HOUR), 3 * HOUR) == []
    alarms = run(few, [], 9 * DAY)
    assert [(finding.time, finding.value, finding.rises) for finding in alarms] == [
        (3 * HOUR + 35 * MINUTE, 25.0, False)
    ]
    assert alarms == run(
        Level(Threshold(30.0, True, HOUR), "requests", "volume", "{:.0f}".format, sums=True, counts=True),
        steady(1.0, 0, 3 * HOUR),
        9 * DAY,
    )


def test_below_a_sum_is_asked_only_of_a_whole_window() -> None:
    few = Level(Threshold(100.0, True, HOUR), "requests", "volume", "{:.0f}".format, sums=True, counts=True)
    alarms = run(few, steady(1.0, 0, 3 * HOUR), 3 * HOUR)
    assert [finding.time for finding in alarms] == [HOUR], "60 in the first whole hour"


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (lambda: Threshold(0.8, True, 7 * MINUTE), "over"),
        (lambda: Threshold(0.8, True, 4 * DAY), "over"),
        (lambda: Threshold(0.8, True, clear=0.7), "clear"),
        (lambda: Threshold(2.0, False, clear=3.0), "clear"),
        (lambda: Threshold(-1.0, False), "above"),
        (lambda: Threshold(1.0, False, min_units=0), "min_units"),
    ],
)
def test_a_policy_is_checked(policy: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        policy()  # type: ignore[operator]
