"""Replay: the same pure steps over files, without Kafka, in event-time order.

What is decided here is what production decides on the same events, as long as none of them came late
there. No clock is read: "now" is the watermark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from detectors.incident.group import group
from schemas.case import CaseRequest, EvalCase
from schemas.codec import Element, Refused
from schemas.dead_letter import DeadLetter
from schemas.identity import Coordinates
from schemas.incident import Incident
from schemas.observation import ChangeRow, ObservationBatch, Row, ScoreRow, TraceRow
from schemas.signal import Recovery, Signal, SignalRecord, WindowStat
from streams.file_rows import FileRows, Item, Seen, read_rows
from streams.steps.harvest import element_at, elements_of, harvest
from streams.steps.ingest import IngestPolicy
from streams.steps.ledger import Ledger, MemoryLedger
from streams.steps.owner import Owner, OwnerPolicy
from streams.steps.privacy import Privacy

CHUNK = 5_000
"""Observations handed to the owner at a time; what comes out does not depend on it."""
LINES = 4
"""Lines that are kept as they were read: a line may hold thousands of events, and each may become a case."""
LOOKS = 400
"""How often ``watch`` looks at the owner, at least, where there are that many observations."""
Watch = Callable[[Owner, int], None]


class Replayed(NamedTuple):
    """``events`` were read, ``processed`` of them accepted; the others are ``dead_letters``."""

    events: int
    processed: int
    dead_letters: list[DeadLetter]
    signals: list[SignalRecord]
    requests: list[CaseRequest]
    counters: dict[str, dict[str, int]]
    span: tuple[int, int]
    """Event times of the first and the last event, ms."""
    changes: list[tuple[str, ChangeRow]]
    """The change events, each with its app, in event-time order."""
    traces: int
    unscored: int
    """Traces accepted, and those of them without a score: neither their application's nor the scorer's."""

    def alarms(self) -> list[Signal]:
        return [signal for signal in self.signals if isinstance(signal, Signal)]

    def incidents(self) -> list[Incident]:
        """What the signals would have paged; windows tell only whether there was data."""
        return group(one for one in self.signals if isinstance(one, Signal | Recovery | WindowStat))


def replay(
    files: Sequence[Path],
    ingest: IngestPolicy | None = None,
    policy: OwnerPolicy | None = None,
    seen: Seen = lambda events: None,
    watch: Watch | None = None,
) -> Replayed:
    """Read the files and run them through identity, order, windows and detectors.

    Traces without a faithfulness of their own are scored by the offline scorer. Raises ``OSError``
    where a file cannot be read. ``watch`` looks at the owner now and then, with the event time up to which
    everything has been applied; it must change nothing.
    """
    rows = read_rows(files, ingest or IngestPolicy(), seen)
    items, processed = rows.items, len(rows.items)
    span = (items[0][0][0], items[-1][0][0]) if items else (0, 0)
    policy = policy or OwnerPolicy()
    owner = Owner(0, policy, Ledger(MemoryLedger(), policy.join_horizon_ms))
    signals: list[SignalRecord] = []
    requests: list[CaseRequest] = []
    changes = [(app, row) for row, app, _ in items if type(row) is ChangeRow]
    scored = [_scored(row, score) for row, _, score in items if type(row) is TraceRow]
    traces, unscored = len(scored), scored.count(False)
    size = CHUNK if watch is None else max(min(CHUNK, len(items) // LOOKS), 1)
    items.reverse()  # what has been absorbed is given back from the end
    while items:
        chunk = items[: -size - 1 : -1]
        del items[-size:]
        for batch in _batches(chunk, rows):
            owner.absorb(batch)
            # Nothing in a file is redelivered, and a file need not be in the order of its event times.
            owner.apps[batch.app].marks.clear()
        # The instant of the last row may go on in the next chunk: it is not complete yet.
        newest = chunk[-1][0][0]
        applied = newest - 1 if items else newest
        owner.finish(applied)
        if watch is not None:
            watch(owner, applied)
        owner.flush_ledger(0)
        owner.chunks.forget()
        outputs = owner.take_outputs()
        signals += outputs.signals
        requests += outputs.cases
    counters = {app.name: dict(app.counters) for app in owner.apps.values()}
    return Replayed(
        rows.events,
        processed,
        rows.dead_letters,
        signals,
        requests,
        counters,
        span,
        changes,
        traces,
        unscored,
    )


def _scored(row: TraceRow, score: ScoreRow | None) -> bool:
    return row.faithfulness is not None or (score is not None and score.value is not None)


def _batches(chunk: Sequence[Item], rows: FileRows) -> Iterator[ObservationBatch]:
    """A chunk as the batches that ingest would have sent: in the order of the files, scores at the end.

    Traces go first and alone, which the owner absorbs quickly; the order of application is its own.
    """
    by_app: dict[str, list[Item]] = {}
    for item in chunk:
        by_app.setdefault(item[1], []).append(item)
    for app, items in by_app.items():
        items.sort(key=_in_file)
        traces: list[Row] = [row for row, _, _ in items if type(row) is TraceRow]
        others: list[Row] = [row for row, _, _ in items if type(row) is not TraceRow]
        scores = [score for _, _, score in items if score is not None]
        for part in (traces, [*others, *scores]):
            if part:
                yield ObservationBatch(app, rows.sources, rows.profiles, part)


def _in_file(item: Item) -> tuple[int, int, int]:
    row = item[0]
    return row[3], row[4], row[5]


def cases_of(
    requests: Sequence[CaseRequest],
    files: Sequence[Path],
    privacy: Callable[[str], Privacy] = lambda app: Privacy.REDACTED,
) -> Iterator[EvalCase]:
    """The whole cases, each trace read again at its place in its file; ``privacy`` is by app."""
    handles = {str(path): path.open("rb") for path in files}
    try:

        @lru_cache(LINES)
        def line(topic: str, offset: int) -> list[Element | Refused]:
            handle = handles[topic]
            handle.seek(offset)
            return elements_of(handle.readline().rstrip(b"\n"))

        def fetch(at: Coordinates | None) -> dict[str, Any] | None:
            if at is None or at.topic not in handles:
                return None
            return element_at(line(at.topic, at.offset), at.index)

        for request in requests:
            trace, event = fetch(request.trace_at), fetch(request.event_at)
            yield harvest(request, trace, event, privacy(request.app)).case
    finally:
        for handle in handles.values():
            handle.close()


def clock() -> float:
    """Seconds for the summary's ``seconds``; decides nothing."""
    return time.monotonic()
