"""What a window adds up of one signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detectors.log_histogram import LogHistogram


class Sums:
    """Sums over the units of one signal; they merge by addition.

    ``total`` is added up in the order of the units, one by one: so batches change nothing, not even its
    last bits (Python 3.12's own ``sum`` would).

    >>> sums = Sums(histogram=False)
    >>> sums.extend([0.5, 1.0], unmeasured=1, low=1)
    >>> sums.n, sums.total, sums.unmeasured, sums.low
    (2, 1.5, 1, 1)
    """

    __slots__ = ("histogram", "late", "low", "n", "total", "unmeasured")

    def __init__(self, histogram: bool) -> None:
        self.n = self.unmeasured = self.late = self.low = 0
        self.total = 0.0
        self.histogram = LogHistogram() if histogram else None

    def extend(self, values: Sequence[float], unmeasured: int = 0, low: int = 0, late: int = 0) -> None:
        """Add units: ``values`` of those that have one, how many have none, are low, came late."""
        total = self.total
        for value in values:
            total += value
        self.total = total
        self.n += len(values)
        self.unmeasured += unmeasured
        self.low += low
        self.late += late
        if self.histogram is not None and values:
            self.histogram.extend(values)

    def packed(self) -> list[int]:
        return [] if self.histogram is None else self.histogram.state()

    def state(self) -> list[Any]:
        return [self.n, self.total, self.unmeasured, self.late, self.low, self.packed()]

    def restore(self, state: list[Any]) -> None:
        self.n, self.total, self.unmeasured, self.late, self.low, packed = state
        if self.histogram is not None:
            self.histogram.restore(packed)
