"""A refused event put back: what to publish, or why it stays where it is. Pure."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import orjson

from schemas.base import rfc3339
from schemas.codec import Element, Refused, split, validate
from schemas.topics import MAX_EVENT_BYTES
from streams.steps.ingest import KINDS
from streams.steps.refuse import element_text


class RefusedEvent(NamedTuple):
    """A refused event: its topic, its place in its message's array, the broker's time of it, and itself.

    ``original`` is None where the store has less than all of it; ``sha256`` is that of the whole.
    """

    topic: str
    element: int
    broker_time: int
    sha256: str
    original: bytes | None


class Event(NamedTuple):
    """What to publish to which topic, and its key."""

    topic: str
    key: bytes | None
    data: bytes


def put_back(
    refused: RefusedEvent, message: bytes | None = None, max_event_bytes: int = MAX_EVENT_BYTES
) -> Event | str:
    """The event to publish, or in one line why not: it would only be refused again.

    ``message`` is the whole Kafka message that it came in, needed where the original was not kept whole. An
    event without a time of its own took the broker's: it gets that one, not the time of its return.
    """
    kind = KINDS.get(refused.topic)
    if kind is None:
        return f"it is a record of Gleaner's own, of topic {refused.topic}: it is written again by itself"
    data = refused.original
    if data is None:
        if message is None:
            return "the store keeps not all of it, and its message is no longer on the topic"
        data = element_text(message, refused.element)
        if hashlib.sha256(data).hexdigest() != refused.sha256:
            return "the store keeps not all of it, and another message is in its place"
    (element, *more) = split(data, max_event_bytes)
    if isinstance(element, Refused):
        return f"it would be refused again: {element.message}"
    if more:
        return "it is a message of several events: publish them from a file"
    value = timed(element, refused.broker_time)
    data = orjson.dumps(value)
    (published,) = split(data, max_event_bytes)  # a time of its own makes it longer
    event = published if isinstance(published, Refused) else validate(kind, published.value)
    if isinstance(event, Refused):
        return f"it would be refused again: {event.message}"
    key = value.get("trace_id")
    return Event(refused.topic, key.encode() if isinstance(key, str) and key else None, data)


def timed(element: Element, broker_time: int) -> dict[str, Any]:
    """An event as it was sent, with the time that it was taken to have where it had none."""
    if element.value.get("timestamp") is not None:
        return element.value
    return {**element.value, "timestamp": rfc3339(broker_time)}
