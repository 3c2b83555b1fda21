"""Where a request's cost stands among those of a reference."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from math import inf, log

from detectors.blocks import LEAST_AMOUNT
from detectors.cost_reference import FREE, GRID, MINUTE_MS, season
from detectors.tilted_esr import POSITIONS
from detectors.unit import Unit

OUTLIER_Z = 4.0
"""A request stands out if its log cost is more than this many robust deviations above the median."""
LEAST_MAD = 0.1
"""Floor of the robust deviation of log cost, so that an outlier costs at least e^0.4 = 1.5 times the median
even where all requests cost the same."""
TAIL = 0.99


def log_costs(units: Sequence[Unit]) -> list[int]:
    """ln(dollars) of each, as :func:`~detectors.cost_reference.log_cost`: the hot path's way."""
    return [int(log(unit[1]) * GRID) if unit[1] > 0.0 else FREE for unit in units]


class CostScale:
    """A frozen sample of log costs without their daily cycle, sorted, and what is read off it.

    ``profile`` is the mean log cost by the time of day (:func:`~detectors.cost_reference.season`; empty: none
    is known), ``tolerance`` a rise of log costs, on the grid, that is forgiven, ``p99`` above what a request
    is one of the tail.
    """

    __slots__ = ("_limit", "_minute", "_season", "median", "p99", "profile", "sample", "tolerance")

    def __init__(self, profile: tuple[float, ...], sample: list[int], tolerance: int, p99: int) -> None:
        self.profile, self.sample, self.tolerance, self.p99 = profile, sample, tolerance, p99
        self._minute: int | None = None
        self._season = 0
        paid = sample[bisect_right(sample, FREE) :]
        self.median = paid[len(paid) // 2] if paid else FREE
        mad = sorted([abs(r - self.median) for r in paid])[len(paid) // 2] / GRID if paid else 0.0
        least = OUTLIER_Z * max(1.4826 * mad, LEAST_MAD) * GRID
        self._limit = self.median + least if paid else inf

    def residuals(self, units: Sequence[Unit], logs: list[int]) -> list[int]:
        """Log costs less the profile of the day, minute by minute."""
        profile = self.profile
        if not profile:
            return logs
        found = []
        last, level = self._minute, self._season
        for unit, logged in zip(units, logs, strict=True):
            if logged == FREE:
                found.append(logged)
                continue
            minute = unit[0] // MINUTE_MS
            if minute != last:
                last, level = minute, season(profile, unit[0])
            found.append(logged - level)
        self._minute, self._season = last, level
        return found

    def outliers(self, residuals: list[int]) -> list[int]:
        """Which of them stand out, by a robust z of 4."""
        limit = self._limit
        return [at for at, r in enumerate(residuals) if r > limit] if max(residuals) > limit else []

    def places(self, residuals: list[int]) -> tuple[list[int], list[int]]:
        """Each one's position (:func:`~detectors.tilted_esr.position`), equal costs in the middle of their
        ranks,
        and which are of the tail. ``residuals`` are less the tolerance."""
        ref, p99 = self.sample, self.p99
        size, half, after = len(ref), POSITIONS // 2, len(ref) + 1
        places: list[int] = []
        flags: list[int] = []
        for at, r in enumerate(residuals):
            left = bisect_left(ref, r)
            if left < size and ref[left] == r:
                places.append((left + bisect_right(ref, r, left) + 1) * half // after)
            else:
                places.append((left + left + 1) * half // after)
            if r > p99:
                flags.append(at)
        return places, flags

    def ranks(self, units: Sequence[Unit]) -> list[float]:
        """Units as ranks in the sample, 0 to 1."""
        ref, steps = self.sample, 2.0 * len(self.sample) + 2.0
        return [(bisect_left(ref, r) + bisect_right(ref, r) + 1) / steps for r in self._forgiven(units)]

    def flags(self, units: Sequence[Unit]) -> list[float]:
        """1 for each unit of the tail."""
        return [1.0 if r > self.p99 else 0.0 for r in self._forgiven(units)]

    def _forgiven(self, units: Sequence[Unit]) -> list[int]:
        return [r - self.tolerance for r in self.residuals(units, log_costs(units))]

    def level(self) -> tuple[float, Callable[[int], float] | None]:
        """The mean logarithm when all is well, and what the time of day adds to it."""
        least = int(log(LEAST_AMOUNT) * GRID)
        usual = sum([max(r, least) for r in self.sample]) / len(self.sample) / GRID
        profile = self.profile
        return usual, (lambda time: season(profile, time) / GRID) if profile else None
