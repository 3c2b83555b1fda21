"""Ingest's step over one flush: records in; observations, score requests and dead letters out."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from schemas.codec import EventKind, Refused, encode, read_traces, split, validate
from schemas.dead_letter import DeadLetter, Refusal
from schemas.feedback import FeedbackEvent
from schemas.identity import Coordinates
from schemas.observation import ObservationBatch, Source
from schemas.score import SCORE_RESULT, ScoreRequest, Unscored, UnscoredReason
from schemas.topics import CHANGES, FEEDBACK, MAX_EVENT_BYTES, OWN_MESSAGE_BYTES, ROOM_BYTES, TRACES
from schemas.trace import TraceEvent
from streams.steps.observe import (
    Observed,
    ScoringPolicy,
    observe_change,
    observe_feedback,
    observe_score,
    observe_trace,
)
from streams.steps.pack import Packer, decode
from streams.steps.prices import Prices
from streams.steps.refuse import dead_letter, element_text
from streams.steps.watermark import tells

KINDS: dict[str, EventKind] = {TRACES.name: "trace", FEEDBACK.name: "feedback", CHANGES.name: "change"}
"""Event kind by topic. ``scores`` is not among them: it is Gleaner's own."""


class Record(NamedTuple):
    """A Kafka record, named without the deployment's prefix."""

    stream: str
    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None


class Flushed(NamedTuple):
    """What a flush sends, and how far it says that event time has come in each source partition.

    ``unscored`` goes to ``scores``: answers that no judge is asked about, as their request fits no message.
    """

    observations: list[tuple[str, bytes]]
    requests: list[tuple[str, bytes]]
    unscored: list[tuple[str, bytes]]
    dead_letters: list[DeadLetter]
    newest: dict[Source, int]
    accepted: int


class IngestPolicy(NamedTuple):
    """What ingest asks of an event, and how large the values are that its two topics take."""

    scoring: ScoringPolicy = ScoringPolicy()
    max_event_bytes: int = MAX_EVENT_BYTES
    max_message_bytes: int = OWN_MESSAGE_BYTES - ROOM_BYTES
    max_request_bytes: int = OWN_MESSAGE_BYTES - ROOM_BYTES


_coordinates = partial(tuple.__new__, Coordinates)
"""As ``Coordinates(…)``, past its constructor, which is a function in Python: for the many."""


def partition_of(app: str, partitions: int) -> int:
    """The observations partition of an app: our own partitioner, whatever the producer's was."""
    return zlib.crc32(app.encode()) % partitions


def ingest(
    records: Sequence[Record], policy: IngestPolicy, prices: Prices, now: int | None = None
) -> Flushed:
    """Read, validate, price and check a batch of records, in their order. Never raises for their content.

    ``now`` is ingest's clock (epoch ms), for ``newest`` alone: nothing said of an event depends on it.
    Without one a record has come when it says so, which its producer may have written.
    """
    packer = Packer()
    asked: list[ScoreRequest] = []
    dead: list[DeadLetter] = []
    newest: dict[Source, int] = {}
    accepted = 0
    for record in records:
        source = Source(record.stream, record.topic, record.partition)
        latest = newest.get(source)
        came = record.timestamp if now is None else min(record.timestamp, now)
        for index, element in enumerate(read(record, policy, prices)):
            if isinstance(element, Refused):
                at = Coordinates(*source, record.offset, index)
                dead.append(dead_letter(element, at, record.timestamp, record.value))
                continue
            accepted += 1
            packer.add(element.app, source, element.profile, element.row)
            time = element.row[0]
            if latest is None or time > latest:
                told = time if time <= came else tells(time, came)
                latest = told if latest is None else max(latest, told)
            if element.request is not None:
                asked.append(element.request)
        if latest is not None:
            newest[source] = latest
    observations = packer.messages(policy.max_message_bytes)
    if any(len(message) > policy.max_message_bytes for _, message in observations):
        unfit = {at: size for app, message in observations for at, size in _unfit(message, policy)}
        observations = [one for one in observations if len(one[1]) <= policy.max_message_bytes]
        asked = [request for request in asked if request.at not in unfit]
        accepted -= len(unfit)
        dead += _too_large(records, unfit, policy)
    requests, unscored = _requests(asked, policy.max_request_bytes)
    return Flushed(observations, requests, unscored, dead, newest, accepted)


def _unfit(message: bytes, policy: IngestPolicy) -> Iterator[tuple[Coordinates, int]]:
    """Where the row of a message stands that is too large although it holds no other, and its size."""
    if len(message) > policy.max_message_bytes:
        batch = decode(message)
        assert isinstance(batch, ObservationBatch)
        (source,), (row,) = batch.sources, batch.rows
        yield Coordinates(*source, *row[4:6]), len(message)


def _too_large(
    records: Sequence[Record], unfit: dict[Coordinates, int], policy: IngestPolicy
) -> Iterator[DeadLetter]:
    for record in records:
        at = Coordinates(record.stream, record.topic, record.partition, record.offset)
        for place in sorted(place for place in unfit if place._replace(index=0) == at):
            refused = Refused(
                Refusal.TOO_LARGE,
                f"the event's observation has {unfit[place]} bytes, topic observations takes "
                f"{policy.max_message_bytes}: shorten its versions, or raise the topic's max.message.bytes",
                original=element_text(record.value or b"", place.index),
            )
            yield dead_letter(refused, place, record.timestamp, record.value)


def _requests(
    asked: Iterable[ScoreRequest], max_bytes: int
) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """The requests that fit a message, and for each that does not an answer in the judge's place."""
    requests, unscored = [], []
    for request in asked:
        message = encode_request(request)
        if len(message) <= max_bytes:
            requests.append((request.trace_id, message))
        else:
            unscored.append((request.trace_id, encode(_unscored(request, len(message), max_bytes))))
    return requests, unscored


def _unscored(request: ScoreRequest, size: int, limit: int) -> Unscored:
    return Unscored(
        trace_id=request.trace_id,
        app=request.app,
        scorer="ingest",
        scorer_version="1",
        reason=UnscoredReason.TOO_LARGE,
        detail=f"its request has {size} bytes, topic score-requests takes {limit}",
    )


def read(record: Record, policy: IngestPolicy, prices: Prices) -> list[Observed | Refused]:
    """The events of one record, or why they are none."""
    kind = KINDS.get(record.topic)
    if kind is None:
        return [_score(record)]
    stream, topic, partition, offset, timestamp, data = record
    if kind == "trace" and data and (traces := read_traces(data, policy.max_event_bytes)) is not None:
        return [
            observe_trace(
                trace,
                _coordinates((stream, topic, partition, offset, index)),
                timestamp,
                prices,
                policy.scoring,
            )
            for index, trace in enumerate(traces)
        ]
    result: list[Observed | Refused] = []
    for index, element in enumerate(split(data, policy.max_event_bytes)):
        if isinstance(element, Refused):
            result.append(element)
            continue
        at = Coordinates(stream, topic, partition, offset, index)
        result.append(observe(kind, element.value, at, timestamp, policy, prices))
    return result


def observe(
    kind: EventKind,
    value: dict[str, object],
    at: Coordinates,
    broker_time: int | None,
    policy: IngestPolicy,
    prices: Prices,
) -> Observed | Refused:
    """One JSON object as an observation, or the field that is wrong with it."""
    event = validate(kind, value)
    if isinstance(event, Refused):
        return event
    if isinstance(event, TraceEvent):
        return observe_trace(event, at, broker_time, prices, policy.scoring)
    if isinstance(event, FeedbackEvent):
        return observe_feedback(event, at, broker_time)
    return observe_change(event, at, broker_time)


def _score(record: Record) -> Observed | Refused:
    at = Coordinates(record.stream, record.topic, record.partition, record.offset)
    try:
        return observe_score(SCORE_RESULT.validate_json(record.value or b""), at)
    except ValueError as error:
        return Refused(Refusal.INVALID, f"scores: no score of this Gleaner's: {str(error)[:200]}")


def encode_request(request: ScoreRequest) -> bytes:
    return encode(request)
