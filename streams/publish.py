"""Publishes files of events to Kafka, several files as one stream by event time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from aiokafka.errors import MessageSizeTooLargeError

from schemas.topics import APP_MESSAGE_BYTES, CHANGES, FEEDBACK, TRACES, Topic
from streams.batches import producer
from streams.lines import Line, Timed, kind_of, merged
from streams.settings import Settings

Target = Literal["auto", "traces", "feedback", "changes"]
TOPIC_OF: dict[str, Topic] = {"trace": TRACES, "feedback": FEEDBACK, "change": CHANGES}
IN_FLIGHT = 1000
"""Messages sent and not yet acknowledged."""


class TooLarge(NamedTuple):
    """A line that was not published: no message may be so large, by our limit or the topic's."""

    line: Line
    why: str


class Published(NamedTuple):
    """Messages by topic that the broker has acknowledged, and the events in them (an array counts its
    elements); the lines that it could not take."""

    messages: dict[str, int]
    events: int
    seconds: float
    too_large: list[TooLarge]


class _Sent(NamedTuple):
    topic: str
    events: int
    line: Line


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
    comes back as a dead letter with its reason. One that is too large for a message stops no other. ``rate``
    is in messages per second, above 0. ``seen`` is told how many events have been acknowledged. Raises
    ``KafkaError``.
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
    counts: dict[str, int] = {}
    too_large: list[TooLarge] = []
    events = sent = 0
    acks: dict[asyncio.Future[object], _Sent] = {}

    async def settle() -> None:
        nonlocal events
        answers = await asyncio.gather(*acks, return_exceptions=True)
        failed = None
        for message, answer in zip(acks.values(), answers, strict=True):
            if isinstance(answer, MessageSizeTooLargeError):
                too_large.append(TooLarge(message.line, str(answer)))
            elif isinstance(answer, BaseException):
                failed = answer
            else:
                counts[message.topic] = counts.get(message.topic, 0) + 1
                events += message.events
        acks.clear()
        seen(events)
        if failed is not None:
            raise failed

    try:
        await out.start()
        begun = time.monotonic()
        for _, line, value in lines:
            topic = topic_of(target, value)
            key = value.get("trace_id") if isinstance(value, dict) else None
            try:
                ack = await out.send(
                    settings.topic(topic), line.data, key.encode() if isinstance(key, str) and key else None
                )
            except MessageSizeTooLargeError as error:
                too_large.append(TooLarge(line, str(error)))
                continue
            acks[ack] = _Sent(topic.name, events_in(value), line)
            sent += 1
            if len(acks) >= IN_FLIGHT:
                await settle()
            if rate is not None and sent % 50 == 0:
                await settle()
                await asyncio.sleep(max(0.0, begun + sent / rate - time.monotonic()))
        await settle()
    finally:
        await out.stop()
    return Published(counts, events, time.monotonic() - begun, too_large)
