"""What an observer who knows the means makes of a version that came with the move, or before it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.detectors.observer import suspects
from benchmarks.detectors.streams import Array
from detectors.hypotheses import REPLACED

CHANGE, CALM = 2_000, 1_500
MOVED = {"rate": (0.02, 0.2), "score": (0.12, 0.4), "cost": (0.0, 1.0)}


def drawn(signal: str, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    was, now = MOVED[signal]
    means = np.where(np.arange(CHANGE + 400) < CHANGE, was, now)
    if signal == "rate":
        return (rng.random(means.size) < means).astype(float)
    found: Array = rng.normal(means, 0.25)
    return np.exp(found) if signal == "cost" else found


@pytest.mark.parametrize("signal", list(MOVED))
def test_a_version_that_came_with_a_large_move_is_suspected_and_one_long_before_is_not(signal: str) -> None:
    for seed in range(10):
        ys = drawn(signal, seed)
        assert suspects(ys, signal, CHANGE, CHANGE, CHANGE + 100, CALM)
        for before in (200, 1_000, 1_900):
            assert not suspects(ys, signal, CHANGE, CHANGE - before, CHANGE + 100, CALM)


def test_its_odds_are_those_of_the_likelihoods_of_each_beginning() -> None:
    ys = np.array([float(one) for one in "000010000000001000000111011111"])
    change, was, now = 21, 2.0 / 21.0, 8.0 / 9.0

    def likelihood(start: int) -> float:
        rates = [was if at < start else now for at in range(ys.size)]
        return math.prod([rate if y else 1.0 - rate for y, rate in zip(ys, rates, strict=True)])

    anywhere = sum([likelihood(start) for start in range(change - 15, ys.size)]) / (ys.size - change + 15)
    suspected = [
        arrived for arrived in range(change - 15, ys.size) if REPLACED * likelihood(arrived) > anywhere
    ]
    found = [
        arrived
        for arrived in range(change - 15, ys.size)
        if suspects(ys, "rate", change, arrived, ys.size - 1, 15)
    ]
    assert found == suspected == [19, 20, 21, 22]
