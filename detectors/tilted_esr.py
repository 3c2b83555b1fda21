"""The e-SR on ranks: bets that grow with how far above the others a unit ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, Final

from detectors.esr import BETS, CEILING

POSITIONS: Final = 2_002
"""Ranks are told apart in so many steps: all of a sample of 1,000, and the middles of ties."""
TILTS: Final = (0.07, 1.6)
"""Smallest and largest shift to bet on, in standard deviations of the normal scores."""
CAP: Final = 0.99
"""Above this rank all units weigh the same: how far the tail has grown is another view's business, and a
burst of four requests dearer than any before is no proof that all have become dear."""
KEPT: Final = 0.1
"""Part of the wealth that no bet stakes, so that one cheap request costs a bet at most nine tenths."""

Weights = tuple[float, float, float, float, float, float, float, float]


def _weights() -> tuple[Weights, ...]:
    normal, (low, high) = NormalDist(), TILTS
    tilts = [low * (high / low) ** (k / (BETS - 1)) for k in range(BETS)]
    rows = []
    for position in range(POSITIONS):
        z = normal.inv_cdf(min(max(position, 1) / POSITIONS, CAP))
        w0, w1, w2, w3, w4, w5, w6, w7 = [math.exp(tilt * z) for tilt in tilts]
        rows.append((w0, w1, w2, w3, w4, w5, w6, w7))
    return tuple(rows)


WEIGHTS: Final = _weights()
"""``w_k`` by position: ``exp(tilt_k z)``, z the normal score of the rank."""
_EQUALLY_LIKELY = WEIGHTS[1::2]
USUAL: Final = tuple([math.fsum([row[k] for row in _EQUALLY_LIKELY]) / 1_001 for k in range(BETS)])
"""Means of the weights when all is well: the rank of a unit that is like those of the sample is uniform."""
VARIANCE: Final = tuple(
    [math.fsum([(row[k] - USUAL[k]) ** 2 for row in _EQUALLY_LIKELY]) / 1_001 for k in range(BETS)]
)
"""Variances of the weights when all is well."""


def position(below: int, up_to: int, size: int) -> int:
    """Where a unit with so many of the sample's ``size`` below it, and so many up to and with it, stands.

    Rounded down, so that a small sample exaggerates nothing.

    >>> position(0, 0, 1000), position(1000, 1000, 1000), position(0, 200, 200)
    (1, 2001, 1001)
    """
    return (below + up_to + 1) * (POSITIONS // 2) // (size + 1)


class TiltedESR:
    """Watches ranks in a reference sample for a shift upwards of whatever size.

    For K = 8 tilts ``t_k``, geometric from 0.07 to 1.6, and the normal score z of a unit's rank, capped at
    the 99th percentile::

        w_k = exp(t_k z)    e_k = 0.1 + 0.9 w_k / m_k    M_k <- (M_k + 1) e_k    alarm when mean M_k >= A

    A is the threshold, ``m_k`` an upper bound of the mean of ``w_k`` when all is well (:data:`USUAL`, with a
    margin for the sample), so that E[e_k | past] <= 1.

    Source: the e-SR of Shin, Ramdas & Rinaldo, arXiv 2203.03532; weights: exponential tilting of normal
    scores, the likelihood ratio of a normal shift (van der Waerden 1952; as bets on ranks: Vovk, Gammerman &
    Shafer, "Algorithmic Learning in a Random World", 2005, 7.1). A bet linear in the rank can at most double:
    that needs 17 requests for a factor of 3, where these need 9 (docs/decisions/0030).

    **Provable:** with means of ``w_k`` at most ``m_k``, E[T] >= threshold and P(T <= n) <= n / threshold. For
    units exchangeable with the sample's, without ties, the means are ``USUAL``; ties lower those of the large
    bets, and raise those of the small ones by up to 0.3 % (w is concave in the rank far below the middle),
    which the caller adds (:func:`detectors.cost_normal.normal`).
    **Misleads** where the sample is not what is normal, and in bursts: requests that one broken client
    repeats are not independent, five above the 99th percentile in a row are an alarm at a threshold of
    50,000.

    **Change point** (heuristic): as :class:`~detectors.esr.MixtureESR`'s.

    >>> detector = TiltedESR(USUAL, threshold=1000.0)
    >>> detector.run([1001] * 500), detector.run([1981] * 20)
    (500, 3)
    >>> detector.leader()[1]
    500
    """

    __slots__ = ("_gains", "_m", "_needed", "_p", "_s", "m0", "n", "threshold")

    def __init__(self, m0: Sequence[float], threshold: float) -> None:
        if len(m0) != BETS or not min(m0) > 0.0 or not threshold >= 1.0:
            raise ValueError(f"not {BETS} positive means, or a threshold below 1: {m0}, {threshold}")
        self.m0 = tuple(m0)
        self.threshold = threshold
        self._needed = threshold * BETS
        self._gains = tuple([(1.0 - KEPT) / m for m in m0])
        self.reset()

    def reset(self) -> None:
        """Start from nothing: after an alarm."""
        self.n = 0
        self._m: tuple[float, ...] = (0.0,) * BETS
        self._p: tuple[float, ...] = (0.0,) * BETS
        self._s = [0] * BETS

    def step(self, place: int) -> float:
        """Absorb one unit; K times the statistic."""
        self.run((place,), math.inf)
        return sum(self._m)

    def run(self, positions: Sequence[int], limit: float | None = None) -> int:
        """Absorb units up to the first that brings K times the statistic to ``limit`` (the threshold's).

        Returns that unit's index, or ``len(positions)`` if all were absorbed. How units are split over
        calls changes nothing.
        """
        needed = self._needed if limit is None else limit
        n, since, bar = self.n, self._s, self.m0[0]
        g0, g1, g2, g3, g4, g5, g6, g7 = self._gains
        a0, a1, a2, a3, a4, a5, a6, a7 = self._m
        p0, p1, p2, p3, p4, p5, p6, p7 = self._p
        total = 0.0
        for place in positions:
            w0, w1, w2, w3, w4, w5, w6, w7 = WEIGHTS[place]
            e0 = KEPT + g0 * w0
            e1 = KEPT + g1 * w1
            e2 = KEPT + g2 * w2
            e3 = KEPT + g3 * w3
            e4 = KEPT + g4 * w4
            e5 = KEPT + g5 * w5
            e6 = KEPT + g6 * w6
            e7 = KEPT + g7 * w7
            a0 = (a0 + 1.0) * e0
            a1 = (a1 + 1.0) * e1
            a2 = (a2 + 1.0) * e2
            a3 = (a3 + 1.0) * e3
            a4 = (a4 + 1.0) * e4
            a5 = (a5 + 1.0) * e5
            a6 = (a6 + 1.0) * e6
            a7 = (a7 + 1.0) * e7
            # The CUSUM paths as products: below the smallest bet's bar no bet gains, so no path can start.
            if w0 > bar:
                if p0 <= 1.0:
                    p0, since[0] = 1.0, n
                if p1 <= 1.0:
                    p1, since[1] = 1.0, n
                if p2 <= 1.0:
                    p2, since[2] = 1.0, n
                if p3 <= 1.0:
                    p3, since[3] = 1.0, n
                if p4 <= 1.0:
                    p4, since[4] = 1.0, n
                if p5 <= 1.0:
                    p5, since[5] = 1.0, n
                if p6 <= 1.0:
                    p6, since[6] = 1.0, n
                if p7 <= 1.0:
                    p7, since[7] = 1.0, n
            elif not n & 127:
                # No path at or below 1 differs from another: keep them from sinking into slow denormals.
                p0, p1, p2, p3, p4, p5, p6, p7 = [max(p, 1.0) for p in (p0, p1, p2, p3, p4, p5, p6, p7)]
            p0 *= e0
            p1 *= e1
            p2 *= e2
            p3 *= e3
            p4 *= e4
            p5 *= e5
            p6 *= e6
            p7 *= e7
            n += 1
            total = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7
            if total >= needed:
                break
        at = n - self.n
        self.n = n
        self._m = (a0, a1, a2, a3, a4, a5, a6, a7)
        self._p = (p0, p1, p2, p3, p4, p5, p6, p7)
        if total > CEILING:
            self._m = tuple([min(m, CEILING) for m in self._m])
            self._p = tuple([min(p, CEILING) for p in self._p])
        return at - 1 if total >= needed else at

    def statistic(self) -> float:
        """The mean of the bets' sums, to be held against ``threshold``."""
        return sum(self._m) / BETS

    def leader(self) -> tuple[float, int]:
        """The largest CUSUM path (as a product; 1 is nothing) and the unit since reset where it started.

        Where no path is above 1 nothing has changed yet, and the unit is the next one.
        """
        best = max(range(BETS), key=self._p.__getitem__)
        return (self._p[best], self._s[best]) if self._p[best] > 1.0 else (1.0, self.n)

    def snapshot(self) -> dict[str, Any]:
        return {"n": self.n, "m": self._m, "p": self._p, "s": list(self._s)}

    def restore(self, state: dict[str, Any]) -> None:
        self.n = state["n"]
        self._m = tuple(state["m"])
        self._p = tuple(state["p"])
        self._s = list(state["s"])
