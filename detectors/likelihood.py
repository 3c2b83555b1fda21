"""How well "these units share one mean" explains them: marginal likelihoods that a few sums suffice for."""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from typing import Protocol

from detectors.series import Series

CALM_UNITS = 100.0
"""Units that the normal rate counts for where nothing is said to have moved; the baseline has more."""
WILD_UNITS = 2.0
"""Units that the mean of all counts for where something has: any rate is possible."""
LEAST_DISPERSION = 0.2
"""Shares never count for more than five units of 0 and 1, however little they vary."""
SHRINK = 5.0
"""Units at the common mean that a group's own mean is drawn together with."""
STEPS = 8
LOG_2 = log(2.0)
RISES = tuple(0.005 * 1.9**step for step in range(STEPS))
FACTORS = tuple(1.3 * 1.5**step for step in range(STEPS))


class Group:
    """Number and sum of some units; the sum is of :attr:`Likelihood.scores`."""

    __slots__ = ("n", "total")

    def __init__(self, n: int, total: float) -> None:
        self.n = n
        self.total = total


class Likelihood(Protocol):
    """Log marginal likelihoods of groups of units, comparable with each other for one and the same units."""

    normal: float

    def score(self, n: int, total: float) -> float:
        """What stands for the sum of ``n`` units."""

    def alone(self, n: int, total: float, calm: bool) -> float:
        """``n`` units that share one mean: unknown, or (``calm``) about what is normal."""

    def together(self, ours: tuple[Group, Group], others: tuple[Group, Group]) -> float:
        """Two groups, each before and after: different from the start, and then moved alike."""


def likelihood(series: Series, normal: float) -> Likelihood:
    """:class:`Rates` where every unit lies between 0 and 1, else :class:`Means`."""
    return Rates(series, normal) if series.shares else Means(series, normal)


class Rates:
    """Units of 0 and 1, or fractions, with a beta prior on their mean: a group's likelihood is
    ``B(a + hits, b + misses) / B(a, b)``, a and b 100 units at the normal rate (calm) or 2 at the
    mean of all.

    Exact for 0 and 1; the priors are choices. Of fractions a quasi-likelihood (Wedderburn, Biometrika 61,
    1974): units that vary by a part ``dispersion`` of what 0 and 1 would count for 1 / dispersion of those.
    It is careful, since units from before and after a move vary more than either. **Misleads** where units
    depend on each other.

    >>> rates = Rates(Series([0, 18], [18, 2], [0.0, 2.0], {}, True, 0.0), 0.02)
    >>> rates.alone(18, 0.0, True) + rates.alone(2, 2.0, False) > rates.alone(20, 2.0, False)
    True
    """

    __slots__ = ("_calm", "_calm_norm", "_normal", "_weight", "_wild", "_wild_norm", "normal")

    def __init__(self, series: Series, normal: float) -> None:
        self.normal = normal
        self._normal = min(max(normal, 1e-3), 1.0 - 1e-3)
        self._weight = 1.0 / min(max(series.dispersion, LEAST_DISPERSION), 1.0)
        n, hits = sum(series.ns), sum(series.totals)
        mean = min(max((hits + 10.0 * normal) / (n + 10.0), 1e-4), 1.0 - 1e-4)
        self._calm = CALM_UNITS * self._normal, CALM_UNITS * (1.0 - self._normal)
        self._wild = WILD_UNITS * mean, WILD_UNITS * (1.0 - mean)
        self._calm_norm, self._wild_norm = log_beta(*self._calm), log_beta(*self._wild)

    def score(self, n: int, total: float) -> float:
        return total

    def alone(self, n: int, total: float, calm: bool) -> float:
        hits, misses = self._weight * total, self._weight * (n - total)
        a, b = self._wild
        wild = log_beta(a + hits, b + misses) - self._wild_norm
        if not calm:
            return wild
        a, b = self._calm
        return _either(log_beta(a + hits, b + misses) - self._calm_norm, wild)

    def together(self, ours: tuple[Group, Group], others: tuple[Group, Group]) -> float:
        """Both rates rise by one difference, or by one factor: eight of each, alike likely beforehand."""
        (was, now), (theirs, since) = ours, others
        n, hits = was.n + theirs.n, was.total + theirs.total
        usual = (hits + CALM_UNITS * self._normal) / (n + CALM_UNITS)
        mine = (was.total + SHRINK * usual) / (was.n + SHRINK)
        other = (theirs.total + SHRINK * usual) / (theirs.n + SHRINK)
        found = []
        for rise, factor in zip(RISES, FACTORS, strict=True):
            for p, q in ((mine + rise, other + rise), (mine * factor, other * factor)):
                after = _binomial(now, min(p, 0.98)) + _binomial(since, min(q, 0.98))
                found.append(self._weight * after)
        before = self.alone(was.n, was.total, True) + self.alone(theirs.n, theirs.total, True)
        return before + log_sum(found) - log(2.0 * STEPS)


class Means:
    """Units of any size, normal around a mean that is itself normal around what is usual: with a hundredth
    of the units' variance v (calm), or all of it.

    ``n g / (1 + n g) S^2 / (2 n v) - log(1 + n g) / 2``, S the sum of a group's excess over normal: its
    likelihood over that of a group exactly at normal. Approximate; for logarithms of amounts.
    """

    __slots__ = ("_variance", "normal")

    def __init__(self, series: Series, normal: float) -> None:
        self.normal = normal
        self._variance = max(series.variance, 1e-9)

    def score(self, n: int, total: float) -> float:
        return total - n * self.normal

    def alone(self, n: int, total: float, calm: bool) -> float:
        if n == 0:
            return 0.0
        square = total * total / (n * self._variance)
        wild = 0.5 * (n / (1.0 + n) * square - log1p(n))
        if not calm:
            return wild
        ng = n / CALM_UNITS
        return _either(0.5 * (ng / (1.0 + ng) * square - log1p(ng)), wild)

    def together(self, ours: tuple[Group, Group], others: tuple[Group, Group]) -> float:
        """Both means rise by one difference, normal around nothing."""
        (was, now), (theirs, since) = ours, others
        n = was.n + theirs.n
        usual = (was.total + theirs.total) / n if n else 0.0
        mine = (was.total + SHRINK * usual) / (was.n + SHRINK)
        other = (theirs.total + SHRINK * usual) / (theirs.n + SHRINK)
        stay = now.total * mine - now.n * mine * mine / 2.0
        stay += since.total * other - since.n * other * other / 2.0
        moved = now.total - now.n * mine + since.total - since.n * other
        before = self.alone(was.n, was.total, True) + self.alone(theirs.n, theirs.total, True)
        return before + stay / self._variance + self.alone(now.n + since.n, moved, False)


def log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_sum(logs: list[float]) -> float:
    """The logarithm of a sum of exponentials.

    >>> round(log_sum([0.0, 0.0]), 4)
    0.6931
    """
    top = max(logs)
    return top + log(sum([exp(one - top) for one in logs]))


def _either(one: float, other: float) -> float:
    """One of two, alike likely beforehand."""
    top = max(one, other)
    return top + log1p(exp(-abs(one - other))) - LOG_2


def _binomial(group: Group, rate: float) -> float:
    return group.total * log(rate) + (group.n - group.total) * log1p(-rate)
