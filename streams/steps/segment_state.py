"""What the owner keeps of one segment: its detectors and its windows."""

from __future__ import annotations

import orjson

from detectors.harvest import trace_reasons
from detectors.segment import SegmentMonitors, TraceVerdict
from detectors.windows import Windows
from schemas.case import CaseReason
from schemas.observation import ChangeRow, Profile, TraceRow
from schemas.signal import Signal, SignalName, WindowStat
from streams.steps.inflight import OpenConversation, Result
from streams.steps.ledger import scorable


class SegmentState:
    """Feeds detectors and windows alike; late things reach the windows alone."""

    def __init__(self, app: str, environment: str, route: str, window_ms: int) -> None:
        self.monitors = SegmentMonitors(app, environment, route)
        self._windows = {
            signal: Windows(app, environment, route, signal, window_ms)
            for signal in (SignalName.FAITHFULNESS, SignalName.ESCALATION, SignalName.COST)
        }
        self._faithfulness, self._escalation, self._cost = self._windows.values()
        self.too_late = 0
        """Units whose window is no longer kept."""
        self.touched = False
        """Whether it has changed since it was last written down."""

    def _add(self, windows: Windows, time: int, value: float | None, late: bool = False) -> None:
        if not windows.add(time, value, late):
            self.too_late += 1

    def on_trace(self, row: TraceRow, profile: Profile, segments: int) -> TraceVerdict:
        time, cost = row[0], row.cost
        if not self._cost.add(time, cost):
            self.too_late += 1
        return self.monitors.on_trace(time, row[1], profile, row.user_id, cost, row.price, segments)

    def late_trace(self, row: TraceRow) -> None:
        self._add(self._cost, row.time, row.cost, late=True)
        if row.faithfulness is not None or not scorable(row):
            self._add(self._faithfulness, row.time, row.faithfulness, late=True)

    def trace_reasons(self, row: TraceRow, cost_outlier: bool) -> tuple[CaseReason, ...]:
        return trace_reasons(row.flags, cost_outlier)

    def unmeasured(self, row: TraceRow) -> None:
        """A trace that nobody scores: it had no passages, or was not sampled."""
        self._add(self._faithfulness, row.time, None)

    def on_score(
        self, row: TraceRow, profile: Profile, unit: bool, result: Result | None, segments: int
    ) -> tuple[Signal, ...]:
        """A score in its trace's turn; only the conversation's scored turn, a ``unit``, is the detector's."""
        value = None if result is None else result.value
        if not self._faithfulness.add(row[0], value):
            self.too_late += 1
        if result is None or value is None or not unit:
            return ()
        return self.monitors.on_score(row[0], row[1], profile, row.user_id, result.scorer, value, segments)

    def late_score(self, time: int, result: Result) -> None:
        self._add(self._faithfulness, time, result.value, late=True)

    def on_conversation(self, conversation: OpenConversation, segments: int) -> tuple[Signal, ...]:
        escalated = conversation.escalated
        if not self._escalation.add(conversation.first_time, 1.0 if escalated else 0.0):
            self.too_late += 1
        return self.monitors.on_conversation(
            conversation.first_time,
            conversation.trace_id,
            conversation.profile,
            conversation.user_id,
            escalated,
            segments,
        )

    def on_change(self, row: ChangeRow) -> None:
        self.monitors.on_change(row.time, row.dimension, row.previous, row.current)

    def close_windows(self, watermark: int) -> list[WindowStat]:
        return [stat for windows in self._windows.values() for stat in windows.close(watermark)]

    def dump(self) -> bytes:
        """The state to write down."""
        self.touched = False
        return orjson.dumps(
            {
                "monitors": self.monitors.snapshot(),
                "windows": {str(signal): w.snapshot() for signal, w in self._windows.items()},
                "too_late": self.too_late,
            }
        )

    def load(self, data: bytes) -> None:
        state = orjson.loads(data)
        self.monitors.restore(state["monitors"])
        for signal, windows in state["windows"].items():
            self._windows[SignalName(signal)].restore(windows)
        self.too_late = state["too_late"]
