"""What the owner keeps of one app: marks, segments, conversations, the queue of scores, counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from detectors.harvest import feedback_reason
from schemas.case import CaseReason
from schemas.identity import Coordinates
from schemas.observation import ChangeRow, FeedbackRow, Profile, Source, TraceRow
from schemas.signal import WindowStat
from streams.steps.inflight import Awaited, OpenConversation, Pending, Result
from streams.steps.ledger import Known, scorable
from streams.steps.segment_state import SegmentState

if TYPE_CHECKING:
    from streams.steps.owner import OwnerPolicy

MAX_WAITING = 10_000
"""Pieces of feedback of one app that wait for their traces; beyond it the oldest count as unjoined."""


class AppState:
    """One app. ``head`` is the sequence number at the head of the queue of scores."""

    def __init__(self, name: str, window_ms: int) -> None:
        self.name, self.window_ms = name, window_ms
        self.marks: dict[Source, int] = {}
        self.counters: dict[str, int] = {}
        self.conversations: dict[str, OpenConversation] = {}
        self.due: deque[OpenConversation] = deque()
        self.queue: deque[Awaited] = deque()
        self.head = 0
        self._tail = 0
        self._segments: dict[tuple[str, str], SegmentState] = {}
        self._touched: set[tuple[str, str]] = set()
        self._waiting: dict[str, list[tuple[FeedbackRow, Coordinates]]] = {}
        self._waiting_changed = False

    def count(self, what: str) -> None:
        self.counters[what] = self.counters.get(what, 0) + 1

    # -- segments ----------------------------------------------------------------------------------

    def segment(self, profile: Profile) -> SegmentState:
        return self.segment_of(profile[0], profile[1])

    def segment_of(self, environment: str, route: str) -> SegmentState:
        """The segment's state; whoever asks is about to change it."""
        key = (environment, route)
        segment = self._segments.get(key)
        if segment is None:
            segment = self._segments[key] = SegmentState(self.name, environment, route, self.window_ms)
        self._touched.add(key)
        return segment

    def shared_by(self, policy: OwnerPolicy) -> int:
        """Segments that share a rule's false-page budget, as far as this app's owner can know."""
        return max(policy.segments, len(self._segments))

    def on_change(self, row: ChangeRow) -> None:
        """A change explains what follows in every segment of its environment (of all, without one)."""
        for key in list(self._segments):
            if row.environment is None or row.environment == key[0]:
                self.segment_of(*key).on_change(row)

    def close_windows(self, now: int, policy: OwnerPolicy) -> list[WindowStat]:
        closed: list[WindowStat] = []
        for key, segment in self._segments.items():
            stats = segment.close_windows(now - policy.conversation_ms)
            if stats:
                self._touched.add(key)
                closed += stats
        return closed

    # -- scores ------------------------------------------------------------------------------------

    def await_score(
        self, row: TraceRow, profile: Profile, item: Pending, unit: bool, clock: int
    ) -> Awaited | None:
        """Queue a trace whose score is known or asked for; None where there will be none."""
        if not scorable(row):
            self.segment(profile).unmeasured(row)
            return None
        result = item.result
        if row.faithfulness is not None:
            result = Result("app", row.faithfulness, False, None)
        awaited = Awaited(self.name, self._tail, row, profile, item.at, unit, clock, result)
        self._tail += 1
        self.queue.append(awaited)
        return awaited

    def scored(self, clock: int, wait_ms: int) -> Iterator[Awaited]:
        """Those at the head of the queue that have their score, or have waited for it too long."""
        queue = self.queue
        while queue:
            awaited = queue[0]
            if awaited.result is None:
                if clock - awaited.asked_at <= wait_ms:
                    return
                self.count("score_timeouts")
            queue.popleft()
            self.head = awaited.seq + 1
            yield awaited

    def late_score(self, known: Known, result: Result) -> None:
        self.count("late_scores")
        self.segment_of(known.environment, known.route).late_score(known.time, result)

    # -- feedback ----------------------------------------------------------------------------------

    def feedback_reason(self, row: FeedbackRow) -> CaseReason | None:
        return feedback_reason(row.feedback_kind, row.negative)

    def wait(self, row: FeedbackRow, at: Coordinates) -> None:
        """Keep feedback that came before its trace."""
        self._waiting.setdefault(row.trace_id, []).append((row, at))
        self._waiting_changed = True
        if len(self._waiting) > MAX_WAITING:
            oldest = next(iter(self._waiting))
            for _ in self._waiting.pop(oldest):
                self.count("unjoined")

    def take_waiting(self, trace_id: str) -> list[tuple[FeedbackRow, Coordinates]]:
        if not self._waiting or trace_id not in self._waiting:
            return []
        self._waiting_changed = True
        return self._waiting.pop(trace_id)

    def expire_waiting(self, before: int) -> None:
        """Feedback whose trace has not come within the join horizon joins nothing, and is counted."""
        expired = [
            trace_id for trace_id, rows in self._waiting.items() if all(row.time < before for row, _ in rows)
        ]
        for trace_id in expired:
            for _ in self.take_waiting(trace_id):
                self.count("unjoined")

    # -- state -------------------------------------------------------------------------------------

    def meta(self) -> dict[str, Any]:
        return {
            "marks": [[*source, mark] for source, mark in self.marks.items()],
            "counters": self.counters,
            "head": self.head,
            "tail": self._tail,
        }

    def changes(self) -> dict[str, bytes | None]:
        """Entries of the segments that have been touched, and of the feedback that waits."""
        entries: dict[str, bytes | None] = {
            "segment:" + orjson.dumps([self.name, *key]).decode(): self._segments[key].dump()
            for key in sorted(self._touched)
        }
        self._touched.clear()
        if self._waiting_changed:
            entries["waiting:" + self.name] = orjson.dumps(
                [[list(row), list(at)] for rows in self._waiting.values() for row, at in rows]
            )
            self._waiting_changed = False
        return entries

    def restore(self, state: dict[str, Any]) -> None:
        self.marks = {Source(*source): mark for *source, mark in state["marks"]}
        self.counters = dict(state["counters"])
        self.head, self._tail = state["head"], state["tail"]

    def restore_segment(self, environment: str, route: str, data: bytes) -> None:
        segment = SegmentState(self.name, environment, route, self.window_ms)
        segment.load(data)
        self._segments[environment, route] = segment

    def restore_waiting(self, data: bytes) -> None:
        for row, at in orjson.loads(data):
            feedback = FeedbackRow._make(row)
            self._waiting.setdefault(feedback.trace_id, []).append((feedback, Coordinates(*at)))
