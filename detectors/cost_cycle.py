"""Whether costs differ by the hour of the day, and what a baseline may make of it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from enum import IntEnum
from math import fsum, sqrt
from statistics import stdev

from detectors.baseline import CYCLE
from detectors.cost_reference import (
    FREE,
    GRID,
    HOUR_UNITS,
    MINUTE_MS,
    RANK_VARIANCE,
    CostReference,
    season,
)

MOST_MOVED = 2.0
"""Standard errors of an hour's mean rank by which one standard error of its mean log cost may move it: 0.98
where log costs are normal, 1.7 where they are exponential, dozens where half of them are one price."""
HOURLY_RANKS = 51.18
"""Chi-square with 24 degrees of freedom at 0.1 %: hours whose mean ranks differ by more are not alike."""


class Cycle(IntEnum):
    """What a baseline makes of the time of day."""

    UNSEEN = 0
    """Too few requests in some hour: a rise by ``FLAT_TOLERANCE`` is forgiven."""
    NONE = 1
    """One sample for all hours, ties and all: a profile would do harm (see ``DEAREST``), and the hours don't
    differ (chi-square test at 5 %)."""
    BY_HOUR = 2
    """Each hour's mean log cost is subtracted, and a margin for its error."""
    DEAREST = 3
    """The hours differ, but costs have so few values, or lie so close together, that an error of an hour's
    mean would move whole prices past each other. The sample is as it is, and the dearest hour is defended."""


def cycle_of(reference: CostReference, hours: Sequence[tuple[int, float]]) -> tuple[Cycle, tuple[float, ...]]:
    """What to make of the time of day, and the mean log cost at -0.5, 0.5, ... 24.5 h where it is subtracted.

    ``hours`` are :meth:`~detectors.cost_reference.CostReference.hours`.
    """
    if not hours:
        return Cycle.UNSEEN, ()
    paid = _paid(reference)
    if len(paid) < HOUR_UNITS:
        return Cycle.NONE, ()
    means = [mean / GRID for _, mean in hours]
    profile = (means[23], *means, means[0])
    residuals = [logged - season(profile, minute * MINUTE_MS) for logged, minute in paid]
    at = [minute // 60 % 24 for _, minute in paid]
    if (
        _moved(residuals, [n for n, _ in hours]) <= MOST_MOVED
        and _hourly_ranks(residuals, at) <= HOURLY_RANKS
    ):
        return Cycle.BY_HOUR, profile
    usual = reference.usual
    spread = fsum([n * (mean - usual) ** 2 for n, mean in hours])
    return (Cycle.DEAREST if spread > CYCLE * _within(paid, hours) else Cycle.NONE), ()


def dearest(reference: CostReference, hours: Sequence[tuple[int, float]], errors: float) -> float:
    """How far above all the paid requests of the dearest hour may be, on the grid."""
    paid = _paid(reference)
    within = _within(paid, hours)
    return max([mean + errors * sqrt(within / n) for n, mean in hours]) - reference.usual


def fewest_free(reference: CostReference, errors: float) -> float:
    """The least share of free requests that an hour may have: that of all, where the hours don't differ."""
    hours, share = reference.free_hours(), reference.free
    variance = share * (1.0 - share)
    if not hours or sum([n * (one - share) ** 2 for n, one in hours]) <= CYCLE * variance:
        return share
    return max(min([one - errors * sqrt(variance / n) for n, one in hours]), 0.0)


def _paid(reference: CostReference) -> list[tuple[int, int]]:
    """Of the sample's paid requests their log costs and minutes."""
    return [(logged, minute) for _, logged, minute in reference.sample.entries() if logged != FREE]


def _within(paid: Sequence[tuple[int, int]], hours: Sequence[tuple[int, float]]) -> float:
    """Variance of log costs ``(logged, minute)`` about the means of their hours."""
    return fsum([(logged - hours[minute // 60 % 24][1]) ** 2 for logged, minute in paid]) / len(paid)


def _moved(residuals: Sequence[int], counts: Sequence[int]) -> float:
    """How far a mean rank moves when an hour's mean is wrong by its standard error: in standard errors of
    that hour's mean rank, in the hour where it is most."""
    ordered, deviation = sorted(residuals), stdev(residuals)
    most = 0.0
    for n in {min(counts), max(counts)}:
        shift = int(deviation / sqrt(n))
        above = fsum([_middle(ordered, r + shift) for r in ordered]) / len(ordered) - len(ordered) / 2.0
        most = max(most, above / len(ordered) / sqrt(RANK_VARIANCE / n))
    return most


def _hourly_ranks(residuals: Sequence[int], at: Sequence[int]) -> float:
    """Chi-square of the mean ranks of the sample's requests by the hour, against a half each."""
    ordered = sorted(residuals)
    sums, counts = [0.0] * 24, [0] * 24
    for r, hour in zip(residuals, at, strict=True):
        sums[hour] += _middle(ordered, r) / len(ordered) - 0.5
        counts[hour] += 1
    return sum([total * total / n for total, n in zip(sums, counts, strict=True) if n]) / RANK_VARIANCE


def _middle(ordered: Sequence[int], r: int) -> float:
    """Middle of the ranks of what is equal to ``r``."""
    left = bisect_left(ordered, r)
    return (left + bisect_right(ordered, r, left)) / 2.0
