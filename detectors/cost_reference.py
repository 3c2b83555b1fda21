"""What requests of a segment normally cost: a bounded, deterministic sample and an hour-of-day profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from math import exp, log
from typing import Any

from detectors.baseline import HOUR_MS
from detectors.bottom_k import BottomK
from detectors.pauses import Pauses
from detectors.unit import NO_PROFILE, Unit

SAMPLE = 1_000
"""Requests kept (k): the standard error of a rank in the sample is then 0.009."""
RANK_VARIANCE = 1.0 / 12.0
"""Of a uniform rank."""
GRID = 10_000
"""Steps of ln(cost) in one unit: log costs are integers, 0.01 % apart, and equal costs have equal ranks."""
MINUTE_MS = 60_000
FREE = -10_000_000
"""The log cost of a request that cost nothing: below every paid one."""
UNCOUNTED = 0.01
"""Part of all requests that counts by hour may lack."""
HOUR_UNITS = 30
"""Requests that every hour of the day needs before a profile of the day may be drawn."""
_hashed = partial(blake2b, digest_size=5, person=b"cost")
_from_bytes = partial(int.from_bytes, byteorder="big")


def log_cost(dollars: float) -> int:
    """ln(dollars) on the grid. A free request is a real request of 0 dollars: it ranks below all others.

    >>> log_cost(1.0), log_cost(2.0), log_cost(0.0) < log_cost(1e-300)
    (0, 6931, True)
    """
    return int(log(dollars) * GRID) if dollars > 0.0 else FREE


def season(profile: tuple[float, ...], time: int) -> int:
    """The profile's log cost in this minute of the day, linear between the middles of hours, on the grid."""
    place = time // MINUTE_MS % 1_440 / 60.0 + 0.5
    hour = int(place)
    before = profile[hour]
    return int((before + (place - hour) * (profile[hour + 1] - before)) * GRID)


class CostReference:
    """Learns from paid and free requests alike; bounded however many there are.

    The sample is bottom-k: the k requests whose trace_ids have the smallest hashes (blake2b, salted, so
    that it is independent of which traces the judge samples). It is a uniform sample without
    replacement, the same at every run and in every order.

    Means of dollars are over all requests, of log costs by hour over all paid ones.
    """

    __slots__ = (
        "_hour_free",
        "_hour_n",
        "_hour_sum",
        "exact",
        "first",
        "last",
        "n",
        "pauses",
        "sample",
        "total",
    )

    def __init__(self) -> None:
        self.n = 0
        self.total = 0.0
        self.first = 0
        self.last = 0
        self.pauses = Pauses()
        self._hour_n = [0] * 24
        self._hour_sum = [0.0] * 24
        self._hour_free = [0] * 24
        self.sample = BottomK(SAMPLE)
        """Of log costs and the minutes they were paid in."""
        self.exact = True
        """Whether the sums are of all that the sample was drawn from, and of nothing else."""

    @property
    def mean(self) -> float:
        """US dollars a request."""
        return self.total / self.n if self.n else 0.0

    @property
    def span_ms(self) -> int:
        """From the first request to the last, without long pauses where they are the exception."""
        return self.pauses.span(self.first, self.last, self.n)

    def learn(self, time: int, trace_id: str, dollars: float, logged: int) -> None:
        """Absorb one request: its time, id, price and :func:`log_cost`."""
        self.learn_all(((time, dollars, trace_id, NO_PROFILE, None),), (logged,))

    def learn_all(self, units: Sequence[Unit], logs: Sequence[int]) -> None:
        """Absorb requests in their order, y in dollars, each with its :func:`log_cost`."""
        if not units:
            return
        if self.n == 0:
            self.first = self.last = units[0][0]
        self.pauses.note_all(self.last, units)
        total, last, hour_n, hour_sum = self.total, self.last, self._hour_n, self._hour_sum
        hour_free, sample = self._hour_free, self.sample
        for (time, dollars, trace_id, _, _), logged in zip(units, logs, strict=True):
            total += dollars
            if time > last:
                last = time
            if logged != FREE:
                hour = time // HOUR_MS % 24
                hour_n[hour] += 1
                hour_sum[hour] += logged
            else:
                hour_free[time // HOUR_MS % 24] += 1
            key = _from_bytes(_hashed(trace_id.encode()).digest())
            if key < sample.limit:
                sample.add(key, logged, time // MINUTE_MS)
        self.n += len(units)
        self.total, self.last = total, last

    def hours(self) -> list[tuple[int, float]]:
        """Paid requests of each hour of the day and their mean log cost, on the grid; empty where an hour has
        fewer than 30."""
        if min(self._hour_n) < HOUR_UNITS:
            return []
        return [(n, total / n) for n, total in zip(self._hour_n, self._hour_sum, strict=True)]

    @property
    def usual(self) -> float:
        """Mean log cost of all paid requests, on the grid."""
        paid = sum(self._hour_n)
        return sum(self._hour_sum) / paid if paid else 0.0

    @property
    def free(self) -> float:
        """Share of requests that cost nothing."""
        return max(1.0 - sum(self._hour_n) / self.n, 0.0) if self.n else 0.0

    def free_hours(self) -> list[tuple[int, float]]:
        """Requests of each hour of the day and the share of them that cost nothing; empty where an hour has
        fewer than 30, and where an older version did not count the free ones."""
        counted = [paid + free for paid, free in zip(self._hour_n, self._hour_free, strict=True)]
        # What was taken back may be an estimate, so the counts agree but for its rounding.
        if min(counted) < HOUR_UNITS or abs(sum(counted) - self.n) > UNCOUNTED * self.n:
            return []
        return [(n, free / n) for n, free in zip(counted, self._hour_free, strict=True)]

    def residuals(self, profile: tuple[float, ...]) -> list[int]:
        """The sample's log costs without the daily cycle, by hash."""
        if not profile:
            return [logged for _, logged, _ in self.sample.entries()]
        return [
            logged - season(profile, minute * MINUTE_MS) if logged != FREE else FREE
            for _, logged, minute in self.sample.entries()
        ]

    def forget(self, since: int, units: list[tuple[int, float]]) -> None:
        """Take back what was learned from ``since`` on: it belongs to an incident.

        ``units`` are the last ones ``(time, dollars)``, oldest first. Where they begin after ``since`` the
        others are known by the sample alone: their number and their costs are estimated by it, and the sums
        are no longer those of the sample's population.
        """
        if units and units[0][0] >= since and self.n > len(units):
            self._estimate_away(since)
        else:
            for time, dollars in units:
                if time >= since and self.n > 0:
                    self.n -= 1
                    self.total -= dollars
                    hour = time // HOUR_MS % 24
                    if dollars > 0.0:
                        self._hour_n[hour] -= 1
                        self._hour_sum[hour] -= log_cost(dollars)
                    else:
                        self._hour_free[hour] = max(self._hour_free[hour] - 1, 0)
        self.sample.keep(lambda minute: minute < since // MINUTE_MS)
        self.last = max(min(self.last, since), self.first)

    def _estimate_away(self, since: int) -> None:
        entries = self.sample.entries()
        gone = [entry for entry in entries if entry[2] >= since // MINUTE_MS]
        each = self.n / len(entries)
        paid = [(logged, minute // 60 % 24) for _, logged, minute in gone if logged != FREE]
        for hour in {hour for _, hour in paid}:
            logs = [logged for logged, at in paid if at == hour]
            many = min(round(each * len(logs)), self._hour_n[hour])
            self._hour_n[hour] -= many
            self._hour_sum[hour] -= many * sum(logs) / len(logs)
            if not self._hour_n[hour]:
                self._hour_sum[hour] = 0.0
        for _, logged, minute in gone:
            if logged == FREE:
                hour = minute // 60 % 24
                self._hour_free[hour] = max(self._hour_free[hour] - round(each), 0)
        dollars = sum([exp(logged / GRID) for logged, _ in paid])
        self.n -= round(each * len(gone))
        self.total = max(self.total - each * dollars, 0.0)
        self.exact = False

    def snapshot(self) -> dict[str, Any]:
        return {
            "sums": [self.n, self.total, self.first, self.last],
            "hours": [list(self._hour_n), list(self._hour_sum), list(self._hour_free)],
            "limit": self.sample.limit,
            "exact": self.exact,
            "pauses": self.pauses.snapshot(),
        }

    def restore(self, state: dict[str, Any], sample: Mapping[int, list[list[int]]]) -> None:
        """Take over a snapshot, and the parts of the sample."""
        self.n, self.total, self.first, self.last = state["sums"]
        self._hour_n, self._hour_sum = list(state["hours"][0]), list(state["hours"][1])
        # Versions before free requests were counted by hour have two lists.
        self._hour_free = list(state["hours"][2]) if len(state["hours"]) > 2 else [0] * 24
        self.sample.restore(state["limit"], sample)
        self.exact = state["exact"]
        self.pauses.restore(state.get("pauses", (0, 0)))
