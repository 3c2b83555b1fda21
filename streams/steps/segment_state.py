"""What the owner keeps of one segment: its detectors and its windows."""

from __future__ import annotations

import orjson

from detectors.harvest import trace_reasons
from detectors.segment import SegmentMonitors, TraceVerdict
from detectors.windows import Windows
from schemas.case import CaseReason
from schemas.observation import ChangeRow, Profile, TraceRow
from schemas.signal import Signal, SignalName, WindowStat
from streams.steps.inflight import Awaited, OpenConversation, Result


class SegmentState:
    """Feeds detectors and windows alike; late things reach the windows alone."""

    def __init__(self, app: str, environment: str, route: str, window_ms: int) -> None:
        self.monitors = SegmentMonitors(app, environment, route)
        self._windows = {
            signal: Windows(app, environment, route, signal, window_ms)
            for signal in (SignalName.FAITHFULNESS, SignalName.ESCALATION, SignalName.COST)
        }
        self.too_late = 0
        """Units whose window is no longer kept."""

    def _add(self, signal: SignalName, time: int, value: float | None, late: bool = False) -> None:
        if not self._windows[signal].add(time, value, late):
            self.too_late += 1

    def on_trace(self, row: TraceRow, profile: Profile, segments: int) -> TraceVerdict:
        self._add(SignalName.COST, row.time, row.cost)
        return self.monitors.on_trace(
            row.time, row.trace_id, profile, row.user_id, row.cost, row.price, segments
        )

    def late_trace(self, row: TraceRow) -> None:
        self._add(SignalName.COST, row.time, row.cost, late=True)
        if row.faithfulness is not None:
            self._add(SignalName.FAITHFULNESS, row.time, row.faithfulness, late=True)

    def trace_reasons(self, row: TraceRow, cost_outlier: bool) -> tuple[CaseReason, ...]:
        return trace_reasons(row.flags, cost_outlier)

    def unmeasured(self, row: TraceRow) -> None:
        """A trace that nobody scores: it had no passages, or was not sampled."""
        self._add(SignalName.FAITHFULNESS, row.time, None)

    def on_score(self, awaited: Awaited, segments: int) -> tuple[Signal, ...]:
        row, result = awaited.row, awaited.result
        value = None if result is None else result.value
        self._add(SignalName.FAITHFULNESS, row.time, value)
        if result is None or value is None or not awaited.unit:
            return ()
        return self.monitors.on_score(
            row.time, row.trace_id, awaited.profile, row.user_id, result.scorer, value, segments
        )

    def late_score(self, time: int, result: Result) -> None:
        self._add(SignalName.FAITHFULNESS, time, result.value, late=True)

    def on_conversation(self, conversation: OpenConversation, segments: int) -> tuple[Signal, ...]:
        escalated = conversation.escalated
        self._add(SignalName.ESCALATION, conversation.first_time, 1.0 if escalated else 0.0)
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
