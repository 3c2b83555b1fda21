"""False alarms on whole null streams, learning included: within the theorem's bound, measured."""

from __future__ import annotations

from random import Random

from detectors.baseline import ArmingPolicy
from detectors.bounded import BoundedDetector
from detectors.cost import CostDetector
from detectors.esr import fraction_bets, rate_bets
from tests.detectors.streams import DAY_MS, badness, dollars, rate

SPACING = DAY_MS // 1_786
"""1,786 units a day and a budget of four weeks make a threshold of 50,000."""
STREAMS, UNITS = 60, 5_000
BOUND = 13
"""P(alarm within 5,000) <= 0.1 at A = 50,000; more than 13 of 60 has a probability of 0.3 % at that bound."""


def test_rates() -> None:
    alarms = 0
    for seed in range(STREAMS):
        random = Random(seed)
        detector = BoundedDetector(rate_bets, 4.0, ArmingPolicy())
        alarms += any(detector.update(at * SPACING, "", rate(random, 0.02), 1, True) for at in range(UNITS))
    assert alarms <= BOUND


def test_fractions() -> None:
    alarms = 0
    for seed in range(STREAMS):
        random = Random(seed)
        detector = BoundedDetector(fraction_bets, 4.0, ArmingPolicy())
        alarms += any(
            detector.update(at * SPACING, "", badness(random, 0.12), 1, True) for at in range(UNITS)
        )
    assert alarms <= BOUND


def test_cost() -> None:
    alarms = 0
    for seed in range(STREAMS // 2):
        random = Random(seed)
        detector = CostDetector(4.0, ArmingPolicy())
        alarms += any(detector.update(at * SPACING, f"{at}", dollars(random), 1, True) for at in range(UNITS))
    assert alarms <= BOUND // 2
