"""Replay: the same pure steps over files, without Kafka, in event-time order.

What is decided here is what production decides on the same events, as long as none of them came late
there. No clock is read: "now" is the watermark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from detectors.incident.group import group
from schemas.case import CaseRequest, EvalCase
from schemas.codec import Element, Refused, classify, split
from schemas.dead_letter import DeadLetter
from schemas.identity import Coordinates
from schemas.incident import Incident
from schemas.observation import Kind, ObservationBatch, Profile, Source
from schemas.signal import Signal, SignalRecord
from streams.judges.offline import score_request_now
from streams.lines import Line, read_lines
from streams.steps.harvest import element_at, harvest
from streams.steps.ingest import IngestPolicy, observe
from streams.steps.ledger import Ledger, MemoryLedger
from streams.steps.observe import Observed, observe_score
from streams.steps.owner import Owner, OwnerPolicy
from streams.steps.prices import Prices
from streams.steps.refuse import dead_letter

CHUNK = 5_000
"""Observations handed to the owner at a time; the order of application does not depend on it."""
STREAM = "file"
Seen = Callable[[int], None]


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

    def alarms(self) -> list[Signal]:
        return [signal for signal in self.signals if isinstance(signal, Signal)]

    def incidents(self) -> list[Incident]:
        return group(self.alarms())


class _Sorted(NamedTuple):
    order: tuple[int, str, int, str, int, int]
    observed: Observed
    source: Source


def replay(
    files: Sequence[Path],
    ingest: IngestPolicy | None = None,
    policy: OwnerPolicy | None = None,
    seen: Seen = lambda events: None,
) -> Replayed:
    """Read the files and run them through identity, order, windows and detectors.

    Traces without a faithfulness of their own are scored by the offline scorer. Raises ``OSError``
    where a file cannot be read.
    """
    ingest, prices = ingest or IngestPolicy(), Prices()
    rows: list[_Sorted] = []
    dead: list[DeadLetter] = []
    events = 0
    for file, path in enumerate(files):
        source = Source(STREAM, str(path), file)
        for observed, letter in _read(path, file, source, ingest, prices):
            events += 1
            if letter is not None:
                dead.append(letter)
            if observed is not None:
                row = observed.row
                order = (row[0], row[1], row[2], str(path), row[4], row[5])
                rows.append(_Sorted(order, observed, source))
            if events % 1000 == 0:
                seen(events)
    rows.sort(key=lambda item: item.order)
    owner = Owner(0, policy or OwnerPolicy(), Ledger(MemoryLedger()))
    signals: list[SignalRecord] = []
    requests: list[CaseRequest] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        for app, batch in _batches(chunk):
            owner.absorb(batch._replace(app=app))
        # The instant of the last row may go on in the next chunk: it is not complete yet.
        newest = chunk[-1].order[0]
        owner.finish(newest if start + CHUNK >= len(rows) else newest - 1)
        outputs = owner.take_outputs()
        signals += outputs.signals
        requests += outputs.cases
    counters = {app.name: dict(app.counters) for app in owner.apps.values()}
    span = (rows[0].order[0], rows[-1].order[0]) if rows else (0, 0)
    return Replayed(events, len(rows), dead, signals, requests, counters, span)


def _read(
    path: Path, file: int, source: Source, policy: IngestPolicy, prices: Prices
) -> Iterator[tuple[Observed | None, DeadLetter | None]]:
    """Each event of a file as its observation or its dead letter; coordinates are byte offsets."""
    previous = 0
    for line in read_lines(path, file):
        for index, element in enumerate(split(line.data, policy.max_event_bytes)):
            at = Coordinates(source.stream, source.topic, source.partition, line.offset, index)
            result = _observe(element, at, previous, policy, prices)
            if isinstance(result, Refused):
                yield None, dead_letter(_placed(result, line), at, previous, line.data)
            else:
                previous = result.row[0]
                yield result, None


def _observe(
    element: Element | Refused, at: Coordinates, previous: int, policy: IngestPolicy, prices: Prices
) -> Observed | Refused:
    if isinstance(element, Refused):
        return element
    kind = classify(element.value)
    if isinstance(kind, Refused):
        return kind
    # A line without a time takes the line's before; a file has no broker to clamp by.
    timed = element.value.get("timestamp") is not None
    return observe(kind, element.value, at, None if timed else previous, policy, prices)


def _placed(refused: Refused, line: Line) -> Refused:
    return refused._replace(message=f"line {line.number}: {refused.message}")


def _batches(chunk: list[_Sorted]) -> Iterator[tuple[str, ObservationBatch]]:
    """A chunk as the batches that ingest would have sent, each trace's score right behind it."""
    by_app: dict[str, list[_Sorted]] = {}
    for item in chunk:
        by_app.setdefault(item.observed.app, []).append(item)
    for app, items in by_app.items():
        sources: dict[Source, int] = {}
        profiles: dict[Profile, int] = {}
        rows: list[Any] = []
        for item in sorted(items, key=lambda item: (item.source, item.order[4], item.order[5])):
            observed, row = item.observed, item.observed.row
            where = sources.setdefault(item.source, len(sources))
            if observed.profile is not None:
                which = profiles.setdefault(observed.profile, len(profiles))
                rows.append(row._replace(source=where, profile=which))  # type: ignore[call-arg]
            else:
                rows.append(row._replace(source=where))
            if observed.request is not None:
                scores = item.source._replace(topic=item.source.topic + "#scores")
                at = Coordinates(*scores, row[4], row[5])
                score = observe_score(score_request_now(observed.request), at).row
                rows.append(score._replace(source=sources.setdefault(scores, len(sources))))
        rows.sort(key=lambda row: row[2] == Kind.SCORE)
        yield app, ObservationBatch(app, list(sources), list(profiles), rows)


def cases_of(requests: Sequence[CaseRequest], files: Sequence[Path]) -> Iterator[EvalCase]:
    """The whole cases, each trace read again at its place in its file."""
    handles = {str(path): path.open("rb") for path in files}
    try:

        def fetch(at: Coordinates | None) -> dict[str, Any] | None:
            if at is None or at.topic not in handles:
                return None
            handle = handles[at.topic]
            handle.seek(at.offset)
            return element_at(handle.readline().rstrip(b"\n"), at.index)

        for request in requests:
            yield harvest(request, fetch(request.trace_at), fetch(request.event_at)).case
    finally:
        for handle in handles.values():
            handle.close()


def clock() -> float:
    """Seconds for the summary's ``seconds``; decides nothing."""
    return time.monotonic()
