"""Running sums of a stream, kept where it may have changed: 32 of them however long it is."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import compress

BLOCK = 64
"""Units between two checkpoints at first; twice as many whenever there are more than 32 of them."""
MOST = 32


class Checkpoints:
    """After how many units, when, and with what sum a block of units began.

    A checkpoint before a unit is at most 1/16 of the stream too early, once there were 32. 24 bytes each:
    every monitor of every segment has them.

    >>> checkpoints = Checkpoints()
    >>> checkpoints.add(0, 1_000, 0.0)
    >>> checkpoints.add(64, 2_000, 12.5)
    >>> checkpoints.before(70)
    (64, 2000, 12.5)
    """

    __slots__ = ("_at", "_times", "_totals", "block")

    def __init__(self, block: int = BLOCK, marks: Sequence[tuple[int, int, float]] = ()) -> None:
        self.block = block
        """Units from one checkpoint to the next."""
        at, times, totals = zip(*marks, strict=True) if marks else ((), (), ())
        self._at, self._times, self._totals = array("q", at), array("q", times), array("d", totals)

    def add(self, n: int, time: int, total: float) -> None:
        """The sum of the ``n`` units so far, a multiple of ``block``; the next unit is of this time."""
        self._at.append(n)
        self._times.append(time)
        self._totals.append(total)
        if len(self._at) > MOST:
            self.block *= 2
            kept = [not at % self.block for at in self._at]
            self._at = array("q", compress(self._at, kept))
            self._times = array("q", compress(self._times, kept))
            self._totals = array("d", compress(self._totals, kept))

    def before(self, n: int) -> tuple[int, int, float]:
        """The last checkpoint at or before the unit with this number."""
        which = bisect_right(self._at, n) - 1
        return self._at[which], self._times[which], self._totals[which]

    def marks(self) -> list[tuple[int, int, float]]:
        """All of them, oldest first."""
        return list(zip(self._at, self._times, self._totals, strict=True))
