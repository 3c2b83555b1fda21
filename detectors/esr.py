"""The mixture e-SR detector: a Shiryaev-Roberts sum of bets against "nothing has got worse"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

BETS = 8
"""Bets in the mixture (K): enough for shifts from barely visible to total, in one detector."""
CEILING = 1e280
"""Where the statistic is held if the caller does not reset: far above any threshold, far below overflow."""


def fraction_bets(m0: float) -> tuple[float, float]:
    """Smallest and largest shift to bet on for a score-like badness in [0, 1]."""
    return 0.02, 0.4


def rate_bets(m0: float) -> tuple[float, float]:
    """Smallest and largest shift to bet on for a rate: from a fifth of it to eight times it, at most 0.6."""
    return 0.2 * m0, min(8.0 * m0, 0.6)


def rank_bets(m0: float) -> tuple[float, float]:
    """Smallest and largest shift to bet on for a rank in a reference sample, uniform when all is well."""
    return 0.02, 0.3


class MixtureESR:
    """Watches units ``y >= 0`` (larger is worse, usually in [0, 1]) for a rise of their mean above ``m0``.

    For K = 8 bets ``lam_k = min(d_k / (variance + d_k^2), 0.9 / m0)``, ``d_k`` geometric in ``bets``::

        e_k = 1 + lam_k (y - m0)       M_k <- (M_k + 1) e_k       alarm when (1/K) sum_k M_k >= threshold

    Source: Shin, Ramdas & Rinaldo, "E-detectors", arXiv 2203.03532; bets after Waudby-Smith & Ramdas,
    JRSS-B 2024.

    **Provable:** if E[y | past] <= m0 and y >= 0, then M - t is a supermartingale, so the mean run to a
    false alarm is at least ``threshold`` units and P(alarm within n units) <= n / threshold, whatever the
    distribution and the dependence. ``variance`` and ``bets`` only decide how fast it sees a true rise.
    Restarting after each alarm keeps the long-run rate of false alarms at 1 / threshold.

    **Misleads** when ``m0`` is not an upper bound of the healthy mean: estimated too low, learned over an
    incident, or a flat figure for a signal with a daily cycle. Turns of one conversation are not units:
    one good or bad topic counts many times. It never sees an improvement, and it forgets nothing by itself.

    **Change point** (heuristic): the unit at which the bet with the largest CUSUM path last started from
    zero; typical errors are in docs/detectors.md.

    Runs of ``y == 0``, the usual value of a rate, are counted and applied together in closed form,
    ``M -> M q + f (1 - q)`` with ``q = (1 - lam m0)^j`` and ``f`` the fixed point, which is the same
    recursion. It misses no alarm: a zero moves the sum by less than ``K - K rho (threshold - 1)`` when the
    sum is near the threshold, ``rho = lam_1 m0`` being the smallest bet's loss; that is negative when
    ``threshold > 1 + 1 / rho``. Where it is not, or ``m0 > 0.1``, zeros are applied one by one.

    Not idempotent: keep the last applied position beside its state.

    >>> detector = MixtureESR(m0=0.1, variance=0.09, bets=rate_bets(0.1), threshold=1000.0)
    >>> [detector.update(0.0) for _ in range(100)].count(True)
    0
    >>> next(unit for unit in range(1000) if detector.update(1.0))
    6
    >>> detector.change_point()
    100
    """

    __slots__ = ("_eager", "_lam", "_m", "_needed", "_p", "_s", "_zero", "_zeros", "m0", "n", "threshold")

    def __init__(self, m0: float, variance: float, bets: tuple[float, float], threshold: float) -> None:
        if not (m0 > 0.0 and variance >= 0.0 and 0.0 < bets[0] <= bets[1] and threshold >= 1.0):
            raise ValueError(
                f"not positive: m0 {m0}, variance {variance}, bets {bets}, threshold {threshold}"
            )
        low, high = bets
        shifts = [low * (high / low) ** (k / (BETS - 1)) for k in range(BETS)]
        self.m0 = m0
        self.threshold = threshold
        self._needed = threshold * BETS
        self._lam: tuple[float, ...] = tuple(min(d / (variance + d * d), 0.9 / m0) for d in shifts)
        self._zero: tuple[float, ...] = tuple(1.0 - lam * m0 for lam in self._lam)
        # Zeros wait only where they are the rule (else there is no run to save), and where it is safe.
        self._eager = m0 > 0.1 or threshold <= 1.0 + 1.0 / (min(self._lam) * m0)
        self.reset()

    @property
    def bets(self) -> tuple[float, ...]:
        """``lam_k``: how much each component stakes."""
        return self._lam

    def reset(self) -> None:
        """Start from nothing: after an alarm."""
        self.n = 0
        self._zeros = 0
        self._m: tuple[float, ...] = (0.0,) * BETS
        self._p: tuple[float, ...] = (0.0,) * BETS
        self._s = [0] * BETS

    def update(self, y: float) -> bool:
        """Absorb one unit; whether the statistic has reached the threshold."""
        return self.run((y,), self._needed) == 0

    def step(self, y: float) -> float:
        """Absorb one unit, zero or not, at once; K times the statistic."""
        if self._zeros:
            self._apply_zeros()
        return self._absorb((y,), math.inf)[1]

    def run(self, ys: Sequence[float], limit: float | None = None) -> int:
        """Absorb units up to the first that brings K times the statistic to ``limit`` (the threshold's).

        Returns that unit's index, or ``len(ys)`` if all were absorbed. How units are split over calls
        changes nothing.
        """
        needed = self._needed if limit is None else limit
        if self._eager:
            return self._absorb(ys, needed)[0]
        done = 0
        for at, y in enumerate(ys):
            if y != 0.0:
                self._zeros += at - done
                self.n += at - done
                done = at + 1
                if self.step(y) >= needed:
                    return at
        rest = len(ys) - done
        self._zeros += rest
        self.n += rest
        return len(ys)

    def skip(self, units: int) -> None:
        """Absorb this many zeros, where they may wait (see above)."""
        if self._eager:
            self.run((0.0,) * units, math.inf)
        else:
            self._zeros += units
            self.n += units

    def _absorb(self, ys: Sequence[float], needed: float) -> tuple[int, float]:
        """The recursion, zeros and all, up to the first sum of at least ``needed``: its index
        (``len(ys)`` if there is none) and the last sum. Unrolled: the hottest code of Gleaner."""
        m0, n, since = self.m0, self.n, self._s
        l0, l1, l2, l3, l4, l5, l6, l7 = self._lam
        a0, a1, a2, a3, a4, a5, a6, a7 = self._m
        p0, p1, p2, p3, p4, p5, p6, p7 = self._p
        total = 0.0
        for y in ys:
            if y == 0.0:
                e0, e1, e2, e3, e4, e5, e6, e7 = self._zero
            else:
                d = y - m0
                e0 = 1.0 + l0 * d
                e1 = 1.0 + l1 * d
                e2 = 1.0 + l2 * d
                e3 = 1.0 + l3 * d
                e4 = 1.0 + l4 * d
                e5 = 1.0 + l5 * d
                e6 = 1.0 + l6 * d
                e7 = 1.0 + l7 * d
            a0 = (a0 + 1.0) * e0
            a1 = (a1 + 1.0) * e1
            a2 = (a2 + 1.0) * e2
            a3 = (a3 + 1.0) * e3
            a4 = (a4 + 1.0) * e4
            a5 = (a5 + 1.0) * e5
            a6 = (a6 + 1.0) * e6
            a7 = (a7 + 1.0) * e7
            # The CUSUM paths as products: a path at or below 1 starts again at the next bad unit.
            if y > m0:
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
        return (at - 1 if total >= needed else at), total

    def _apply_zeros(self) -> None:
        count, self._zeros = self._zeros, 0
        powers: list[float] = [zero**count for zero in self._zero]
        self._m = tuple(
            [
                m * q + zero / (1.0 - zero) * (1.0 - q)
                for m, q, zero in zip(self._m, powers, self._zero, strict=True)
            ]
        )
        self._p = tuple([p * q for p, q in zip(self._p, powers, strict=True)])

    def statistic(self) -> float:
        """The mean of the bets' sums, to be held against ``threshold``; its log10 is the evidence to show."""
        if self._zeros:
            q: list[float] = [zero**self._zeros for zero in self._zero]
            sums: list[float] = [
                self._m[k] * q[k] + self._zero[k] / (1.0 - self._zero[k]) * (1.0 - q[k]) for k in range(BETS)
            ]
            return sum(sums) / BETS
        return sum(self._m) / BETS

    def zero_gain(self) -> float:
        """How much any number of zeros can add to K times the statistic: the sum of the fixed points."""
        return sum([zero / (1.0 - zero) for zero in self._zero])

    def leader(self) -> tuple[float, int]:
        """The largest CUSUM path (as a product; 1 is nothing) and the unit since reset where it started.

        Where no path is above 1 nothing has changed yet, and the unit is the next one.
        """
        paths: list[float] = [p * zero**self._zeros for p, zero in zip(self._p, self._zero, strict=True)]
        best = max(range(BETS), key=paths.__getitem__)
        return (paths[best], self._s[best]) if paths[best] > 1.0 else (1.0, self.n)

    def change_point(self) -> int:
        """Units since reset at which the change is placed."""
        return self.leader()[1]

    def evidence(self) -> float:
        """log10 of the statistic: 0 is none, ``log10(threshold)`` is an alarm."""
        return math.log10(max(self.statistic(), 1.0))

    def snapshot(self) -> dict[str, Any]:
        return {"n": self.n, "z": self._zeros, "m": self._m, "p": self._p, "s": list(self._s)}

    def restore(self, state: dict[str, Any]) -> None:
        self.n = state["n"]
        self._zeros = state["z"]
        self._m = tuple(state["m"])
        self._p = tuple(state["p"])
        self._s = list(state["s"])
