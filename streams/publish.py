"""Publishes files of events to Kafka, several files as one stream by event time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from schemas.topics import APP_MESSAGE_BYTES, CHANGES, FEEDBACK, TRACES, Topic
from streams.batches import producer
from streams.lines import Timed, kind_of, merged
from streams.settings import Settings

Target = Literal["auto", "traces", "feedback", "changes"]
TOPIC_OF: dict[str, Topic] = {"trace": TRACES, "feedback": FEEDBACK, "change": CHANGES}
IN_FLIGHT = 1000
"""Messages sent and not yet acknowledged."""


class Published(NamedTuple):
    """Messages by topic, and the events in them (an array counts its elements)."""

    messages: dict[str, int]
    events: int
    seconds: float


def topic_of(target: Target, value: object) -> Topic:
    if target == "auto":
        return TOPIC_OF[kind_of(value)]
    return next(topic for topic in TOPIC_OF.values() if topic.name == target)


def events_in(value: object) -> int:
    """Events that a message counts as: each element of an array, else one."""
    return len(value) if isinstance(value, list) and value else 1


async def publish(
    settings: Settings,
    files: Sequence[Path],
    target: Target = "auto",
    rate: float | None = None,
    seen: Callable[[int], None] = lambda events: None,
) -> Published:
    """Publish the lines of ``files``; returns when the broker has acknowledged all of them.

    A line that is no event is published, too (to ``traces`` where its kind is not to be told): it
    comes back as a dead letter with its reason. ``rate`` is in messages per second.
    """
    return await publish_lines(settings, merged(files), target, rate, seen)


async def publish_lines(
    settings: Settings,
    lines: Iterable[Timed],
    target: Target = "auto",
    rate: float | None = None,
    seen: Callable[[int], None] = lambda events: None,
) -> Published:
    out = producer(settings, linger_ms=5, max_request_size=APP_MESSAGE_BYTES)
    await out.start()
    begun = time.monotonic()
    counts: dict[str, int] = {}
    events = sent = 0
    acks: set[asyncio.Future[object]] = set()
    try:
        for _, line, value in lines:
            topic = topic_of(target, value)
            key = value.get("trace_id") if isinstance(value, dict) else None
            acks.add(
                await out.send(
                    settings.topic(topic), line.data, key.encode() if isinstance(key, str) and key else None
                )
            )
            counts[topic.name] = counts.get(topic.name, 0) + 1
            sent, events = sent + 1, events + events_in(value)
            if len(acks) >= IN_FLIGHT:
                await asyncio.gather(*acks)
                acks.clear()
                seen(events)
            if rate is not None and sent % 50 == 0:
                await asyncio.sleep(max(0.0, begun + sent / rate - time.monotonic()))
                seen(events)
        await asyncio.gather(*acks)
        seen(events)
    finally:
        await out.stop()
    return Published(counts, events, time.monotonic() - begun)
