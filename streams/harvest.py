"""Harvest: claim checks become whole cases, with the trace fetched by its coordinates and redacted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import faust
from aiokafka import AIOKafkaProducer

from schemas.case import CaseRequest
from schemas.codec import Refused, encode
from schemas.dead_letter import Refusal
from schemas.identity import Coordinates
from schemas.topics import CASE_PREVIEWS, CASE_REQUESTS, CASES, DEAD_LETTERS
from streams.batcher import Batcher, started
from streams.batches import producer
from streams.fetch import Fetcher
from streams.settings import Settings
from streams.steps.harvest import element_at, harvest
from streams.steps.refuse import dead_letter

log = logging.getLogger(__name__)


class Harvest:
    """The agent's batcher and its effects; one per worker process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.batcher = Batcher("harvest", settings.flush_size, settings.flush_seconds, self.flush)
        self.fetcher = Fetcher(settings)
        self.out: AIOKafkaProducer | None = None

    async def start(self) -> None:
        if self.out is not None:
            return
        await self.fetcher.start()
        out = producer(self.settings)
        await out.start()
        self.out = out
        self.batcher.start()

    async def stop(self, *_: Any, **__: Any) -> None:
        """After Faust has waited for the stream to be empty: nothing is held any more."""
        self.batcher.stop()
        await self.fetcher.stop()
        if self.out is not None:
            await self.out.stop()

    async def flush(self, events: Sequence[Any]) -> None:
        """Fetch what the requests name, then send cases and previews, and wait for the acks."""
        requests, letters = self._read(events)
        wanted = [at for r in requests for at in (r.trace_at, r.event_at) if at is not None]
        values = await self.fetcher.fetch(wanted)

        def event_of(at: Coordinates | None) -> dict[str, Any] | None:
            return None if at is None else element_at(values[at._replace(index=0)], at.index)

        assert self.out is not None
        prefix = self.settings.topic_prefix
        acks = []
        for request in requests:
            trace, event = event_of(request.trace_at), event_of(request.event_at)
            case, preview = harvest(request, trace, event, self.settings.privacy_of(request.app))
            acks.append(await self.out.send(prefix + CASES.name, encode(case), case.case_id.encode()))
            acks.append(
                await self.out.send(prefix + CASE_PREVIEWS.name, encode(preview), preview.app.encode())
            )
        for key, value in letters:
            acks.append(await self.out.send(prefix + DEAD_LETTERS.name, value, key.encode()))
        await asyncio.gather(*acks)

    def _read(self, events: Sequence[Any]) -> tuple[list[CaseRequest], list[tuple[str, bytes]]]:
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
                letters.append((letter.id, encode(letter)))
        return requests, letters


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
