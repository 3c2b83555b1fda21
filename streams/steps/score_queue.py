"""The traces of one app whose scores are awaited: handed to the detectors in the order of the traces."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from schemas.identity import Coordinates
from schemas.observation import Profile, TraceRow
from streams.steps.chunks import ChunkLog
from streams.steps.inflight import Awaited, Result


class Scored(NamedTuple):
    """A trace whose turn has come: whether it is its conversation's scored turn, and its score."""

    row: TraceRow
    profile: Profile
    unit: bool
    result: Result | None
    waited_too_long: bool


class ScoreQueue:
    """First in, first out, by the traces' event time; ``head`` is the sequence number at the front.

    The front waits for its score, but no longer than ``wait_ms`` of the reporting clock.
    """

    def __init__(self, app: str) -> None:
        self._app = app
        self._queue: deque[Awaited] = deque()
        self._awaited: dict[str, Awaited] = {}
        self._queued: list[Awaited] = []
        self.early: dict[str, Result] = {}
        """By trace_id: the scores that have come for traces above the watermark."""
        self.head = self.tail = 0

    def __bool__(self) -> bool:
        return bool(self._queue)

    def __iter__(self) -> Iterator[Awaited]:
        return iter(self._queue)

    def push(
        self,
        row: TraceRow,
        profile: Profile,
        at: Coordinates,
        unit: bool,
        clock: int,
        result: Result | None,
    ) -> None:
        awaited = Awaited(self._app, self.tail, row, profile, at, unit, clock, result)
        self._queue.append(awaited)
        self._queued.append(awaited)
        self.tail += 1

    def settle(self, chunks: ChunkLog) -> None:
        """What has been queued since the last call and waits still can be found, and is written down."""
        queued = self._queued
        if queued:
            self._queued = []
            for awaited in queued:
                if awaited.seq >= self.head:
                    chunks.awaited.append(awaited)
                    self._awaited[awaited.row.trace_id] = awaited

    def waiting_since(self, otherwise: int) -> int:
        """Event time of the trace at the front: every one before it has had its turn."""
        return self._queue[0].row[0] if self._queue else otherwise

    def waiting(self, trace_id: str) -> Awaited | None:
        return self._awaited.get(trace_id)

    def take(self, clock: int, wait_ms: int) -> Iterator[Scored]:
        """Those at the front that have their score, or have waited for it too long."""
        queue = self._queue
        while queue:
            awaited = queue[0]
            late = awaited.result is None
            if late and clock - awaited.asked_at <= wait_ms:
                return
            queue.popleft()
            self.head = awaited.seq + 1
            self._awaited.pop(awaited.row.trace_id, None)
            yield Scored(awaited.row, awaited.profile, awaited.unit, awaited.result, late)

    def restore(self, awaited: Awaited) -> None:
        self._queue.append(awaited)
        self._awaited[awaited.row.trace_id] = awaited
