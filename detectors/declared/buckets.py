"""Sums of a signal per five minutes of event time, for windows that end where a bucket closes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from detectors.declared.policy import BUCKET_MS

Measured = tuple[int, float, str]
"""(event time in ms, value in the signal's own unit, trace_id)."""
EXAMPLES = 3


class Sum(NamedTuple):
    n: int
    total: float


class Buckets:
    """Closed buckets ``[start, start + 5 min)`` of the last ``span_ms``, and the open ones.

    A bucket closes when its caller knows that no unit of it is to come; buckets without a unit are not
    kept, so a silence costs nothing. Exact: units are added in their order, one after the other, so how
    they are split over calls changes not even the last bit; counts of 0 and 1 are exact in any order.
    Bounded: ``span_ms / 5 min`` closed buckets, about 16 bytes of JSON each: 14 KiB for 3 days.

    Of each open bucket the three worst units are remembered by their trace_id (the highest values; with
    ``falls`` the lowest; the latest among equals). Units at ``fine`` are not worth remembering.
    """

    __slots__ = ("_falls", "_fine", "_n", "_open", "_span", "_starts", "_total", "first")

    def __init__(self, span_ms: int, falls: bool = False, fine: float | None = None) -> None:
        self._span = span_ms
        self._falls = falls
        self._fine = fine
        self._starts: list[int] = []
        self._n: list[int] = []
        self._total: list[float] = []
        self._open: dict[int, list[Any]] = {}
        """Start to [n, total, worst], rising."""
        self.first: int | None = None
        """Start of the first bucket ever."""

    def extend(self, units: Iterable[Measured]) -> None:
        """Absorb units in event-time order, none in a bucket that has closed."""
        end = 0
        bucket: list[Any] = []
        fine, falls = self._fine, self._falls
        for time, value, trace_id in units:
            if time >= end:
                start = time - time % BUCKET_MS
                end = start + BUCKET_MS
                bucket = self._open.setdefault(start, [0, 0.0, []])
                if self.first is None:
                    self.first = start
            bucket[0] += 1
            bucket[1] += value
            if value != fine:
                worst = bucket[2]
                worst.append([-value if falls else value, time, trace_id])
                if len(worst) > 8 * EXAMPLES:
                    bucket[2] = _worst(worst)

    def close(self, upto: int) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Close what ends at ``upto`` or before, one after the other: (end, worst trace_ids)."""
        while self._open:
            start = next(iter(self._open))
            if start + BUCKET_MS > upto:
                return
            n, total, worst = self._open.pop(start)
            self._starts.append(start)
            self._n.append(n)
            self._total.append(total)
            yield start + BUCKET_MS, tuple([unit[2] for unit in _worst(worst)])
            # Not before: the caller may still ask for a window that ended before this bucket began.
            gone = bisect_left(self._starts, start + BUCKET_MS - self._span)
            if gone:
                del self._starts[:gone], self._n[:gone], self._total[:gone]

    def window(self, end: int, width_ms: int) -> Sum:
        """What closed buckets hold of ``[end - width_ms, end)``."""
        part = slice(bisect_left(self._starts, end - width_ms), bisect_left(self._starts, end))
        return Sum(sum(self._n[part]), float(sum(self._total[part])))

    def onset(self, end: int, width_ms: int, level: float) -> int:
        """Where the window began to be beyond ``level`` a unit: the start of its last part whose sum of
        (value - level) is the largest (the change point of a CUSUM). Heuristic; exact to a bucket."""
        at = bisect_left(self._starts, end - width_ms)
        sign = -1.0 if self._falls else 1.0
        best, where, path = 0.0, end - BUCKET_MS, 0.0
        for start, n, total in zip(
            reversed(self._starts[at:]), reversed(self._n[at:]), reversed(self._total[at:]), strict=True
        ):
            path += sign * (total - level * n)
            if path >= best:
                best, where = path, start
        return where

    def snapshot(self) -> dict[str, Any]:
        begin = self._starts[0] if self._starts else 0
        return {
            "first": self.first,
            "begin": begin,
            "closed": [
                [(start - begin) // BUCKET_MS for start in self._starts],
                list(self._n),
                [int(total) if total.is_integer() else total for total in self._total],
            ],
            "open": [[start, n, total, _worst(worst)] for start, (n, total, worst) in self._open.items()],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.first = state["first"]
        places, self._n, totals = [list(column) for column in state["closed"]]
        self._starts = [state["begin"] + place * BUCKET_MS for place in places]
        self._total = [float(total) for total in totals]
        self._open = {start: [n, float(total), worst] for start, n, total, worst in state["open"]}


def _worst(units: list[list[Any]]) -> list[list[Any]]:
    return sorted(units, reverse=True)[:EXAMPLES]
