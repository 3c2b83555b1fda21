"""The generated streams. One ``numpy`` generator per stream, so that a seed names a stream for ever.

Scores are supported claims over claims, of answers that are all right, all wrong or mixed; rates are
Bernoulli; costs are log-normal with a heavy tail of 1 % and a daily cycle, at 10,000 requests a day.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

DAY = 86_400.0
MIX = {0.88: (0.03, 0.60), 0.83: (0.05, 0.53), 0.78: (0.08, 0.46), 0.65: (0.15, 0.33)}
"""Mean score to the shares of answers that are wholly unsupported and wholly supported."""


def badness(rng: np.random.Generator, n: int, mean: float) -> Array:
    """1 - score of ``n`` answers whose mean score is ``mean``, one of ``MIX``."""
    wrong, right = MIX[mean]
    middle, spread = (mean - right) / (1 - wrong - right), 5.285
    claims = 1 + rng.poisson(4, n)
    share = rng.beta(spread * middle, spread * (1 - middle), n)
    kind = rng.random(n)
    share = np.where(kind < wrong, 0.0, np.where(kind < wrong + right, 1.0, share))
    bad: Array = 1.0 - rng.binomial(claims, share) / claims
    return bad


def rate(rng: np.random.Generator, n: int, share: float) -> Array:
    return (rng.random(n) < share).astype(float)


def times(rng: np.random.Generator, n: int, per_day: float = 10_000, swing: float = 0.71) -> Array:
    """Arrival times in seconds, busier by day than by night (peak over trough 5.9)."""
    even = np.cumsum(rng.exponential(1.0, n)) * DAY / per_day
    begin = rng.uniform(0, DAY)
    grid = np.arange(0, even[-1] + begin + 3 * DAY, 60.0)
    warped = grid - swing * DAY / (2 * np.pi) * np.sin(2 * np.pi * grid / DAY)
    found: Array = np.interp(even + np.interp(begin, grid, warped), warped, grid)
    return found


def log_costs(rng: np.random.Generator, at: Array, spread: float = 0.7, swing: float = 0.25) -> Array:
    """Natural logarithms of dollars."""
    n = len(at)
    logs = np.log(0.004) + swing * np.sin(2 * np.pi * at / DAY) + spread * rng.standard_normal(n)
    heavy: Array = logs + np.where(rng.random(n) < 0.01, np.log1p(rng.pareto(1.5, n)), 0)
    return heavy
