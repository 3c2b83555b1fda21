"""The recent past of one signal: enough to say since when, by how much, and in which slice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from detectors.blocks import Block, Read, blocks_in, blocks_out, lane_of, token_of
from detectors.checkpoints import Checkpoints
from detectors.memory import NAMED_USERS, RING, STRIDE, UnitMemory, columns, from_columns
from detectors.series import Series, series, time_of
from detectors.unit import Unit


class Window(NamedTuple):
    """What lies before and after an estimated change."""

    onset: int
    """Event time of the first unit after the change (exact within the ring, else a checkpoint before it)."""
    n: int
    value: float
    """Mean of y over the n units since."""
    before: list[Unit]
    after: list[Unit]
    """The most recent units since the change, at most a ring of them."""


class Track:
    """Sums of a signal's units since its detector's last reset, and a view of the memory that they are in.

    What is exact: means since the change, from running sums; the onset's time, while the change is less
    than a ring of 256 units ago. Before that the onset is a checkpoint at most 1/16 of the run too early,
    less than the change point's own error.

    Once an alarm is open, ``before`` stays what it was at the first one: units of an incident are not
    what a later alarm of the same incident is to be compared with.
    """

    __slots__ = (
        "_checkpoints",
        "_floor",
        "_good",
        "_older",
        "_total",
        "memory",
        "n",
        "read",
        "upto",
        "version",
    )

    def __init__(self, memory: UnitMemory, read: Read) -> None:
        self.memory = memory
        self.read = read
        self.upto = memory.count
        """The number of the next unit: where this signal stands in the memory, within a batch too."""
        self._floor = 0
        self._good: list[Unit] | None = None
        self._older: tuple[list[Block], int, int] = ([], 0, 0)
        """Of an open incident: what is summed up of the time before, until when, and its onset."""
        self.version = 0
        self.reset()

    def begin(self) -> None:
        """Stand behind all that is remembered: it was not this signal's."""
        self._floor = self.upto = self.memory.count

    def forget(self) -> None:
        """Nothing of what has come is compared with what comes now: normal is learned anew."""
        self._floor = self.upto

    def reset(self) -> None:
        """Count units from here on: with the detector's reset, and when it is armed."""
        self.n = 0
        self._total = 0.0
        self._checkpoints = Checkpoints()

    def extend(self, units: Sequence[Unit]) -> None:
        """Absorb the next units of the memory, y read; how they are split over calls changes nothing."""
        n, total, checkpoints = self.n, self._total, self._checkpoints
        done, end = 0, len(units)
        while done < end:
            if n % checkpoints.block == 0:
                checkpoints.add(n, units[done][0], total)
            stop = min(end, done + checkpoints.block - n % checkpoints.block)
            for unit in units[done:stop]:
                total += unit[1]
            n += stop - done
            done = stop
        self.n, self._total = n, total
        self.upto += end

    def mean(self) -> float:
        """Mean of y since the last reset."""
        return self._total / self.n if self.n else 0.0

    def window(self, change_point: int) -> Window:
        """What lies before the unit with this number since the last reset, and from it on."""
        n = self.n - change_point
        ring = self.ring()
        if n <= 0:
            return Window(ring[-1][0] if ring else 0, 0, 0.0, self._before(ring), [])
        if n <= len(ring):
            after = ring[len(ring) - n :]
            value = sum([unit[1] for unit in after]) / n
            return Window(after[0][0], n, value, self._before(ring[: len(ring) - n]), after)
        at, onset, total = self._checkpoints.before(change_point)
        n = self.n - at
        return Window(onset, n, (self._total - total) / n, self._before([], onset), ring)

    def window_since(self, time: int) -> Window:
        """What lies before a point in time and from it on, by the units remembered one by one.

        Further back than the ring a remembered unit stands for the 32 it was taken from, in ``n``
        and ``value`` alike. ``n`` is 0 where nothing is remembered from before ``time``.
        """
        ring, history = self.ring(), self._history()
        after, old = [u for u in ring if u[0] >= time], [u for u in history if u[0] >= time]
        before = [u for u in history + ring if u[0] < time]
        n = len(after) + STRIDE * len(old)
        if not before or not n:
            return Window(time, 0, 0.0, before, old + after)
        total = sum([u[1] for u in after]) + STRIDE * sum([u[1] for u in old])
        return Window((old + after)[0][0], n, total / n, before, old + after)

    def series(self, shares: bool, level: Callable[[int], float] | None) -> Series:
        """All that is remembered, in blocks and, of the last 256 units or a few more, one by one; while an
        incident is open, what was before it as it was then."""
        memory = self.memory
        blocks, units = memory.older(self.upto, self._floor)
        slots: list[Block | Unit] = [*blocks, *self._read(units)]
        if self._good is not None:
            healthy, until, onset = self._older
            good = [unit for unit in memory.named(self._good) if unit[0] >= until]
            slots = [*healthy, *good, *[slot for slot in slots if time_of(slot) >= onset]]
        return series(
            slots,
            scale=memory.blocks.scale,
            shares=shares,
            lane=lane_of(memory.blocks.scale, self.read),
            names=self._names(),
            level=level,
        )

    def _names(self) -> dict[str, str]:
        """By token, users with so many units lately that their names are known after a restart too."""
        memory = self.memory
        near = memory.ring(self.upto, self._floor) + memory.past(self.upto, self._floor)
        users = [unit[4] for unit in memory.named(near) if unit[4]]
        return {token_of(user): user for user, n in Counter(users).items() if n >= NAMED_USERS}

    def _before(self, ring: list[Unit], onset: int | None = None) -> list[Unit]:
        if self._good is not None:
            return self.memory.named(self._good)
        return [unit for unit in self._history() if onset is None or unit[0] < onset] + ring

    def ring(self) -> list[Unit]:
        """The last units, their y read."""
        return self._read(self.memory.ring(self.upto, self._floor))

    def _history(self) -> list[Unit]:
        return self._read(self.memory.past(self.upto, self._floor))

    def _read(self, units: list[Unit]) -> list[Unit]:
        read = self.read
        return [(u[0], read(u[1]), u[2], u[3], u[4]) for u in self.memory.named(units)]

    def open(self, before: list[Unit], onset: int) -> None:
        """An incident begins: keep what was before it."""
        if self._good is None:
            self._good = [(u[0], u[1], "", u[3], u[4]) for u in before[-RING:]]
            blocks, units = self.memory.older(self.upto, self._floor)
            ends = [block.time for block in blocks[1:]] + [units[0][0] if units else onset]
            healthy = [block for block, end in zip(blocks, ends, strict=False) if end <= onset]
            self._older = healthy, ends[-1], onset
            self.version += 1

    def good(self) -> list[Any] | None:
        """What was before the incident that is open, as JSON data; ``version`` rises when that changes."""
        if self._good is None:
            return None
        units = columns(range(len(self._good)), self._good, str) if self._good else []
        healthy, until, onset = self._older
        return [units, blocks_out(healthy), until, onset]

    def close(self) -> None:
        """The incident is over; its units are no longer what the next one is compared with."""
        self._good, self._older = None, ([], 0, 0)
        self.version += 1
        self._floor = self.upto

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit; :meth:`good` and the memory are written apart."""
        return {
            "sums": [self.n, self._total, self._checkpoints.block, self.upto, self._floor],
            "marks": self._checkpoints.marks(),
        }

    def restore(self, state: dict[str, Any], good: list[Any] | None) -> None:
        self.n, self._total, block, self.upto, self._floor = state["sums"]
        self._checkpoints = Checkpoints(block, [(n, time, total) for n, time, total in state["marks"]])
        self._good, self._older = None, ([], 0, 0)
        if good is not None:
            self.version += 1
            units, blocks, until, onset = good
            self._good = [unit for _, unit in from_columns(units)] if units else []
            self._older = blocks_in(blocks), until, onset
