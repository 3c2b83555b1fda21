"""How surely a value is known: a 95 % interval about the mean of some units."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from schemas.catalog import Measure

Z = 1.959964
"""Of a two-sided 95 % interval."""
LEAST = 8
"""Units below which an interval of a mean would be made up."""


def interval(measure: Measure, mean: float, n: int, ys: Sequence[float]) -> tuple[float, float] | None:
    """Between which two values the mean of ``n`` units lies (95 %); ``ys`` are those that are remembered.

    Wilson's score interval for a rate (E. B. Wilson, JASA 22, 1927), which stays between 0 and 1 and holds
    for rare things; the normal one for scores and amounts, by the spread of ``ys``. None for fewer than
    eight units, and for what has no mean.

    **Misleads**: the units are those since an *estimated* change, which was chosen because they stand out,
    so the true mean lies a little nearer to the baseline more often than 5 % says; and units that hang
    together (one user's) count as if they did not. It says how much a number may be off by, not whether
    something happened: that is the detector's business.

    >>> [round(bound, 3) for bound in interval(Measure.RATE, 0.1, 100, [])]
    [0.055, 0.174]
    >>> interval(Measure.SCORE, 0.5, 4, [0.5] * 4) is None
    True
    """
    if n < LEAST:
        return None
    if measure is Measure.RATE:
        centre = mean + Z * Z / (2 * n)
        half = Z * sqrt(max(mean * (1.0 - mean), 0.0) / n + Z * Z / (4 * n * n))
        scale = 1.0 + Z * Z / n
        return max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0)
    if len(ys) < LEAST or measure is Measure.EVENT:
        return None
    middle = sum(ys) / len(ys)
    variance = sum([(y - middle) ** 2 for y in ys]) / (len(ys) - 1)
    half = Z * sqrt(variance / n)
    low, high = max(mean - half, 0.0), mean + half
    return low, min(high, 1.0) if measure is Measure.SCORE else high
