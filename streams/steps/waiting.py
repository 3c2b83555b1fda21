"""Feedback of one app that has come before its trace."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from schemas.identity import Coordinates
from schemas.observation import FeedbackRow

MAX_WAITING = 10_000
"""Pieces of feedback of one app that wait for their traces; beyond it the oldest count as unjoined."""


class Waiting(NamedTuple):
    """A piece of feedback whose trace has not come; ``seq`` numbers them in the order of their coming."""

    seq: int
    row: FeedbackRow
    at: Coordinates


class WaitingFeedback:
    """Kept one by one, by number; what has been given up is counted by the caller."""

    def __init__(self) -> None:
        self._items: dict[int, Waiting] = {}
        self._by_trace: dict[str, list[int]] = {}
        self._changed: set[int] = set()
        self.count = 0
        """How many have ever waited: the next one's number."""

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, row: FeedbackRow, at: Coordinates) -> int:
        """Keep a piece of feedback; how many had to be given up for it (0 or 1)."""
        self._changed.add(self.count)
        self._keep(Waiting(self.count, row, at))
        self.count += 1
        if len(self._items) <= MAX_WAITING:
            return 0
        self._give_up(next(iter(self._items)))
        return 1

    def take(self, trace_id: str) -> list[tuple[FeedbackRow, Coordinates]]:
        """What has waited for this trace, in the order of its coming."""
        numbers = self._by_trace.pop(trace_id, None)
        if numbers is None:
            return []
        self._changed.update(numbers)
        return [(item.row, item.at) for item in map(self._items.pop, numbers)]

    def expire(self, before: int) -> int:
        """Give up what is older than this (event time, ms); how many they were."""
        expired = [item.seq for item in self._items.values() if item.row.time < before]
        for number in expired:
            self._give_up(number)
        return len(expired)

    def _keep(self, item: Waiting) -> None:
        self._items[item.seq] = item
        self._by_trace.setdefault(item.row.trace_id, []).append(item.seq)

    def _give_up(self, number: int) -> None:
        trace_id = self._items.pop(number).row.trace_id
        numbers = self._by_trace[trace_id]
        numbers.remove(number)
        if not numbers:
            del self._by_trace[trace_id]
        self._changed.add(number)

    def changes(self) -> dict[int, bytes | None]:
        """By number, what has come or gone (None) since the last call."""
        changed, self._changed = sorted(self._changed), set()
        found = ((number, self._items.get(number)) for number in changed)
        return {
            number: None if item is None else orjson.dumps([list(item.row), list(item.at)])
            for number, item in found
        }

    def restore(self, entries: dict[int, bytes], count: int) -> None:
        self.count = count
        for number in sorted(entries):
            row, at = orjson.loads(entries[number])
            self._keep(Waiting(number, FeedbackRow._make(row), Coordinates(*at)))
