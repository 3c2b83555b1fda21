"""What the owner keeps of one segment: its detectors and its windows, fed a batch at a time."""

from __future__ import annotations

from bisect import bisect_left
from operator import itemgetter
from typing import NamedTuple

from detectors.acceptance import Accepted
from detectors.baseline import DAY_MS
from detectors.declared.watch import DeclaredWatch, SegmentsAt
from detectors.harvest import FAILING, trace_reasons
from detectors.rule_edits import OpenAlarms
from detectors.rules import DEFAULT_RULES, Rule, declared_of, rules_of
from detectors.segment import Decided, SegmentMonitors
from detectors.unit import Unit
from schemas.case import CaseReason
from schemas.catalog import RATES
from schemas.observation import ChangeRow, Flag, Profile, Row, TraceRow
from schemas.signal import Recovery, Signal, SignalName, WindowStat
from streams.steps.inflight import Pending, Result
from streams.steps.ledger import SCORE_REQUESTED
from streams.steps.monitor_state import MonitorState, packed, unpacked
from streams.steps.pool import SMALL, Units
from streams.steps.segment_windows import Horizons, SegmentWindows

Order = tuple[int, int]
"""When something was decided, in event time; at one instant traces (0) come before conversations (1), and
these before what ends there (2)."""
LOW_SCORE = Flag.LOW_SCORE.value


class Flushed(NamedTuple):
    """What a batch brought, in the order of application."""

    signals: list[tuple[Order, Signal | Recovery]]
    cases: list[tuple[Order, Pending, tuple[CaseReason, ...]]]


class SegmentState:
    """Feeds detectors and windows alike; late things reach the windows alone.

    ``traces``, ``units`` (scored by the application), ``measured`` (score or none) and ``decided`` are
    what has been applied since the last :meth:`flush`. How it is split over flushes changes nothing,
    except what the segments of the app and their announced changes are: whoever changes one of them
    flushes first.
    """

    def __init__(
        self,
        app: str,
        environment: str,
        route: str,
        horizons: Horizons,
        window_ms: int,
        rules: tuple[Rule, ...] = DEFAULT_RULES,
    ) -> None:
        self.monitors = SegmentMonitors(app, environment, route, rules)
        self._grounded = self.monitors.monitor(SignalName.GROUNDED) is not None
        self._judged = self.monitors.monitor(SignalName.UNSCORED) is not None
        self._declared = DeclaredWatch(app, environment, route, rules)
        of = (app, environment, route)
        self.alarms = OpenAlarms(of, [*rules_of(rules, *of).values(), *declared_of(rules, *of)])
        self.declares = bool(self._declared)
        """Whether it is to be asked as event time passes."""
        watched = [signal for signal in RATES if self.monitors.watches(signal)]
        self.windows = SegmentWindows((app, environment, route), horizons, window_ms, watched)
        self.since = 0
        """Time of its first event, ms."""
        self.touched = False
        """Whether it has changed since it was last written down."""
        self.state = MonitorState(self.monitors)
        self.first_day = 0
        """Traces within a day of its first event."""
        self.fed: Units | None = None
        """What the last flush fed, while the segment may be a small one."""
        self.traces: list[Pending] = []
        self.units: list[Pending] = []
        self.measured: list[TraceRow] = []
        self.decided: list[Decided] = []

    def flush(self, segments: int, decided_ms: int) -> Flushed:
        """Feed what has been applied. ``segments`` share a budget; ``decided_ms``: see ``Conversations``."""
        flushed = Flushed([], [])
        fed = Units([], [], [], self.decided)
        if self.traces:
            fed = self._flush_traces(segments, flushed)._replace(decided=self.decided)
        if self.measured:
            self.windows.measured(self.measured)
            self.measured = []
        if self.units:
            units: list[Unit] = [
                (time, row[15], trace_id, profile, row[8])  # type: ignore[misc]
                for time, trace_id, _, _, _, row, profile in self.units
            ]
            signals = self.monitors.on_scores(units, "app", segments)
            if self._grounded:
                verdicts = [_verdict(unit, item[5]) for unit, item in zip(units, self.units, strict=True)]
                signals += self.monitors.on_verdicts(verdicts, "app", segments)
            flushed.signals.extend([((signal.detected_at, 0), signal) for signal in signals])
            if self.declares:
                for (time, score, trace_id, _, _), item in zip(units, self.units, strict=True):
                    assert isinstance(item.row, TraceRow)
                    low = bool(item.row.flags & LOW_SCORE)
                    flushed.signals.extend(self._declared.on_score(time, trace_id, "app", score, low))
            fed = fed._replace(scores=units)
            self.units = []
        if self.decided:
            self.windows.rates.extend([conversation[:2] for conversation in self.decided])
            signals = self.monitors.on_conversations(self.decided, decided_ms, segments)
            if self.declares:
                self._declared.on_conversations([conversation[:3] for conversation in self.decided])
            flushed.signals.extend([((signal.detected_at + decided_ms, 1), signal) for signal in signals])
            self.decided = []
        flushed.signals.extend(self.monitors.settle())
        if flushed.signals:
            self.alarms.note([said for _, said in sorted(flushed.signals, key=itemgetter(0))])
        self.fed = fed if self.first_day < SMALL else None
        return flushed

    def _flush_traces(self, segments: int, flushed: Flushed) -> Units:
        items, self.traces = self.traces, []
        rows: list[TraceRow] = [item[5] for item in items]  # type: ignore[misc]
        profiles: list[Profile] = [item[6] for item in items]  # type: ignore[misc]
        self.windows.traces(rows)
        signals, outliers = self.monitors.on_traces(rows, profiles, segments)
        if self.declares:
            signals.extend(self._declared.on_traces(rows, profiles))
        flushed.signals.extend([((rows[at][0], 0), signal) for at, signal in signals])
        failing = {at for at, row in enumerate(rows) if row[9] & FAILING}
        for at in sorted(failing.union(outliers)) if outliers else sorted(failing):
            reasons = trace_reasons(rows[at][9], at in outliers)
            flushed.cases.append(((rows[at][0], 0), items[at], reasons))
        if rows[0][0] < self.since + DAY_MS:
            self.first_day += bisect_left(rows, (self.since + DAY_MS,))
        return Units(rows, profiles, [], [])

    def on_score(
        self, row: TraceRow, profile: Profile, unit: bool, result: Result | None, segments: int
    ) -> list[Signal | Recovery]:
        """A score in its trace's turn; only the conversation's scored turn, a ``unit``, is the detector's."""
        self.windows.score(row, result)
        value = None if result is None else result.value
        told: list[Signal | Recovery] = []
        if row[9] & SCORE_REQUESTED:
            if self._judged:
                failed: Unit = (row[0], 0.0 if value is not None else 1.0, row[1], profile, row[8])
                told += self.monitors.on_verdicts([failed], None, segments)
            if self.declares:
                self._declared.on_judged(row[0], row[1], value is not None)
        if result is None or value is None or not unit:
            self.alarms.note(told)
            return told
        low = result.low or (result.scorer == "app" and bool(row[9] & LOW_SCORE))
        if self.declares:
            declared = self._declared.on_score(row[0], row[1], result.scorer, value, low)
            told += [signal for _, signal in declared]
        scored: Unit = (row[0], value, row[1], profile, row[8])
        told += self.monitors.on_scores([scored], result.scorer, segments)
        if self._grounded:
            verdict: Unit = (row[0], 1.0 if low else 0.0, row[1], profile, row[8])
            told += self.monitors.on_verdicts([verdict], result.scorer, segments)
        self.alarms.note(told)
        return told

    def close_declared(
        self, watermark: int, decided_ms: int, segments_at: SegmentsAt
    ) -> list[tuple[Order, Signal | Recovery]]:
        """What declared rules say of what has ended: every trace up to ``watermark`` has been flushed.
        ``segments_at`` is how many segments share a budget at a time."""
        before = self._declared.asked
        found = self._declared.close(watermark, decided_ms, segments_at)
        self.alarms.note([said for _, said in sorted(found, key=itemgetter(0))])
        self.touched = self.touched or bool(found) or self._declared.asked != before
        return found

    def close_scores(self, upto: int) -> list[tuple[Order, Signal | Recovery]]:
        """What declared rules say of scores: none of a trace before ``upto`` is to come."""
        before = self._declared.asked
        found = self._declared.close_scores(upto)
        self.alarms.note([said for _, said in sorted(found, key=itemgetter(0))])
        self.touched = self.touched or self._declared.asked != before
        return found

    def on_change(self, row: ChangeRow) -> None:
        self.monitors.on_change(row.time, row.dimension, row.previous, row.current)
        if self.declares:
            self._declared.on_change(row.time, row.dimension, row.current)

    def accept(self, accepted: Accepted) -> list[tuple[Order, Signal | Recovery]]:
        """What is normal is learned anew; everything before ``accepted.time`` has been flushed."""
        self.touched = True
        if self.declares:
            self._declared.accept(accepted)
        told = [((accepted.time, 0), one) for one in self.monitors.accept(accepted)] + self.monitors.settle()
        self.alarms.note([one for _, one in told])
        return told

    def close_windows(self, watermark: int, decided_ms: int) -> list[WindowStat]:
        return self.windows.close(watermark, decided_ms)

    def changes(self) -> dict[str, bytes | None]:
        """What is to be written down, once all has been flushed; None deletes a part.

        The monitors' parts (see ``MonitorState``); the open ``windows`` change with every unit, ``parts``
        when something came for a closed one.
        """
        self.touched = False
        entries = self.state.changes(since=self.since, first_day=self.first_day, open=self.alarms.snapshot())
        entries["windows"] = packed(self.windows.snapshot())
        if (parts := self.windows.parts()) is not None:
            entries["parts"] = packed(parts)
        if self.declares:
            entries["declared"] = packed(self._declared.snapshot())
        return entries

    def load(self, entries: dict[str, bytes], now: int = 0) -> list[Recovery]:
        """Take over what was written, at event time ``now``: the ends of alarms that no rule stands for any
        more, which are to be told with the next state that is written."""
        hot = self.state.load(entries)
        self.windows.restore(
            unpacked(entries["windows"]), unpacked(entries["parts"]) if "parts" in entries else None
        )
        if self.declares and "declared" in entries:
            self._declared.restore(unpacked(entries["declared"]))
        self.since, self.first_day = hot["since"], hot["first_day"]
        ended = self.alarms.restore(hot.get("open", {}), now)
        self.touched = bool(ended)
        return ended


def _verdict(unit: Unit, row: Row) -> Unit:
    """A unit scored by the application as 1 where its score is low, else 0."""
    assert isinstance(row, TraceRow)
    return (unit[0], 1.0 if row.flags & LOW_SCORE else 0.0, *unit[2:])
