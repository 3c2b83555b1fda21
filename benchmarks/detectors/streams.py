"""The generated streams. One ``numpy`` generator per stream, so that a seed names a stream for ever.

Scores are supported claims over claims, of answers that are all right, all wrong or mixed; rates are
Bernoulli; costs are log-normal with a heavy tail of 1 % and a daily cycle, at 10,000 requests a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Amounts = Callable[[np.random.Generator, Array], Array]
"""Amounts of requests at these times (seconds)."""

DAY = 86_400.0
MIX = {0.88: (0.03, 0.60), 0.83: (0.05, 0.53), 0.78: (0.08, 0.46), 0.65: (0.15, 0.33)}
"""Mean score to the shares of answers that are wholly unsupported and wholly supported."""


class Stream(NamedTuple):
    """Units of one signal, larger is worse: ``y`` in [0, 1], or dollars where ``family`` is "cost"; ``at`` in
    seconds. The first ``reference`` units are healthy and are what a detector arms on."""

    family: str
    y: Array
    at: Array
    reference: int


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


def _prices(first: float, second: float, share: float, swing: float = 0.0) -> Amounts:
    """Two prices; the share of the second swings by so much of it over the day."""

    def draw(rng: np.random.Generator, at: Array) -> Array:
        found: Array = np.where(
            rng.random(len(at)) < share * (1.0 + swing * np.sin(2 * np.pi * at / DAY)), second, first
        )
        return found

    return draw


def _lengths(rng: np.random.Generator, at: Array) -> Array:
    found: Array = rng.choice([100.0, 200.0, 300.0], p=[0.6, 0.2, 0.2], size=len(at))
    return found


def _free(share: float, swing: float) -> Amounts:
    """Log-normal amounts without a cycle, but for the share of them that is 0."""

    def draw(rng: np.random.Generator, at: Array) -> Array:
        free = rng.random(len(at)) < share * (1.0 + swing * np.sin(2 * np.pi * at / DAY))
        found: Array = np.where(free, 0.0, np.exp(log_costs(rng, at, swing=0.0)))
        return found

    return draw


def _capped(rng: np.random.Generator, at: Array) -> Array:
    """A daily cycle, and two in a hundred at a cap that knows none: a timeout."""
    found: Array = np.where(rng.random(len(at)) < 0.02, 0.05, np.minimum(np.exp(log_costs(rng, at)), 0.05))
    return found


def _models(rng: np.random.Generator, at: Array) -> Array:
    """Two models, each within a tenth of its own price."""
    near = np.exp(0.1 * rng.standard_normal(len(at)))
    found: Array = np.where(rng.random(len(at)) < 0.5, 0.002, 0.04) * near
    return found


AMOUNTS: Mapping[str, Amounts] = {
    "two prices 85:15": _prices(0.04, 0.08, 0.15),
    "two prices 98:2": _prices(0.005, 0.5, 0.02),
    "two prices, the dear one more by day": _prices(0.04, 0.08, 0.15, 0.5),
    "three lengths": _lengths,
    "half of them free": _free(0.5, 0.0),
    "a quarter free, more by night": _free(0.25, 0.4),
    "a cap at the top": _capped,
    "two narrow prices": _models,
}
"""Amounts with few values, or many free ones; healthy, by name."""


def daily_badness(rng: np.random.Generator, at: Array) -> Array:
    """Healthy units of a score of .88 that is two points lower at one time of the day and 0.7 higher at
    another."""
    ys = badness(rng, len(at), 0.88)
    swing = 0.02 * np.sin(2 * np.pi * at / DAY)
    moved = rng.random(len(at)) < np.abs(swing) / 0.5
    found: Array = np.where(moved, np.where(swing > 0, np.maximum(ys, 0.62), 0.0), ys)
    return found


def daily_rate(rng: np.random.Generator, at: Array) -> Array:
    """A rate of 2 % that swings by a quarter over the day."""
    return (rng.random(len(at)) < 0.02 * (1.0 + 0.25 * np.sin(2 * np.pi * at / DAY))).astype(float)


class Turns(NamedTuple):
    """Turns in the order of their times (seconds): the conversation of each, its score, whether it broke."""

    at: Array
    conversation: list[int]
    score: Array
    broken: Array


def conversations(rng: np.random.Generator, n: int, per_day: float) -> Turns:
    """``n`` conversations of geometric length, mean 4, a turn a minute: half of the turns are as good or as
    bad as their conversation, the others as any."""
    length = rng.geometric(0.25, n)
    which = np.repeat(np.arange(n), length)
    turns = len(which)
    begin = np.repeat(np.cumsum(rng.exponential(DAY / per_day, n)), length)
    place = np.arange(turns) - np.repeat(np.cumsum(length) - length, length)
    at = begin + 60.0 * place
    alike = rng.random(turns) < 0.5
    bad = np.where(alike, badness(rng, n, 0.88)[which], badness(rng, turns, 0.88))
    broken = np.where(alike, rate(rng, n, 0.02)[which], rate(rng, turns, 0.02))
    order = np.argsort(at, kind="stable")
    return Turns(at[order], which[order].tolist(), 1.0 - bad[order], broken[order])
