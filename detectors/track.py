"""The recent past of one signal: enough to say since when, by how much, and in which slice."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

from detectors.unit import Unit
from schemas.observation import Profile

RING = 256
"""Units kept one by one."""
BLOCK = 64
"""Units between two checkpoints of the running sum, at first; doubles when there are more than 64 of them."""
STRIDE = 8
"""Every eighth unit that leaves the ring is kept as history: 128 of them reach 1,024 units further back."""
HISTORY = 128


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
    """Bounded memory of a signal's units, counted since the detector's last reset.

    What is exact: means since the change, from running sums; the onset's time, while the change is less
    than a ring of 256 units ago. Before that the onset is a checkpoint at most 1/32 of the run too early,
    far less than the change point's own error.

    Once an alarm is open, ``before`` stays what it was at the first one: units of an incident are not
    what a later alarm of the same incident is to be compared with.
    """

    __slots__ = ("_block", "_evicted", "_good", "_history", "_marks", "_ring", "_total", "n")

    def __init__(self) -> None:
        self._ring: deque[Unit] = deque(maxlen=RING)
        self._history: deque[Unit] = deque(maxlen=HISTORY)
        self._evicted = 0
        self._good: list[Unit] | None = None
        self.reset()

    def reset(self) -> None:
        """Count units from here on: with the detector's reset, and when it is armed."""
        self.n = 0
        self._total = 0.0
        self._block = BLOCK
        self._marks: list[tuple[int, int, float]] = []

    def add(self, unit: Unit) -> None:
        self.extend((unit,))

    def extend(self, units: Sequence[Unit]) -> None:
        """Absorb units in their order; how they are split over calls changes nothing."""
        self._evict(units)
        self._ring.extend(units)
        n, total = self.n, self._total
        mark = n + -n % self._block
        for unit in units:
            if n == mark:
                self._total = total
                self._mark(n, unit[0])
                mark = n + self._block
                mark -= mark % self._block
            n += 1
            total += unit[1]
        self.n, self._total = n, total

    def _evict(self, units: Sequence[Unit]) -> None:
        """Keep every eighth of those that these units drive out of the ring."""
        ring = self._ring
        leaving = len(ring) + len(units) - RING
        if leaving <= 0:
            return
        from_ring = min(leaving, len(ring))
        first = -(self._evicted + 1) % STRIDE
        self._history.extend(map(_nameless, islice(ring, first, from_ring, STRIDE)))
        if leaving > from_ring:
            first += -(-max(from_ring - first, 0) // STRIDE) * STRIDE - from_ring
            self._history.extend(map(_nameless, islice(units, first, leaving - from_ring, STRIDE)))
        self._evicted += leaving

    def _mark(self, n: int, time: int) -> None:
        self._marks.append((n, time, self._total))
        if len(self._marks) > 64:
            self._block *= 2
            self._marks = [mark for mark in self._marks if not mark[0] % self._block]

    def forget_names(self) -> None:
        """The trace_ids of the units so far are not asked for again."""
        self._ring = deque(map(_nameless, self._ring), maxlen=RING)

    def mean(self) -> float:
        """Mean of y since the last reset."""
        return self._total / self.n if self.n else 0.0

    def window(self, change_point: int) -> Window:
        """What lies before the unit with this number since the last reset, and from it on."""
        n = self.n - change_point
        ring = list(self._ring)
        if n <= 0:
            return Window(ring[-1][0] if ring else 0, 0, 0.0, self._before(ring), [])
        if n <= len(ring):
            after = ring[len(ring) - n :]
            value = sum([unit[1] for unit in after]) / n
            return Window(after[0][0], n, value, self._before(ring[: len(ring) - n]), after)
        at, onset, total = max(mark for mark in self._marks if mark[0] <= change_point)
        n = self.n - at
        return Window(onset, n, (self._total - total) / n, self._before([], onset), ring)

    def window_since(self, time: int) -> Window:
        """What lies before a point in time and from it on, by the units remembered one by one.

        Further back than the ring a remembered unit stands for the eight that it was taken from, in ``n``
        and ``value`` alike. ``n`` is 0 where nothing is remembered from before ``time``.
        """
        ring, history = list(self._ring), list(self._history)
        after, old = [u for u in ring if u[0] >= time], [u for u in history if u[0] >= time]
        before = [u for u in history + ring if u[0] < time]
        n = len(after) + STRIDE * len(old)
        if not before or not n:
            return Window(time, 0, 0.0, before, old + after)
        total = sum([u[1] for u in after]) + STRIDE * sum([u[1] for u in old])
        return Window((old + after)[0][0], n, total / n, before, old + after)

    def _before(self, ring: list[Unit], onset: int | None = None) -> list[Unit]:
        if self._good is not None:
            return self._good
        history = [unit for unit in self._history if onset is None or unit[0] < onset]
        return history + ring

    def units(self) -> list[tuple[int, float]]:
        """(time, y) of the ring."""
        return [(unit[0], unit[1]) for unit in self._ring]

    def open(self, before: list[Unit]) -> None:
        """An incident begins: keep what was before it."""
        if self._good is None:
            self._good = [_nameless(unit) for unit in before[-RING:]]

    def close(self) -> None:
        """The incident is over; its units are no longer what the next one is compared with."""
        self._good = None
        self._ring.clear()
        self._history.clear()
        self._evicted = 0

    def snapshot(self, normal: float | None) -> dict[str, Any]:
        """Column by column, each profile and user once; trace_ids only where examples are taken from: of
        units above ``normal`` (None: of none)."""
        profiles: dict[Profile, int] = {}
        users: dict[str | None, int] = {}

        def columns(units: list[Unit], above: float | None) -> list[list[Any]]:
            if not units:
                return [[0], [], [], [], []]
            times, ys, trace_ids, unit_profiles, unit_users = zip(*units, strict=True)
            start = times[0]
            ids = list(map(id, unit_profiles))
            place = {
                key: profiles.setdefault(profile, len(profiles))
                for key, profile in dict(zip(ids, unit_profiles, strict=True)).items()
            }
            for user in dict.fromkeys(unit_users):
                users.setdefault(user, len(users))
            return [
                [start, *[time - start for time in times]],
                list(ys),
                []
                if above is None
                else [name if y > above else "" for name, y in zip(trace_ids, ys, strict=True)],
                list(map(place.__getitem__, ids)),
                list(map(users.__getitem__, unit_users)),
            ]

        return {
            "ring": columns(list(self._ring), normal),
            "history": columns(list(self._history), None),
            "good": None if self._good is None else columns(self._good, None),
            "sums": [self.n, self._total, self._block, self._evicted],
            "marks": list(self._marks),
            "profiles": [list(profile) for profile in profiles],
            "users": list(users),
        }

    def restore(self, state: dict[str, Any]) -> None:
        profiles = [profile_of(fields) for fields in state["profiles"]]
        users = state["users"]

        def units(columns: list[list[Any]]) -> list[Unit]:
            (start, *times), ys, traces, profile_at, user_at = columns
            traces = traces or [""] * len(ys)
            rows = zip(times, ys, traces, profile_at, user_at, strict=True)
            return [(start + time, y, trace, profiles[p], users[u]) for time, y, trace, p, u in rows]

        self._ring = deque(units(state["ring"]), maxlen=RING)
        self._history = deque(units(state["history"]), maxlen=HISTORY)
        self._good = None if state["good"] is None else units(state["good"])
        self.n, self._total, self._block, self._evicted = state["sums"]
        self._marks = [(n, time, total) for n, time, total in state["marks"]]


def _nameless(unit: Unit) -> Unit:
    """Without its trace_id, which only examples need: history is a third of a snapshot."""
    return unit[0], unit[1], "", unit[3], unit[4]


def profile_of(fields: list[Any]) -> Profile:
    """A profile as JSON gave it back."""
    return Profile._make([*fields[:-1], tuple([(name, value) for name, value in fields[-1]])])
