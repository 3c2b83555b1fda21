"""Segments of little traffic, watched together with the others of their environment as one more segment."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

from detectors.acceptance import Accepted
from detectors.baseline import DAY_MS
from detectors.rule_edits import OpenAlarms
from detectors.rules import Kind, Rule, rules_of
from detectors.segment import Decided, SegmentMonitors
from detectors.unit import Unit
from schemas.observation import EVERY_ROUTE, ChangeRow, Profile, TraceRow
from schemas.signal import Recovery, Signal
from streams.steps.monitor_state import MonitorState

SMALL = 200
"""Traces in its first day below which a segment is small: too few to arm by itself within a day."""

Order = tuple[int, int]


class Units(NamedTuple):
    """What a segment has been fed: traces with their profiles, scores of the application, conversations."""

    traces: Sequence[TraceRow]
    profiles: Sequence[Profile]
    scores: Sequence[Unit]
    decided: Sequence[Decided]


class Pool:
    """The small segments of one environment under the rules that are for every route.

    A segment is small if its first day brought fewer than 200 traces; that is known a day after its first
    one, and from then on its units count here too, whatever it learns by itself. It takes two. The route of
    a unit is one of its dimensions, so an alarm can name it.

    The guarantee is that of a segment, with one more "if": that the mix of the routes stays what it was when
    the baseline was learned. **Misleads** where a route with a rate of its own grows within the pool: the
    alarm then names that route, as a mix that has changed.
    """

    def __init__(self, app: str, environment: str, rules: tuple[Rule, ...]) -> None:
        learned = tuple([rule for rule in rules if rule.kind in (Kind.LEARNED, Kind.BOUND)])
        self.monitors = SegmentMonitors(app, environment, EVERY_ROUTE, learned)
        of = (app, environment, EVERY_ROUTE)
        self.alarms = OpenAlarms(of, rules_of(learned, *of).values())
        self._state = MonitorState(self.monitors)
        self.touched = True
        self._named: dict[Profile, Profile] = {}

    def feed(
        self, fed: Sequence[Units], segments: int, decided_ms: int
    ) -> list[tuple[Order, Signal | Recovery]]:
        """The units of its segments since the last call, in whatever order; what its rules say."""
        self.touched = True
        traces = sorted(
            [pair for units in fed for pair in zip(units.traces, units.profiles, strict=True)],
            key=lambda pair: pair[0][:2],
        )
        scores = sorted([score for units in fed for score in units.scores], key=lambda unit: unit[::2][:2])
        decided = sorted([talk for units in fed for talk in units.decided], key=lambda talk: talk[::2][:2])
        said: list[tuple[Order, Signal | Recovery]] = []
        if traces:
            rows = [row for row, _ in traces]
            verdict = self.monitors.on_traces(rows, [self._with_route(p) for _, p in traces], segments)
            said += [((rows[at][0], 0), signal) for at, signal in verdict.signals]
        if scores:
            units = [(u[0], u[1], u[2], self._with_route(u[3]), u[4]) for u in scores]
            said += [((s.detected_at, 0), s) for s in self.monitors.on_scores(units, "app", segments)]
        if decided:
            talks = [(d[0], d[1], d[2], self._with_route(d[3]), d[4]) for d in decided]
            signals = self.monitors.on_conversations(talks, decided_ms, segments)
            said += [((signal.detected_at + decided_ms, 1), signal) for signal in signals]
        said += self.monitors.settle()
        self.alarms.note([one for _, one in sorted(said, key=itemgetter(0))])
        return said

    def score(self, unit: Unit, scorer: str, segments: int) -> list[Signal | Recovery]:
        """One score of a judge, in its trace's turn."""
        self.touched = True
        time, value, trace_id, profile, user = unit
        named: Unit = (time, value, trace_id, self._with_route(profile), user)
        told = self.monitors.on_scores([named], scorer, segments)
        self.alarms.note(told)
        return told

    def changes(self) -> dict[str, bytes | None]:
        """What is to be written down; None deletes a part."""
        self.touched = False
        return self._state.changes(open=self.alarms.snapshot())

    def load(self, entries: dict[str, bytes], now: int = 0) -> list[Recovery]:
        """As of a segment's state."""
        hot = self._state.load(entries)
        ended = self.alarms.restore(hot.get("open", {}), now)
        self.touched = bool(ended)
        return ended

    def on_change(self, row: ChangeRow) -> None:
        self.touched = True
        self.monitors.on_change(row.time, row.dimension, row.previous, row.current)

    def accept(self, accepted: Accepted) -> list[tuple[Order, Signal | Recovery]]:
        """As of a segment."""
        self.touched = True
        told = [((accepted.time, 0), one) for one in self.monitors.accept(accepted)] + self.monitors.settle()
        self.alarms.note([one for _, one in told])
        return told

    def _with_route(self, profile: Profile) -> Profile:
        named = self._named.get(profile)
        if named is None:
            versions = tuple(sorted((*profile.versions, ("route", profile.route))))
            named = self._named[profile] = profile._replace(route=EVERY_ROUTE, versions=versions)
            if len(self._named) > 4_096:
                self._named.clear()  # an application that names requests in its versions
        return named


class Smalls:
    """Which segments of one environment are small, and since when: a day after their first trace."""

    def __init__(self) -> None:
        self._since: list[int] = []

    def add(self, first: int) -> None:
        insort(self._since, first + DAY_MS)

    @property
    def begins(self) -> int | None:
        """When there are two of them, in event time."""
        return self._since[1] if len(self._since) > 1 else None


def since_then(units: Units, begins: int) -> Units:
    """Those from this time on; each list is in the order of time."""
    times = [row[0] for row in units.traces]
    at = bisect_left(times, begins)
    return Units(
        units.traces[at:],
        units.profiles[at:],
        [unit for unit in units.scores if unit[0] >= begins],
        [talk for talk in units.decided if talk[0] >= begins],
    )
