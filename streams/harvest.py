"""Harvest: claim checks become whole cases, with the trace fetched by its coordinates and redacted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import faust

from schemas.case import CaseRequest
from schemas.codec import Refused, encode
from schemas.dead_letter import Refusal
from schemas.identity import Coordinates
from schemas.topics import CASE_PREVIEWS, CASE_REQUESTS, CASES, DEAD_LETTERS
from streams.batcher import Batcher, started
from streams.fetch import Fetcher
from streams.sender import Message, Sender, TooLarge
from streams.settings import Settings
from streams.steps.harvest import element_at, elements_of, harvest
from streams.steps.refuse import dead_letter

log = logging.getLogger(__name__)

AT_ONCE = 50
"""Cases in memory as they go on the wire: each may be as large as a message."""
Found = dict[Coordinates, dict[str, Any] | None]
"""Events by their coordinates, None for one that is not there any more."""


class Harvest:
    """The agent's batcher and its effects; one per worker process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.batcher = Batcher("harvest", settings.flush_size, settings.flush_seconds, self.flush)
        self.fetcher = Fetcher(settings)
        self.out = Sender(settings)

    async def start(self) -> None:
        if self.out.producer is not None:
            return
        await self.fetcher.start()
        await self.out.start()
        self.batcher.start()

    async def stop(self, *_: Any, **__: Any) -> None:
        """After Faust has waited for the stream to be empty: nothing is held any more."""
        self.batcher.stop()
        await self.fetcher.stop()
        await self.out.stop()

    async def flush(self, events: Sequence[Any]) -> None:
        """Fetch what the requests name, then send cases and previews, and wait for the acks."""
        requests, letters = self._read(events)
        wanted = [at for r in requests for at in (r.trace_at, r.event_at) if at is not None]
        values = await self.fetcher.fetch(wanted)
        found = await self._found(requests, values)
        for start in range(0, len(requests), AT_ONCE):
            await self._send(requests[start : start + AT_ONCE], found)
        await self.out.send(letters)

    async def _send(self, requests: Sequence[CaseRequest], found: Found) -> None:
        while True:
            try:
                await self.out.send(await self._messages(requests, found))
                return
            except TooLarge:
                continue  # a case that is sent again is the same case

    async def _messages(self, requests: Sequence[CaseRequest], found: Found) -> list[Message]:
        """Case and preview of each request; other tasks of this loop have their turn in between."""
        made = []
        for request in requests:
            trace, event = _at(found, request.trace_at), _at(found, request.event_at)
            policy, limit = self.settings.privacy_of(request.app), self.out.limit(CASES)
            case, preview = harvest(request, trace, event, policy, limit)
            made.append(Message(CASES.name, None, case.case_id, encode(case)))
            made.append(Message(CASE_PREVIEWS.name, None, preview.app, encode(preview)))
            await asyncio.sleep(0)
        return made

    async def _found(self, requests: Sequence[CaseRequest], values: dict[Coordinates, bytes | None]) -> Found:
        """The events that the requests name. Each message is read once: it may hold thousands of them."""
        places: dict[Coordinates, list[Coordinates]] = {}
        for request in requests:
            for at in (request.trace_at, request.event_at):
                if at is not None:
                    places.setdefault(at._replace(index=0), []).append(at)
        found: Found = {}
        for place, named in places.items():
            elements = elements_of(values[place])
            found |= {at: element_at(elements, at.index) for at in named}
            await asyncio.sleep(0)
        return found

    def _read(self, events: Sequence[Any]) -> tuple[list[CaseRequest], list[Message]]:
        requests, letters = [], []
        for event in events:
            message = event.message
            try:
                requests.append(CaseRequest.model_validate_json(message.value or b""))
            except ValueError as error:
                at = Coordinates("", CASE_REQUESTS.name, message.partition, message.offset)
                log.error("case-requests %s: %s", tuple(at), error)
                refused = Refused(Refusal.INVALID, f"no case request: {str(error)[:200]}")
                letter = dead_letter(refused, at, int(message.timestamp * 1000), message.value)
                letters.append(Message(DEAD_LETTERS.name, None, letter.id, encode(letter)))
        return requests, letters


def _at(found: Found, at: Coordinates | None) -> dict[str, Any] | None:
    return None if at is None else found[at]


def add_harvest(app: faust.App, settings: Settings) -> Harvest:
    """Add the harvest agent to a Faust app."""
    step = Harvest(settings)
    app.on_before_shutdown.connect(step.stop, weak=False)
    inputs = app.topic(settings.topic(CASE_REQUESTS), value_type=bytes, value_serializer="raw")

    @app.agent(inputs, name="harvest")
    async def harvest_cases(stream: Any) -> None:
        await started(step.start(), "harvest")
        manual = stream.noack()
        async for event in manual.events():
            await step.batcher.add(event)

    return step
