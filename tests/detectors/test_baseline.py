"""When a baseline arms, what it defends, and what it refuses to learn."""

from __future__ import annotations

import math
from random import Random

import pytest

from detectors.baseline import DAY_MS, HOUR_MS, ArmingPolicy, Baseline, Stage
from detectors.bounded import BoundedDetector
from detectors.esr import MixtureESR, fraction_bets, rate_bets
from detectors.monitor import Monitor
from detectors.rules import DEFAULT_RULES
from detectors.unit import Unit
from tests.detectors.streams import HEALTHY, badness


def learned(n: int, span_ms: int, y: float = 0.1, segments: int = 1, weeks: float = 4.0) -> Baseline:
    baseline = Baseline(weeks, ArmingPolicy())
    for at in range(n):
        baseline.learn(at * span_ms // max(n - 1, 1), y, segments)
    return baseline


@pytest.mark.parametrize(
    ("n", "span_ms", "stage", "why"),
    [
        (199, DAY_MS, Stage.LEARNING, "too few units, however long it took"),
        (200, HOUR_MS, Stage.PROVISIONAL, "200 units arm"),
        (5_000, 3 * DAY_MS - 10, Stage.PROVISIONAL, "enough units, not three full days"),
        (4_999, 4 * DAY_MS, Stage.PROVISIONAL, "three full days, not enough units"),
        (5_000, 3 * DAY_MS, Stage.PINNED, "three full days and 5,000 units"),
        (1_000, 7 * DAY_MS, Stage.PINNED, "a week and 1,000 units"),
        (999, 8 * DAY_MS, Stage.PROVISIONAL, "a week, not 1,000 units"),
    ],
)
def test_arming(n: int, span_ms: int, stage: Stage, why: str) -> None:
    assert learned(n, span_ms).stage is stage, why


def test_provisional_margin_is_two_standard_errors_and_the_unseen_part_of_the_day() -> None:
    random = Random(3)
    baseline = Baseline(4.0, ArmingPolicy(), tolerance=0.04)
    units = [random.random() for _ in range(200)]
    for at, y in enumerate(units):
        baseline.learn(at * 6 * HOUR_MS // 199, y, 1)
    mean = sum(units) / 200
    variance = sum((y - mean) ** 2 for y in units) / 199
    assert baseline.pin is not None
    assert baseline.pin.mean == pytest.approx(mean)
    assert baseline.pin.m0 == pytest.approx(mean + 2 * math.sqrt(variance / 200) + 0.75 * 0.04)


def test_a_rate_without_positives_is_not_known_to_be_zero() -> None:
    pin = learned(200, DAY_MS, y=0.0).pin
    assert pin is not None
    assert pin.mean == 0.0
    assert pin.m0 >= 1 / 200
    assert pin.variance > 0.0


def test_threshold_is_the_budget_over_all_segments() -> None:
    pin = learned(5_000, 5 * DAY_MS, segments=3, weeks=2).pin
    assert pin is not None
    assert pin.threshold == pytest.approx(3 * 1_000 * 7 * 2, rel=1e-3)


def test_threshold_of_a_burst_counts_an_hour_and_has_a_floor() -> None:
    burst, trickle = learned(200, 1_000).pin, learned(200, 60 * DAY_MS, weeks=1).pin
    assert burst is not None
    assert trickle is not None
    assert burst.threshold == 200 * 24 * 7 * 4
    assert trickle.threshold == ArmingPolicy().least_threshold


def test_the_pinned_one_is_frozen() -> None:
    detector = BoundedDetector(fraction_bets, 4.0, ArmingPolicy())
    random = Random(1)
    for at in range(6_000):
        detector.update(at * 60_000, "", badness(random, 0.1), 1, True)
    pin = detector.pin
    assert pin is not None
    assert pin.stage is Stage.PINNED
    assert pin.n == 5_000
    for at in range(6_000, 9_000):
        detector.update(at * 60_000, "", badness(random, 0.1), 1, True)
    assert detector.pin is pin
    detector.repin()
    assert detector.pin is None


def test_an_open_alarm_stops_learning_and_takes_back_the_incident() -> None:
    monitor = Monitor(DEFAULT_RULES[0], BoundedDetector(fraction_bets, 4.0, ArmingPolicy()))
    random = Random(2)
    hour = 3_600_000

    def run(start: int, n: int, mean: float) -> int:
        return sum(
            monitor.update(at * hour // 50, f"t{at}", badness(random, mean), HEALTHY, None, 1, ()) is not None
            for at in range(start, start + n)
        )

    assert run(0, 1_000, 0.1) == 0
    assert run(1_000, 6_000, 0.45) > 5, "it fires again while the shift lasts"
    assert monitor.open
    provisional = monitor.pin
    assert provisional is not None
    assert provisional.stage is Stage.PROVISIONAL, "five days and 7,000 units, but an alarm is open"
    monitor.close()
    run(7_000, 4_200, 0.1)
    pin = monitor.pin
    assert pin is not None
    assert pin.stage is Stage.PINNED
    assert pin.mean == pytest.approx(0.1, abs=0.015), "nothing of the incident was learned"


def test_a_quiet_alarm_closes_by_itself_and_a_lasting_one_does_not() -> None:
    monitor = Monitor(DEFAULT_RULES[1], BoundedDetector(rate_bets, 4.0, ArmingPolicy()))
    random = Random(4)

    def run(start: int, n: int, share: float) -> None:
        for at in range(start, start + n):
            y = float(random.random() < share)
            monitor.update(at * 1_000, f"t{at}", y, HEALTHY, None, 1, ())

    run(0, 1_000, 0.02)
    run(1_000, 200, 0.4)
    assert monitor.open
    run(1_200, 11_000, 0.02)
    assert not monitor.open


def _day(random: Random, at: int, swing: float) -> Unit:
    """One of 10,000 conversations a day, 1 with a share of 2 % that swings over the day."""
    time = at * 8_640
    share = 0.02 * (1 + swing * math.sin(2 * math.pi * time / DAY_MS))
    return time, float(random.random() < share), "", HEALTHY, None


def _pinned(swing: float, seed: int) -> BoundedDetector:
    detector, random = BoundedDetector(rate_bets, 4.0, ArmingPolicy()), Random(seed)
    units = [_day(random, at, swing) for at in range(31_000)]
    done = 0
    while done < len(units):
        done, _ = detector.run(units, done, len(units), 1, True)
    assert detector.pin is not None
    assert detector.pin.stage is Stage.PINNED
    return detector


def test_a_daily_cycle_is_defended_hour_by_hour() -> None:
    cyclic, flat = _pinned(0.8, 1), _pinned(0.0, 2)
    assert cyclic.pin is not None
    assert flat.pin is not None
    assert flat.pin.hours == (), "hours that don't differ only add margin"
    assert max(cyclic.pin.hours) == cyclic.pin.m0 > 0.03
    assert min(cyclic.pin.hours) < 0.012
    assert cyclic.note().endswith("by hour of the day")
    assert cyclic.pin.against(6 * 3_600_000, 0.0) >= 0.0


def test_the_cycle_alone_does_not_fire_and_a_rise_in_the_quiet_hours_does() -> None:
    detector, random = _pinned(0.8, 1), Random(3)
    healthy = [_day(random, at, 0.8) for at in range(31_000, 61_000)]
    assert detector.run(healthy, 0, len(healthy), 1, False) == (len(healthy), False)
    # 4 % at 18 h, where 0.4 % is normal and 3.6 % was normal at 6 h.
    night = [
        (18 * 3_600_000 + at * 1_000, float(random.random() < 0.04), "", HEALTHY, None) for at in range(2_000)
    ]
    at, fired = detector.run(night, 0, len(night), 1, False)
    assert fired
    assert at < 400


@pytest.mark.parametrize("share", [1.0, 0.9995])
def test_what_is_always_bad_is_watched_by_nothing(share: float) -> None:
    """All unpriced, always a fallback: there is nothing worse, and a mean below 1 would be a daily page."""
    detector, random = BoundedDetector(rate_bets, 4.0, ArmingPolicy()), Random(1)
    units: list[Unit] = [
        (at * 17_280, float(random.random() < share), "", HEALTHY, None) for at in range(60_000)
    ]
    assert _fired(detector, units) == 0
    assert detector.pin is not None
    assert detector.pin.stage is Stage.PINNED
    assert (detector.pin.m0, detector.pin.worst) == (1.0, True)
    assert detector.pin.mean == pytest.approx(share, abs=5e-4)


def test_what_is_nearly_always_bad_is_still_watched() -> None:
    detector, random = BoundedDetector(rate_bets, 4.0, ArmingPolicy()), Random(1)
    units: list[Unit] = [
        (at * 17_280, float(random.random() < (0.9 if at < 20_000 else 1.0)), "", HEALTHY, None)
        for at in range(20_400)
    ]
    assert _fired(detector, units[:20_000]) == 0
    assert _fired(detector, units[20_000:]) >= 1


def test_an_hour_that_is_always_bad_is_defended_at_one() -> None:
    """A nightly job that always falls back, beside traffic that seldom does."""
    detector, random = BoundedDetector(rate_bets, 4.0, ArmingPolicy()), Random(1)

    def unit(at: int) -> Unit:
        time = at * 17_280
        return time, float(random.random() < (1.0 if time // HOUR_MS % 24 == 2 else 0.02)), "", HEALTHY, None

    _fired(detector, [unit(at) for at in range(16_000)])
    assert detector.pin is not None
    assert detector.pin.hours[2] == 1.0
    assert max(detector.pin.hours[3:]) < 0.1
    assert not detector.pin.worst
    assert _fired(detector, [unit(at) for at in range(16_000, 60_000)]) == 0
    worse: list[Unit] = [
        (12 * HOUR_MS + at * 1_000, float(at % 5 == 0), "", HEALTHY, None) for at in range(500)
    ]
    assert _fired(detector, worse) >= 1


def test_a_state_that_defends_0_999_defends_1() -> None:
    """As it was written while no ``m0`` could be 1."""
    detector = BoundedDetector(rate_bets, 4.0, ArmingPolicy())
    units: list[Unit] = [(at * 17_280, 1.0, "", HEALTHY, None) for at in range(20_000)]
    _fired(detector, units)
    esr = MixtureESR(0.999, 1e-4, rate_bets(0.999), 1e5)
    esr.run([1.0] * 50)
    baseline, state = detector.baseline(), detector.snapshot() | {"esr": esr.snapshot()}
    baseline["pin"] = (*baseline["pin"][:2], 0.999, *baseline["pin"][3:])
    again = BoundedDetector(rate_bets, 4.0, ArmingPolicy())
    again.restore(baseline, state)
    assert again.pin == detector.pin
    assert _fired(again, units * 10) == 0


def _fired(detector: BoundedDetector, units: list[Unit]) -> int:
    """Alarms over these units, each of which starts the detector again."""
    at = many = 0
    while at < len(units):
        at, fired = detector.run(units, at, len(units), 1, True)
        if fired:
            many += 1
            detector.reset()
    return many
