"""The interval about a value, by what it is known to cover."""

from __future__ import annotations

import random

import pytest

from detectors.interval import LEAST, interval
from schemas.catalog import Measure


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20."""
    for hits, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = interval(Measure.RATE, hits / n, n, [])
        assert found is not None
        assert [*found] == pytest.approx([low, high], abs=1e-4)


@pytest.mark.parametrize(("measure", "rate"), [(Measure.RATE, 0.04), (Measure.SCORE, 0.8)])
def test_it_covers_the_true_mean_about_as_often_as_it_says(measure: Measure, rate: float) -> None:
    """2,000 samples of 200 units each that nobody chose: 95 % of the intervals hold the truth."""
    source = random.Random(7)
    held = 0
    for _ in range(2_000):
        ys = [float(source.random() < rate) for _ in range(200)]
        mean = sum(ys) / len(ys)
        found = interval(measure, mean, len(ys), ys)
        assert found is not None
        held += found[0] <= rate <= found[1]
    assert 0.93 <= held / 2_000 <= 0.98


def test_few_units_and_events_have_none() -> None:
    assert interval(Measure.SCORE, 0.5, LEAST - 1, [0.5] * (LEAST - 1)) is None
    assert interval(Measure.DOLLARS, 0.5, 900, [0.5] * (LEAST - 1)) is None
    assert interval(Measure.EVENT, 0.5, 900, [0.5] * 900) is None
