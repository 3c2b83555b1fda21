"""What requests of a segment normally cost: a bounded, deterministic sample and an hour-of-day profile."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from math import exp, log, sqrt
from statistics import stdev
from typing import Any

from detectors.baseline import HOUR_MS
from detectors.bottom_k import BottomK
from detectors.tilted_esr import position
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

    Means of dollars are over all requests; the profile is over all paid ones.
    """

    __slots__ = ("_hour_n", "_hour_sum", "exact", "first", "last", "n", "sample", "total")

    def __init__(self) -> None:
        self.n = 0
        self.total = 0.0
        self.first = 0
        self.last = 0
        self._hour_n = [0] * 24
        self._hour_sum = [0.0] * 24
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
        return self.last - self.first

    def learn(self, time: int, trace_id: str, dollars: float, logged: int) -> None:
        """Absorb one request: its time, id, price and :func:`log_cost`."""
        self.learn_all(((time, dollars, trace_id, NO_PROFILE, None),), (logged,))

    def learn_all(self, units: Sequence[Unit], logs: Sequence[int]) -> None:
        """Absorb requests in their order, y in dollars, each with its :func:`log_cost`."""
        if not units:
            return
        if self.n == 0:
            self.first = self.last = units[0][0]
        total, last, hour_n, hour_sum = self.total, self.last, self._hour_n, self._hour_sum
        sample = self.sample
        for (time, dollars, trace_id, _, _), logged in zip(units, logs, strict=True):
            total += dollars
            if time > last:
                last = time
            if logged != FREE:
                hour = time // HOUR_MS % 24
                hour_n[hour] += 1
                hour_sum[hour] += logged
            key = _from_bytes(_hashed(trace_id.encode()).digest())
            if key < sample.limit:
                sample.add(key, logged, time // MINUTE_MS)
        self.n += len(units)
        self.total, self.last = total, last

    def profile(self) -> tuple[float, ...]:
        """Mean log cost at -0.5, 0.5, … 24.5 h; empty where an hour has fewer than 30 paid requests."""
        if min(self._hour_n) < HOUR_UNITS:
            return ()
        means = [total / n / GRID for n, total in zip(self._hour_n, self._hour_sum, strict=True)]
        return (means[23], *means, means[0])

    def raised(self, profile: tuple[float, ...], residuals: list[int], errors: float) -> tuple[float, ...]:
        """The profile plus so many standard errors of each hour's mean: an hour that was underestimated by
        chance would else be a steady rise at that time of every day."""
        paid = [r / GRID for r in residuals if r != FREE]
        deviation = stdev(paid) if len(paid) > 1 else 0.0
        margins = [errors * deviation / sqrt(n) for n in self._hour_n]
        return tuple([mean + margins[(hour - 1) % 24] for hour, mean in enumerate(profile)])

    def residuals(self, profile: tuple[float, ...]) -> list[int]:
        """The sample's log costs without the daily cycle, sorted."""
        if not profile:
            return sorted([logged for _, logged, _ in self.sample.entries()])
        return sorted(
            [
                logged - season(profile, minute * MINUTE_MS) if logged != FREE else FREE
                for _, logged, minute in self.sample.entries()
            ]
        )

    def luck(self, profile: tuple[float, ...], residuals: list[int]) -> list[tuple[int, float]]:
        """Of each request of the sample: where it stands among ``residuals`` (sorted), as
        :func:`~detectors.tilted_esr.position`, and by how much its log cost is above the mean of its hour
        (without a profile: of all), which is 0 in the mean of the whole reference, exactly, by the sums.
        Where
        these are estimates, nothing is known of the sample's luck: 0 of each."""
        size = len(residuals)
        pairs = []
        places: dict[int, int] = {}
        for _, logged, minute in self.sample.entries():
            time = minute * MINUTE_MS
            r = logged - season(profile, time) if profile and logged != FREE else logged
            if r not in places:
                left = bisect_left(residuals, r)
                places[r] = position(left, bisect_right(residuals, r, left), size)
            pairs.append((places[r], self._unlike(logged, time, bool(profile))))
        return pairs

    def _unlike(self, logged: int, time: int, by_hour: bool) -> float:
        """How far a log cost is above the mean of its hour, or of all; 0 for a free request, and where the
        sums are not exact."""
        if logged == FREE or not self.exact:
            return 0.0
        if by_hour:
            hour = time // HOUR_MS % 24
            return logged - self._hour_sum[hour] / self._hour_n[hour]
        return logged - sum(self._hour_sum) / sum(self._hour_n)

    def forget(self, since: int, units: list[tuple[int, float]]) -> None:
        """Take back what was learned from ``since`` on: it belongs to an incident.

        ``units`` are the last ones ``(time, dollars)``, oldest first. Where they begin after ``since`` the
        others are known by the sample alone: their number and their costs are estimated by it, and the sums
        are no longer those of the sample's population (see :meth:`luck`).
        """
        if units and units[0][0] >= since and self.n > len(units):
            self._estimate_away(since)
        else:
            for time, dollars in units:
                if time >= since and self.n > 0:
                    self.n -= 1
                    self.total -= dollars
                    if dollars > 0.0:
                        hour = time // HOUR_MS % 24
                        self._hour_n[hour] -= 1
                        self._hour_sum[hour] -= log_cost(dollars)
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
        dollars = sum([exp(logged / GRID) for logged, _ in paid])
        self.n -= round(each * len(gone))
        self.total = max(self.total - each * dollars, 0.0)
        self.exact = False

    def snapshot(self) -> dict[str, Any]:
        return {
            "sums": [self.n, self.total, self.first, self.last],
            "hours": [list(self._hour_n), list(self._hour_sum)],
            "limit": self.sample.limit,
            "exact": self.exact,
        }

    def restore(self, state: dict[str, Any], sample: Mapping[int, list[list[int]]]) -> None:
        """Take over a snapshot, and the parts of the sample."""
        self.n, self.total, self.first, self.last = state["sums"]
        self._hour_n, self._hour_sum = list(state["hours"][0]), list(state["hours"][1])
        self.sample.restore(state["limit"], sample)
        self.exact = state["exact"]
