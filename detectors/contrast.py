"""Is one group of units worse than another? One-sided tests for a handful of comparisons at an alarm."""

from __future__ import annotations

from itertools import groupby
from math import comb, erfc, sqrt


def worse(units: list[float], others: list[float]) -> float:
    """The p-value of "``units`` tend to be larger than ``others``", against "no difference".

    Fisher's exact test where every unit is 0 or 1, else the rank-sum test (Mann & Whitney 1947) with its
    normal approximation, tie correction and continuity correction. Ranks, because one request of a hundred
    dollars is not evidence about a group. 1.0 where a group is empty.

    Exact under the null for 0/1 units; an approximation for ranks that is conservative for groups of five.
    Misleads where units depend on each other, like every test of its kind.

    >>> worse([1.0] * 5, [0.0] * 50) < 1e-6
    True
    >>> round(worse([0.0, 0.5, 1.0], [0.0, 0.5, 1.0]), 2)
    0.59
    """
    if not units or not others:
        return 1.0
    if all(y == 0.0 or y == 1.0 for y in units) and all(y == 0.0 or y == 1.0 for y in others):
        hits = round(sum(units))
        return fisher(hits, len(units), hits + round(sum(others)), len(units) + len(others))
    return rank_sum(units, others)


def fisher(hits: int, size: int, all_hits: int, everything: int) -> float:
    """P(at least ``hits`` of the ``all_hits`` fall into ``size`` drawn from ``everything``).

    >>> fisher(2, 2, 2, 4) == 1 / 6
    True
    """
    ways = sum(
        comb(all_hits, k) * comb(everything - all_hits, size - k)
        for k in range(hits, min(size, all_hits) + 1)
        if size - k <= everything - all_hits
    )
    return ways / comb(everything, size)


def rank_sum(units: list[float], others: list[float]) -> float:
    """One-sided p-value of the rank-sum test."""
    n, m = len(units), len(others)
    everything = sorted([(y, True) for y in units] + [(y, False) for y in others])
    rank, rank_total, tie_loss = 0, 0.0, 0
    for _, group in groupby(everything, key=lambda pair: pair[0]):
        ours = [mine for _, mine in group]
        ties = len(ours)
        rank_total += sum(ours) * (rank + (ties + 1) / 2.0)
        tie_loss += ties**3 - ties
        rank += ties
    variance = n * m / 12.0 * (rank + 1 - tie_loss / (rank * (rank - 1)))
    if variance <= 0.0:
        return 1.0
    above = rank_total - n * (n + 1) / 2.0 - n * m / 2.0 - 0.5
    return 0.5 * erfc(above / sqrt(2.0 * variance))
