"""Long pauses of a signal that is being learned: time that says nothing about how much traffic there is."""

from __future__ import annotations

from collections.abc import Sequence

from detectors.unit import Unit

LONG_MS = 86_400_000
"""A pause longer than this is a long one: a night is none."""
SELDOM = 20
"""Units to a long pause, at least, where long pauses are the exception."""


class Pauses:
    """Sums of the pauses of more than a day between units, as long as they are the exception.

    A test call a month before the launch, or an event that says 1970, must not make a busy segment one of 7
    requests a day: its budget would be that of so little traffic, and a week would have passed at once. A
    segment of a request every two days has long pauses everywhere; there they are time like any other.

    **Heuristic:** one in 20 units. **Misleads** where tests ran on every day for a week before the launch:
    those days count; where an application rests at weekends: its units a day are those of working days, so
    its threshold is higher than the budget asks for; and where a pause lies in what is taken back: then the
    span is too short, and the second pin later.

    >>> pauses = Pauses()
    >>> pauses.note(0, 30 * LONG_MS)
    >>> pauses.left_out(200) // LONG_MS, pauses.left_out(19)
    (30, 0)
    """

    __slots__ = ("many", "ms")

    def __init__(self) -> None:
        self.many = 0
        self.ms = 0

    def note(self, last: int, time: int) -> None:
        """After a unit at ``last``, the latest so far, comes one at ``time`` (ms)."""
        if time - last > LONG_MS:
            self.many += 1
            self.ms += time - last

    def note_all(self, last: int, units: Sequence[Unit]) -> None:
        """As :meth:`note` for each of these units, which are in the order of time."""
        if units[-1][0] - last <= LONG_MS:
            return
        for time, *_ in units:
            self.note(last, time)
            last = max(last, time)

    def left_out(self, n: int) -> int:
        """Milliseconds that don't count in the span of ``n`` units."""
        return self.ms if self.many * SELDOM <= n else 0

    def span(self, first: int, last: int, n: int) -> int:
        """What ``n`` units from ``first`` to ``last`` span without them, ms."""
        return max(last - first - self.left_out(n), 0)

    def most(self, first: int, last: int, n: int, coming: int) -> int:
        """What they span at most with further units, none later than ``coming``."""
        if coming - last > LONG_MS:
            return coming - first
        return self.span(first, max(last, coming), n)

    def snapshot(self) -> list[int]:
        return [self.many, self.ms]

    def restore(self, state: Sequence[int]) -> None:
        self.many, self.ms = state
