"""What the owner keeps of one app: marks, segments, conversations, the queue of scores, counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

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


Scored = tuple[TraceRow, Profile, bool, Result | None]
"""A trace whose turn to be scored has come: whether it is its conversation's scored turn, and its score."""
_result = partial(tuple.__new__, Result)


class Waiting(NamedTuple):
    """A piece of feedback whose trace has not come; ``seq`` numbers them in the order of their coming."""

    seq: int
    row: FeedbackRow
    at: Coordinates


class AppState:
    """One app. ``head`` is the sequence number at the head of the queue of scores."""

    def __init__(self, name: str, window_ms: int) -> None:
        self.name, self.window_ms = name, window_ms
        self.marks: dict[Source, int] = {}
        self.counters: dict[str, int] = {}
        self.conversations: dict[str, OpenConversation] = {}
        self.due: deque[OpenConversation] = deque()
        self.queue: deque[Awaited] = deque()
        self.pending: dict[str, Pending] = {}
        """By trace_id: the traces above the watermark."""
        self.early: dict[str, Result] = {}
        """The scores that have come for some of them."""
        self.awaited: dict[str, Awaited] = {}
        """By trace_id: what waits in ``queue``."""
        self.head = 0
        self._tail = 0
        self._queued: list[Awaited] = []
        self._scored: list[Scored] = []
        self._segments: dict[tuple[str, str], SegmentState] = {}
        self._waiting: dict[int, Waiting] = {}
        self._waiting_for: dict[str, list[int]] = {}
        self._waited = 0
        self._waiting_changed: set[int] = set()

    def count(self, what: str, many: int = 1) -> None:
        self.counters[what] = self.counters.get(what, 0) + many

    # -- segments ----------------------------------------------------------------------------------

    def segment(self, profile: Profile) -> SegmentState:
        """The segment's state; whoever asks is about to change it."""
        segment = self._segments.get(profile[:2])
        if segment is None:
            return self.segment_of(profile[0], profile[1])
        segment.touched = True
        return segment

    def segment_of(self, environment: str, route: str) -> SegmentState:
        """As ``segment``, by its name."""
        key = (environment, route)
        segment = self._segments.get(key)
        if segment is None:
            segment = self._segments[key] = SegmentState(self.name, environment, route, self.window_ms)
        segment.touched = True
        return segment

    def shared_by(self, policy: OwnerPolicy) -> int:
        """Segments that share a rule's false-page budget, as far as this app's owner can know."""
        known = len(self._segments)
        return known if known > policy.segments else policy.segments

    def on_change(self, row: ChangeRow) -> None:
        """A change explains what follows in every segment of its environment (of all, without one)."""
        for key in list(self._segments):
            if row.environment is None or row.environment == key[0]:
                self.segment_of(*key).on_change(row)

    def close_windows(self, now: int, policy: OwnerPolicy) -> list[WindowStat]:
        closed: list[WindowStat] = []
        for segment in self._segments.values():
            stats = segment.close_windows(now - policy.conversation_ms)
            if stats:
                segment.touched = True
                closed += stats
        return closed

    # -- scores ------------------------------------------------------------------------------------

    def await_score(
        self, segment: SegmentState, row: TraceRow, profile: Profile, at: Coordinates, unit: bool, clock: int
    ) -> None:
        """Queue a trace whose score is known or asked for; nothing where there will be none."""
        result = self.early.pop(row[1], None) if self.early else None
        if row[15] is not None:
            result = _result(("app", row[15], False, None))
        elif not scorable(row):
            segment.unmeasured(row)
            return
        if result is not None and not self.queue:
            self._scored.append((row, profile, unit, result))
        else:
            awaited = Awaited(self.name, self._tail, row, profile, at, unit, clock, result)
            self.queue.append(awaited)
            self._queued.append(awaited)
        self._tail += 1

    def take_queued(self) -> list[Awaited]:
        """What has been queued since the last call and is waiting still: most leave the queue at once."""
        queued = self._queued
        if not queued:
            return queued
        self._queued = []
        return [awaited for awaited in queued if awaited.seq >= self.head]

    def scored(self, clock: int, wait_ms: int) -> Iterator[Scored]:
        """Those at the head of the queue that have their score, or have waited for it too long."""
        queue = self.queue
        if self._scored:
            self.head = queue[0].seq if queue else self._tail
            yield from self._scored
            self._scored = []
        while queue:
            awaited = queue[0]
            if awaited.result is None:
                if clock - awaited.asked_at <= wait_ms:
                    return
                self.count("score_timeouts")
            queue.popleft()
            self.head = awaited.seq + 1
            self.awaited.pop(awaited.row.trace_id, None)
            yield awaited.row, awaited.profile, awaited.unit, awaited.result

    def late_score(self, known: Known, result: Result) -> None:
        self.count("late_scores")
        self.segment_of(known.environment, known.route).late_score(known.time, result)

    # -- feedback ----------------------------------------------------------------------------------

    def feedback_reason(self, row: FeedbackRow) -> CaseReason | None:
        return feedback_reason(row.feedback_kind, row.negative)

    def wait(self, row: FeedbackRow, at: Coordinates) -> None:
        """Keep feedback that came before its trace."""
        self._keep(Waiting(self._waited, row, at))
        self._waiting_changed.add(self._waited)
        self._waited += 1
        if len(self._waiting) > MAX_WAITING:
            self._give_up(next(iter(self._waiting)))

    def _keep(self, item: Waiting) -> None:
        self._waiting[item.seq] = item
        self._waiting_for.setdefault(item.row.trace_id, []).append(item.seq)

    def take_waiting(self, trace_id: str) -> list[tuple[FeedbackRow, Coordinates]]:
        """The feedback that has waited for this trace, in the order of its coming."""
        numbers = self._waiting_for.pop(trace_id, None)
        if numbers is None:
            return []
        self._waiting_changed.update(numbers)
        return [(item.row, item.at) for item in map(self._waiting.pop, numbers)]

    def expire_waiting(self, before: int) -> None:
        """Feedback whose trace has not come within the join horizon joins nothing, and is counted."""
        for number in [item.seq for item in self._waiting.values() if item.row.time < before]:
            self._give_up(number)

    def _give_up(self, number: int) -> None:
        trace_id = self._waiting.pop(number).row.trace_id
        numbers = self._waiting_for[trace_id]
        numbers.remove(number)
        if not numbers:
            del self._waiting_for[trace_id]
        self._waiting_changed.add(number)
        self.count("unjoined")

    # -- state -------------------------------------------------------------------------------------

    def meta(self) -> dict[str, Any]:
        return {
            "marks": [[*source, mark] for source, mark in self.marks.items()],
            "counters": self.counters,
            "head": self.head,
            "tail": self._tail,
            "waited": self._waited,
        }

    def changes(self) -> dict[str, bytes | None]:
        """Entries of the segments that have been touched, and of the feedback that waits."""
        entries: dict[str, bytes | None] = {
            "segment:" + orjson.dumps([self.name, *key]).decode(): segment.dump()
            for key, segment in sorted(self._segments.items(), key=itemgetter(0))
            if segment.touched
        }
        for number in sorted(self._waiting_changed):
            item = self._waiting.get(number)
            entries["waiting:" + orjson.dumps([self.name, number]).decode()] = (
                None if item is None else orjson.dumps([list(item.row), list(item.at)])
            )
        self._waiting_changed.clear()
        return entries

    def restore(self, state: dict[str, Any]) -> None:
        self.marks = {Source(*source): mark for *source, mark in state["marks"]}
        self.counters = dict(state["counters"])
        self.head, self._tail, self._waited = state["head"], state["tail"], state["waited"]

    def restore_segment(self, environment: str, route: str, data: bytes) -> None:
        segment = SegmentState(self.name, environment, route, self.window_ms)
        segment.load(data)
        self._segments[environment, route] = segment

    def restore_waiting(self, entries: dict[int, bytes]) -> None:
        for number in sorted(entries):
            row, at = orjson.loads(entries[number])
            self._keep(Waiting(number, FeedbackRow._make(row), Coordinates(*at)))
