"""The field's detectors that have a statistic: alarm where it reaches the setting.

All know what production could know: the reference, and nothing of the true law. Each starts from nothing
at the first unit watched; windows look back into the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

import numpy as np

from benchmarks.detectors.streams import DAY, Array, Stream

CLIP = 3.0
"""Standard deviations at which a log cost is clipped for detectors that a heavy tail would else rule."""
FIVE_MINUTES, HOUR = 300.0, 3_600.0
BURN_RATES = ((14.4, HOUR, FIVE_MINUTES), (6.0, 6 * HOUR, 1_800.0), (1.0, 3 * DAY, 6 * HOUR))
"""Factor of the budget, long and short window: Google SRE workbook, chapter 5."""
RIVER_LEAST = 30
"""Page-Hinkley's ``min_instances`` in river."""

Levels = Callable[[Stream, int, int], Array]
"""The statistic of every unit of ``start`` to ``stop``."""


class Traced:
    """A watcher by its statistic, all units at once."""

    def __init__(self, stream: Stream, levels: Levels) -> None:
        self._stream, self._levels = stream, levels

    def peak(self, start: int, stop: int) -> float:
        return float(self._levels(self._stream, start, stop).max())

    def first(self, start: int, stop: int, setting: float) -> int | None:
        reached = self._levels(self._stream, start, stop) >= setting
        at = int(reached.argmax())
        return start + at if reached[at] else None


def standardised(stream: Stream) -> Array:
    """Units less the reference's mean, over its standard deviation. Of costs: their logarithms without a
    profile of 24 hour means, clipped; the same front-end for all that are compared with ours."""
    y, reference = stream.y, stream.reference
    if stream.family == "cost":
        y = np.log(y)
        hours = (stream.at % DAY / HOUR).astype(int)
        count = np.bincount(hours[:reference], minlength=24)
        means = np.bincount(hours[:reference], y[:reference], minlength=24) / count
        knots = np.concatenate([means[-1:], means, means[:1]])
        y = y - np.interp(stream.at % DAY / HOUR, np.arange(-0.5, 25.0), knots)
    deviation = y[:reference].std()
    z: Array = (y - y[:reference].mean()) / deviation
    return np.clip(z, -CLIP, CLIP) if stream.family == "cost" else z


def cusum(steps: Array) -> Array:
    """``S = max(0, S + step)`` (Page 1954, Biometrika 41:100): the walk above its lowest point so far."""
    walk = np.cumsum(steps)
    found: Array = walk - np.minimum(np.minimum.accumulate(walk), 0.0)
    return found


def gauss_cusum(k: float) -> Levels:
    """On standardised units, tuned to a shift of ``2 k`` standard deviations."""
    return lambda stream, start, stop: cusum(standardised(stream)[start:stop] - k)


def bernoulli_cusum(factor: float) -> Levels:
    """Log likelihood ratios of a rate ``factor`` times the reference's."""

    def levels(stream: Stream, start: int, stop: int) -> Array:
        p0 = max(float(stream.y[: stream.reference].mean()), 1.0 / stream.reference)
        p1 = min(factor * p0, 0.999)
        y = stream.y[start:stop]
        return cusum(y * np.log(p1 / p0) + (1.0 - y) * np.log((1.0 - p1) / (1.0 - p0)))

    return levels


def ewma(weight: float) -> Levels:
    """Exponentially weighted mean of standardised units, from 0 (Roberts 1959, Technometrics 1:239)."""

    def levels(stream: Stream, start: int, stop: int) -> Array:
        z = standardised(stream)[start:stop].tolist()
        return np.array(list(accumulate(z, lambda level, y: level + weight * (y - level), initial=0.0))[1:])

    return levels


def page_hinkley(delta: float, alpha: float) -> Levels:
    """As ``river.drift.PageHinkley`` in mode "up" computes it, from the first unit of the reference on."""

    def levels(stream: Stream, start: int, stop: int) -> Array:
        y = (standardised(stream) if stream.family == "cost" else stream.y)[:stop]
        steps = y - np.cumsum(y) / np.arange(1, stop + 1) - delta
        if alpha == 1.0:
            walk = np.cumsum(steps)
        else:
            walk = np.array(list(accumulate(steps.tolist(), lambda level, step: alpha * level + step)))
        level: Array = walk - np.minimum.accumulate(walk)
        level[: RIVER_LEAST - 1] = -np.inf
        return level[start:]

    return levels


def window_means(stream: Stream, seconds: float, least: int = 1) -> Array:
    """Mean of the last ``seconds`` of event time at each unit; -inf on fewer than ``least`` units."""
    total = np.concatenate([[0.0], np.cumsum(stream.y)])
    left = np.searchsorted(stream.at, stream.at - seconds, side="right")
    right = np.arange(1, len(stream.y) + 1)
    means: Array = np.where(right - left >= least, (total[right] - total[left]) / (right - left), -np.inf)
    return means


def static_window(seconds: float, least: int) -> Levels:
    """A fixed threshold on a moving mean, in multiples of the reference's; of costs: of the dollars."""

    def levels(stream: Stream, start: int, stop: int) -> Array:
        normal = stream.y[: stream.reference].mean()
        found: Array = window_means(stream, seconds, least)[start:stop] / normal
        return found

    return levels


def burn_rates(stream: Stream, start: int, stop: int) -> Array:
    """The largest factor by which the workbook's burn rates could be raised and one would still page; the
    budget is the reference's own rate."""
    budget = max(float(stream.y[: stream.reference].mean()), 1.0 / stream.reference)
    level = np.zeros(stop - start)
    for factor, long, short in BURN_RATES:
        both = np.minimum(window_means(stream, long), window_means(stream, short))[start:stop]
        level = np.maximum(level, both / budget / factor)
    return level
