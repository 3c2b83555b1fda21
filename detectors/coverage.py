"""Which segments a rule covers, what each of them brings, and so how soon it would see a shift there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

from detectors.baseline import ArmingPolicy
from detectors.planning import Plan, plans, threshold
from detectors.rules import Kind, Rule, rules_of
from schemas.catalog import RATES, Measure
from schemas.signal import SignalName

DAY_MS = 86_400_000
SHORTEST_DAYS = ArmingPolicy().shortest_span_ms / DAY_MS


class DayUnits(NamedTuple):
    """What a signal brought in a segment on a day: ``total`` over ``n`` units, ``unmeasured`` without a
    value; windows from ``start`` to ``end``, epoch ms."""

    n: int
    total: float
    unmeasured: int
    start: int
    end: int


class Segment(NamedTuple):
    """A segment's days, by signal; only days with windows."""

    app: str
    environment: str
    route: str
    signals: dict[SignalName, list[DayUnits]]

    @property
    def days(self) -> float:
        """Event time from the first window to the end of the last, in days; an hour at least."""
        every = [day for days in self.signals.values() for day in days]
        if not every:
            return SHORTEST_DAYS
        span = max(day.end for day in every) - min(day.start for day in every)
        return max(span / DAY_MS, SHORTEST_DAYS)


class Covered(NamedTuple):
    """A rule in a segment.

    ``per_day`` are the detector's units: conversations, for amounts requests. For a score it is the
    lesser of scores and conversations, which is an upper figure where conversations have several
    turns and few are scored. ``usual`` is the median of the daily means, so that an incident of a few days
    does not count (None: nothing measured). ``threshold`` is the budget's at this volume over ``shared_by``
    segments. ``plans`` are upper figures (``detectors.planning``), with a typical value where
    ``usual`` is not known; empty without units. **Misleads** where the volume has just changed: it is the
    mean over the segment's days.
    """

    app: str
    environment: str
    route: str
    days: float
    per_day: float
    usual: float | None
    shared_by: int
    threshold: float
    plans: list[Plan]


def coverage(rules: Sequence[Rule], segments: Iterable[Segment], least: int = 1) -> dict[str, list[Covered]]:
    """By rule name the segments that it is for, in their order; of the rules that are learned or bound.

    The segments of an app share a budget, ``least`` of them at least, as in production.
    """
    known = list(segments)
    learned = (Kind.LEARNED, Kind.BOUND)
    found: dict[str, list[Covered]] = {rule.name: [] for rule in rules if rule.kind in learned}
    for segment in known:
        shared = max(sum(other.app == segment.app for other in known), least)
        for rule in rules_of(rules, segment.app, segment.environment, segment.route).values():
            if rule.name in found:
                found[rule.name].append(_covered(rule, segment, shared))
    return found


def _covered(rule: Rule, segment: Segment, shared: int) -> Covered:
    units, usual = _units(rule, segment), _usual(rule, segment)
    per_day = units / segment.days
    return Covered(
        segment.app,
        segment.environment,
        segment.route,
        segment.days,
        per_day,
        usual,
        shared,
        threshold(rule, per_day, shared),
        plans(rule, per_day, shared, usual) if units else [],
    )


def _units(rule: Rule, segment: Segment) -> int:
    own = sum(day.n for day in segment.signals.get(rule.signal, []))
    if rule.measure is Measure.RATE:
        return sum(_conversations(segment).values())
    if rule.measure is Measure.SCORE:
        return min(own, sum(_conversations(segment).values()) or own)
    if rule.signal is SignalName.COST_PER_SUCCESS:
        return sum(day.n for day in segment.signals.get(SignalName.COST, []))
    # Tokens and latency are kept in no windows: as many requests as were looked at for their cost.
    cost = segment.signals.get(SignalName.COST, [])
    return own or (0 if rule.signal is SignalName.COST else sum(day.n + day.unmeasured for day in cost))


def _conversations(segment: Segment) -> dict[int, int]:
    """Decided conversations by day: the most that any rate has counted.

    Each rate counts all of them, but one that nobody watches is published only where it is above 0.
    """
    most: dict[int, int] = {}
    for signal in RATES:
        for day in segment.signals.get(signal, []):
            at = day.start // DAY_MS
            most[at] = max(most.get(at, 0), day.n)
    return most


def _usual(rule: Rule, segment: Segment) -> float | None:
    if rule.signal is SignalName.COST_PER_SUCCESS:
        return _cost_per_success(segment)
    days = segment.signals.get(rule.signal, [])
    if rule.measure is not Measure.RATE:
        means = [day.total / day.n for day in days if day.n]
        return median(means) if means else None
    totals = {day.start // DAY_MS: day.total for day in days}
    shares = [totals.get(at, 0.0) / n for at, n in _conversations(segment).items() if n]
    return median(shares) if shares else None


def _cost_per_success(segment: Segment) -> float | None:
    """Costs by successes, day by day; a rule on it keeps both in windows."""
    costs = {day.start // DAY_MS: day.total for day in segment.signals.get(SignalName.COST, [])}
    tasks = segment.signals.get(SignalName.TASK_FAILURE, [])
    days = [
        costs[at] / (day.n - day.total)
        for day in tasks
        if (at := day.start // DAY_MS) in costs and day.n > day.total
    ]
    return median(days) if days else None
