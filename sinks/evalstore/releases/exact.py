"""Exact statistics of counts: binomial and Poisson tails, and the intervals that follow from them.

No approximation by a normal distribution anywhere: a slice may have five cases, and a failure may have come
back once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

LEVEL = 0.95
_STEPS = 200
_TINY = 1e-300


class Interval(NamedTuple):
    """``low`` to ``high``, both included; ``high`` may be infinite."""

    low: float
    high: float


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p).

    >>> round(binomial_cdf(1, 2, 0.5), 12), binomial_cdf(5, 5, 0.9)
    (0.75, 1.0)
    """
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    return _beta(n - k, k + 1, 1.0 - p)


def sign_test(worse: int, better: int) -> float:
    """P(at least ``worse`` of worse + better coins fall on worse): the exact one-sided McNemar test.

    Of cases that have the same result twice nothing is learned; of those that differ, half would get worse if
    nothing had changed. Exact in integers. (McNemar, Psychometrika 12, 1947; Fagerland, Lydersen, Laake, BMC
    Med. Res. Methodol. 13:91, 2013.) Misleads where the same case's results depend on each other through
    something other than the case, such as one outage that hits many.

    >>> sign_test(5, 0), sign_test(0, 0), sign_test(1, 3)
    (0.03125, 1.0, 0.9375)
    """
    n = worse + better
    return sum(math.comb(n, k) for k in range(worse, n + 1)) / (1 << n)


def clopper_pearson(k: int, n: int, level: float = LEVEL) -> Interval:
    """For the probability behind k of n (Clopper and Pearson, Biometrika 26, 1934); (0, 1) where n is 0.

    >>> low, high = clopper_pearson(8, 10)
    >>> round(low, 4), round(high, 4)
    (0.4439, 0.9748)
    """
    tail = (1 - level) / 2
    low = _root(lambda p: 1 - binomial_cdf(k - 1, n, p) < tail, 1.0) if k else 0.0
    high = _root(lambda p: binomial_cdf(k, n, p) > tail, 1.0) if k < n else 1.0
    return Interval(low, high)


def poisson_mean(k: int, level: float = LEVEL) -> Interval:
    """For the mean behind k events (Garwood, Biometrika 28, 1936).

    >>> low, high = poisson_mean(10)
    >>> round(low, 3), round(high, 3), round(poisson_mean(0).high, 3)
    (4.795, 18.39, 3.689)
    """
    tail = (1 - level) / 2
    most = k + 20 * math.sqrt(k + 1) + 40
    low = _root(lambda mean: 1 - _poisson_cdf(k - 1, mean) < tail, most) if k else 0.0
    return Interval(low, _root(lambda mean: _poisson_cdf(k, mean) > tail, most))


def rate_ratio(before: int, exposure_before: float, after: int, exposure_after: float) -> Interval:
    """For the rate after over the rate before: given their sum, the later count is binomial.

    (Przyborowski and Wilenski, Biometrika 31, 1940; 95 %.) Misleads where events come in bursts: they are
    then less certain than their number.

    >>> low, high = rate_ratio(20, 1000.0, 5, 1000.0)
    >>> round(low, 3), round(high, 3)
    (0.073, 0.686)
    """
    if not before + after or exposure_before <= 0 or exposure_after <= 0:
        return Interval(0.0, math.inf)
    low, high = clopper_pearson(after, before + after)
    scale = exposure_before / exposure_after
    return Interval(low / (1 - low) * scale, math.inf if high >= 1 else high / (1 - high) * scale)


def _root(below: Callable[[float], bool], most: float) -> float:
    """Where a condition that holds from 0 on ceases to hold, by halving."""
    low, high = 0.0, most
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if below(middle):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by Lentz's continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _beta(b, a, 1.0 - x)
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    c, d = 1.0, 1.0 / _off_zero(1.0 - (a + b) * x / (a + 1))
    product = d
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _off_zero(1.0 + term * d)
            c = _off_zero(1.0 + term / c)
            product *= d * c
        if abs(d * c - 1.0) < 1e-15:
            break
    return math.exp(logs) * product / a


def _poisson_cdf(k: int, mean: float) -> float:
    """P(X <= k), by the sum of its terms from the largest down, and from there up to k."""
    if mean <= 0 or k < 0:
        return 1.0 if k >= 0 else 0.0
    logs = (i * math.log(mean) - mean - math.lgamma(i + 1) for i in range(k + 1))
    return min(1.0, math.fsum(math.exp(each) for each in logs if each > -745))


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
