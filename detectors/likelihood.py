"""How well "these units share one mean" explains them: marginal likelihoods that a few sums suffice for."""

from __future__ import annotations

from math import exp, lgamma, log, log1p
from statistics import NormalDist
from typing import Protocol

CALM_UNITS = 100.0
"""Units that the normal rate counts for where nothing is said to have moved; the baseline has more."""
WILD_UNITS = 2.0
"""Units that the mean of all counts for where something has: any rate is possible."""
SPREAD = 0.3
"""Variance of a group's mean around the mean of all, in variances of a unit."""
SHRINK = 5.0
"""Units at the common mean that a group's own mean is drawn together with."""
STEPS = 8
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

    scores: list[float]
    """What stands for each unit, larger is worse."""

    def alone(self, n: int, total: float, calm: bool) -> float:
        """``n`` units that share one mean: unknown, or (``calm``) about what is normal."""

    def together(self, ours: tuple[Group, Group], others: tuple[Group, Group]) -> float:
        """Two groups, each before and after: different from the start, and then moved alike."""


def likelihood(ys: list[float], normal: float) -> Likelihood:
    """:class:`Rates` where every unit is 0 or 1, else :class:`Ranks`."""
    return Rates(ys, normal) if all(y == 0.0 or y == 1.0 for y in ys) else Ranks(ys)


class Rates:
    """Units of 0 and 1 with a beta prior on their rate: a group's likelihood is ``B(a + hits, b + misses) /
    B(a, b)``, a and b 100 units at the normal rate (calm) or 2 at the mean of all.

    Exact; the priors are choices. **Misleads** where units depend on each other.

    >>> rates = Rates([0.0] * 18 + [1.0] * 2, 0.02)
    >>> rates.alone(18, 0.0, True) + rates.alone(2, 2.0, False) > rates.alone(20, 2.0, False)
    True
    """

    __slots__ = ("_calm", "_calm_norm", "_normal", "_wild", "_wild_norm", "scores")

    def __init__(self, ys: list[float], normal: float) -> None:
        self.scores = ys
        self._normal = min(max(normal, 1e-3), 1.0 - 1e-3)
        mean = min(max((sum(ys) + 10.0 * normal) / (len(ys) + 10.0), 1e-4), 1.0 - 1e-4)
        self._calm = CALM_UNITS * self._normal, CALM_UNITS * (1.0 - self._normal)
        self._wild = WILD_UNITS * mean, WILD_UNITS * (1.0 - mean)
        self._calm_norm, self._wild_norm = log_beta(*self._calm), log_beta(*self._wild)

    def alone(self, n: int, total: float, calm: bool) -> float:
        a, b = self._calm if calm else self._wild
        return log_beta(a + total, b + n - total) - (self._calm_norm if calm else self._wild_norm)

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
                found.append(_binomial(now, min(p, 0.98)) + _binomial(since, min(q, 0.98)))
        calm = self.alone(was.n, was.total, True) + self.alone(theirs.n, theirs.total, True)
        return calm + log_sum(found) - log(2.0 * STEPS)


class Ranks:
    """Units as normal scores of their ranks (van der Waerden 1952), ties in the middle, so that one request
    of a hundred dollars is not evidence about a group; a group's mean is normal around that of all.

    ``-log(1 + n g) / 2 + n g / (1 + n g) total^2 / (2 n v)``, g = 0.3, v the scores' variance: the likelihood
    over that of a group at the mean of all. Approximate: scores are treated as normal given their group.
    """

    __slots__ = ("_variance", "scores")

    def __init__(self, ys: list[float]) -> None:
        self.scores = normal_scores(ys)
        self._variance = max(sum([z * z for z in self.scores]) / len(ys), 1e-9)

    def alone(self, n: int, total: float, calm: bool) -> float:
        if n == 0:
            return 0.0
        ng = n * SPREAD
        return 0.5 * (ng / (1.0 + ng) * total * total / (n * self._variance) - log1p(ng))

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
        calm = self.alone(was.n, was.total, True) + self.alone(theirs.n, theirs.total, True)
        return calm + stay / self._variance + self.alone(now.n + since.n, moved, False)


def normal_scores(ys: list[float]) -> list[float]:
    """The normal quantile of each unit's rank, ties in the middle, less their mean.

    >>> [round(z, 2) for z in normal_scores([3.0, 1.0, 2.0])]
    [0.97, -0.97, 0.0]
    """
    n, quantile = len(ys), NormalDist().inv_cdf
    order = sorted(range(n), key=ys.__getitem__)
    scores, start = [0.0] * n, 0
    while start < n:
        end = start
        while end < n and ys[order[end]] == ys[order[start]]:
            end += 1
        z = quantile((start + end) / 2.0 / n)
        for at in order[start:end]:
            scores[at] = z
        start = end
    mean = sum(scores) / n if n else 0.0
    return [z - mean for z in scores]


def log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_sum(logs: list[float]) -> float:
    """The logarithm of a sum of exponentials.

    >>> round(log_sum([0.0, 0.0]), 4)
    0.6931
    """
    top = max(logs)
    return top + log(sum([exp(one - top) for one in logs]))


def _binomial(group: Group, rate: float) -> float:
    return group.total * log(rate) + (group.n - group.total) * log1p(-rate)
