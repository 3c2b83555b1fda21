"""Puts refused events back on their topics."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from schemas.identity import Coordinates
from schemas.topics import APP_MESSAGE_BYTES, CHANGES, FEEDBACK, TRACES
from sinks.evalstore import Letter
from streams.batches import producer
from streams.fetch import Fetcher
from streams.settings import Settings
from streams.steps.put_back import Event, RefusedEvent, put_back


class Outcome(NamedTuple):
    """What became of a refused event; ``stays`` says why it was not put back, None where it was."""

    letter: Letter
    stays: str | None


async def put_all_back(settings: Settings, letters: Sequence[Letter], dry: bool) -> list[Outcome]:
    """Publish what would be accepted now; returns when the broker has acknowledged all of it.

    An event put back twice is counted once: its identity is its own. ``dry``: publish nothing. Messages of
    which the store has less than the whole are fetched from their topics. Raises ``KafkaError``.
    """
    messages = await _messages(settings, [letter for letter in letters if not _whole(letter)])
    decided = [
        (letter, _decide(letter, messages.get(_at(letter)), settings.max_event_bytes)) for letter in letters
    ]
    if not dry:
        await _publish(settings, [event for _, event in decided if isinstance(event, Event)])
    return [Outcome(letter, event if isinstance(event, str) else None) for letter, event in decided]


def _whole(letter: Letter) -> bool:
    """Whether the store has the original: not cut, not escaped, and nothing of it withheld."""
    return (
        letter.original_encoding == "utf-8"
        and hashlib.sha256(letter.original.encode()).hexdigest() == letter.sha256
    )


def _at(letter: Letter) -> Coordinates:
    return Coordinates(letter.stream or "", letter.topic or "", letter.partition or 0, letter.offset or 0)


def _decide(letter: Letter, message: bytes | None, max_event_bytes: int) -> Event | str:
    if letter.topic is None:
        return "it came from no topic: it is a value that the store could not hold"
    original = letter.original.encode() if _whole(letter) else None
    refused = RefusedEvent(
        letter.topic, letter.element or 0, letter.broker_time or 0, letter.sha256, original
    )
    return put_back(refused, message, max_event_bytes)


async def _messages(settings: Settings, letters: Sequence[Letter]) -> dict[Coordinates, bytes | None]:
    wanted = [
        _at(letter) for letter in letters if letter.topic in {t.name for t in (TRACES, FEEDBACK, CHANGES)}
    ]
    if not wanted:
        return {}
    fetcher = Fetcher(settings, (TRACES, FEEDBACK, CHANGES))
    await fetcher.start()
    try:
        return await fetcher.fetch(wanted)
    finally:
        await fetcher.stop()


async def _publish(settings: Settings, events: Sequence[Event]) -> None:
    if not events:
        return
    out = producer(settings, linger_ms=5, max_request_size=APP_MESSAGE_BYTES)
    try:
        await out.start()
        acks = [
            await out.send(settings.topic_prefix + event.topic, event.data, event.key) for event in events
        ]
        await asyncio.gather(*acks)
    finally:
        await out.stop()
