"""Counts that are too many or too few: e-SRs on where each count stands in its law, in both directions."""

from __future__ import annotations

from math import log10, sqrt
from typing import Any

from detectors.esr import MixtureESR, rank_bets

LEAST_P = 2.0**-14
"""No single bucket counts as less likely than this: three in a row are needed for any alarm."""
UNIFORM_VARIANCE = 1.0 / 12.0


def calibrated(p: float) -> float:
    """The e-value ``1 / (2 sqrt(p))`` of a p-value, with p held at 2^-14: 64 at most.

    Its mean is at most 1 for a p that is uniform or larger (Vovk & Wang 2021, Annals of Statistics 49:1736).

    >>> calibrated(1.0), calibrated(0.25), calibrated(1e-12)
    (0.5, 1.0, 64.0)
    """
    return 0.5 / sqrt(max(p, LEAST_P))


class CountESR:
    """Four Shiryaev-Roberts sums, averaged: rises and falls, each by bets on the mean and by its tail.

    With u the randomised standing of a count in the law that is defended upwards, v downwards::

        bets:  the mixture e-SR on u (rises) and 1 - v (falls), against a mean of 1/2
        tail:  T <- (T + 1) e(1 - u) and (T + 1) e(v),   e(p) = 1 / (2 sqrt(max(p, 2^-14)))
        alarm  when the mean of the four sums reaches the threshold

    Bets see a lasting change of a fifth, the tails an outage within three buckets.

    **Provable:** if each count, given the past, has a law whose mean lies between the two that are defended,
    then the mean run to a false alarm is at least ``threshold`` buckets (each term is an e-value, and an
    average of e-SRs keeps their bound). **Misleads** where buckets depend on each other beyond the hour of
    the day: of a burst that lasts an hour the dispersion knows the size, not that its buckets come together.

    >>> esr = CountESR(threshold=8_064.0)
    >>> [esr.update(0.0, 0.0) for _ in range(3)], esr.rises, esr.change_point()
    ([False, False, True], False, 0)
    """

    __slots__ = ("_down", "_tail_down", "_tail_up", "_up", "threshold")

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._up = MixtureESR(0.5, UNIFORM_VARIANCE, rank_bets(0.5), threshold)
        self._down = MixtureESR(0.5, UNIFORM_VARIANCE, rank_bets(0.5), threshold)
        self.reset()

    def reset(self) -> None:
        self._up.reset()
        self._down.reset()
        self._tail_up = 0.0
        self._tail_down = 0.0

    def update(self, u: float, v: float) -> bool:
        """Absorb one bucket; whether the statistic has reached the threshold."""
        self._up.step(u)
        self._down.step(1.0 - v)
        self._tail_up = (self._tail_up + 1.0) * calibrated(1.0 - u)
        self._tail_down = (self._tail_down + 1.0) * calibrated(v)
        return self.statistic() >= self.threshold

    def statistic(self) -> float:
        return (self._rise() + self._fall()) / 4.0

    def _rise(self) -> float:
        return self._up.statistic() + self._tail_up

    def _fall(self) -> float:
        return self._down.statistic() + self._tail_down

    @property
    def rises(self) -> bool:
        """Which direction has more evidence."""
        return self._rise() >= self._fall()

    @property
    def n(self) -> int:
        """Buckets since the last reset."""
        return self._up.n

    def change_point(self) -> int:
        """Buckets since the last reset at which the change is placed."""
        return (self._up if self.rises else self._down).change_point()

    def evidence(self) -> float:
        return log10(max(self.statistic(), 1.0))

    def snapshot(self) -> dict[str, Any]:
        tails = [self._tail_up, self._tail_down]
        return {"up": self._up.snapshot(), "down": self._down.snapshot(), "tails": tails}

    def restore(self, state: dict[str, Any]) -> None:
        self._up.restore(state["up"])
        self._down.restore(state["down"])
        self._tail_up, self._tail_down = state["tails"]
