"""Many segments under one budget: false pages over simulated weeks, learning included."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.detectors.streams import badness, rate
from detectors.baseline import DAY_MS, ArmingPolicy
from detectors.bounded import BoundedDetector
from detectors.esr import fraction_bets, rate_bets
from schemas.observation import Profile

HEALTHY = Profile()


class Fleet(NamedTuple):
    """``pages`` that were all false, in ``weeks`` of ``segments`` healthy segments; the budget allows
    ``allowed``."""

    signal: str
    segments: int
    weeks: float
    pages: int
    allowed: float


def fleet(signal: str, segments: int, per_day: int, weeks: float, seed: int) -> Fleet:
    """Every segment learns, arms and is pinned as in production, on healthy units alone."""
    budget = 4.0
    n = int(per_day * 7 * weeks)
    pages = 0
    for segment in range(segments):
        rng = np.random.default_rng(seed + segment)
        ys = badness(rng, n, 0.88) if signal == "faithfulness" else rate(rng, n, 0.02)
        bets = fraction_bets if signal == "faithfulness" else rate_bets
        detector = BoundedDetector(bets, budget, ArmingPolicy())
        units = [(at * DAY_MS // per_day, y, "", HEALTHY, None) for at, y in enumerate(ys.tolist())]
        done = 0
        while done < len(units):
            done, fired = detector.run(units, done, len(units), segments, True)
            if fired:
                pages += 1
                detector.reset()
    return Fleet(signal, segments, weeks, pages, weeks / budget)
