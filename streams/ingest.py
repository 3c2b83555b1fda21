"""Ingest: applications' events and judges' scores become observations, keyed by app.

No state: a crash repeats what was not acknowledged, and the owner's marks drop the repetition.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import faust
from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber
from faust.types import TP

from schemas.codec import encode
from schemas.observation import Progress, Source, SourceProgress
from schemas.topics import CHANGES, DEAD_LETTERS, FEEDBACK, OBSERVATIONS, SCORE_REQUESTS, SCORES, TRACES
from streams.batcher import Batcher, started
from streams.batches import give_up
from streams.health import Heartbeat
from streams.sender import Message, Sender, TooLarge
from streams.settings import Settings
from streams.steps.ingest import Flushed, IngestPolicy, Record, ingest, partition_of
from streams.steps.observe import ScoringPolicy
from streams.steps.pack import encode_progress
from streams.steps.prices import Prices
from streams.topics import TopicLife, topic_lives
from streams.wall import now_ms

log = logging.getLogger(__name__)

INPUTS = (TRACES, FEEDBACK, CHANGES, SCORES)
TIMED = (TRACES, FEEDBACK, CHANGES)
"""The inputs that hold the watermark back. A score takes its trace's place in the order instead."""
END_SECONDS = 2.0
"""A partition stands at its end when ingest has seen nothing new there for so long."""
PROGRESS_SECONDS = 1.0
FROZEN_SECONDS = 5.0
"""A worker that has not run for so long may own nothing any more: it reports no ends until it has looked."""


class Ingest:
    """The agent's batcher and its effects; one per worker process."""

    def __init__(self, settings: Settings, app: faust.App) -> None:
        self.settings, self.app = settings, app
        self.policy = IngestPolicy(
            ScoringPolicy(settings.score_rate, settings.rescore), settings.max_event_bytes
        )
        self.prices = Prices()
        self.batcher = Batcher("ingest", settings.flush_size, settings.flush_seconds, self.flush)
        self.out = Sender(settings)
        self.queue: Any = None
        """Faust's queue between its fetcher and the agent."""
        self._lives: dict[str, TopicLife] = {}
        self._next: dict[Source, int] = {}
        self._newest: dict[Source, int] = {}
        self._moved: dict[Source, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.accepted = self.refused = 0

    async def start(self) -> None:
        if self._task is not None:
            return
        self._lives = await topic_lives(self.settings, (*INPUTS, OBSERVATIONS))
        await self.out.start()
        self.batcher.start()
        self._task = asyncio.get_running_loop().create_task(self._report())
        self._task.add_done_callback(self._ended)

    async def stop(self, *_: Any, **__: Any) -> None:
        """After Faust has waited for the stream to be empty: nothing is held any more."""
        self.batcher.stop()
        if self._task is not None:
            self._task.cancel()
        await self.out.stop()
        log.info("ingest: %d events accepted, %d refused", self.accepted, self.refused)

    # -- a flush -----------------------------------------------------------------------------------

    async def flush(self, events: Sequence[Any]) -> None:
        """Observations first, then requests: a score can never overtake the trace that it is for."""
        cut = len(self.settings.topic_prefix)
        lives = self._lives
        records = []
        for event in events:
            message = event.message
            topic = message.topic[cut:]
            timestamp = round(message.timestamp * 1000)
            records.append(
                Record(
                    lives[topic].stream, topic, message.partition, message.offset, timestamp, message.value
                )
            )
        now = now_ms()
        while True:
            policy = self.policy._replace(
                max_message_bytes=self.out.limit(OBSERVATIONS),
                max_request_bytes=self.out.limit(SCORE_REQUESTS),
            )
            flushed = ingest(records, policy, self.prices, now)
            try:
                await self._deliver(records, flushed)
                break
            except TooLarge:
                continue  # what has arrived already is known by its marks
        self.accepted += flushed.accepted
        self.refused += len(flushed.dead_letters)
        for letter in flushed.dead_letters:
            log.info("dead letter %s at %s: %s", letter.id, tuple(letter.at), letter.reason.value)

    async def _deliver(self, records: list[Record], flushed: Flushed) -> None:
        total = self._lives[OBSERVATIONS.name].partitions
        await self.out.send(
            [
                Message(OBSERVATIONS.name, partition_of(app, total), app, message)
                for app, message in flushed.observations
            ]
            + self._progress(records, flushed.newest)
        )
        # Only now may the reports once a second speak of these times: a report that overtook its rows
        # would make them late.
        self._note(records, flushed.newest)
        await self.out.send(
            [Message(SCORE_REQUESTS.name, None, key, message) for key, message in flushed.requests]
            + [Message(SCORES.name, None, key, message) for key, message in flushed.unscored]
            + [Message(DEAD_LETTERS.name, None, letter.id, encode(letter)) for letter in flushed.dead_letters]
        )

    # -- progress ----------------------------------------------------------------------------------

    def _note(self, records: list[Record], newest: dict[Source, int]) -> None:
        now = time.monotonic()
        for record in records:
            source = Source(record.stream, record.topic, record.partition)
            self._next[source] = record.offset + 1
            self._moved[source] = now
        for source, time_ in newest.items():
            self._newest[source] = max(self._newest.get(source, time_), time_)

    def _progress(self, records: list[Record], newest: dict[Source, int]) -> list[Message]:
        """A flush's own report, behind its rows: how far its partitions have come, none at its end."""
        reached = {Source(r.stream, r.topic, r.partition): r.offset + 1 for r in records}
        entries = [
            SourceProgress(source, reached[source], self._latest(source, newest.get(source)), False)
            for source in sorted(reached)
            if source.topic != SCORES.name
        ]
        return self._reports(entries)

    def _latest(self, source: Source, time: int | None) -> int | None:
        known = self._newest.get(source)
        return known if time is None or (known is not None and known > time) else time

    def _entry(self, source: Source, at_end: bool) -> SourceProgress:
        return SourceProgress(source, self._next.get(source, 0), self._newest.get(source), at_end)

    def _reports(self, entries: list[SourceProgress]) -> list[Message]:
        counts = {topic.name: self._lives[topic.name].partitions for topic in TIMED}
        message = encode_progress(Progress(now_ms(), counts, entries))
        return [
            Message(OBSERVATIONS.name, partition, None, message)
            for partition in range(self._lives[OBSERVATIONS.name].partitions)
        ]

    async def _report(self) -> None:
        """Once a second: what this worker owns, and which of it stands at its end."""
        ran = time.monotonic()
        heartbeat = Heartbeat(self.settings, "worker")
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            now = time.monotonic()
            if now - ran > FROZEN_SECONDS:
                for source in self._moved:
                    self._moved[source] = now
            ran = now
            try:
                await self.out.send(self._reports(await self._look(now)))
            except OutOfOrderSequenceNumber as error:
                log.info("no progress report this second, a record beside it was refused: %r", error)
            heartbeat.beat()

    async def _look(self, now: float) -> list[SourceProgress]:
        """The progress of the partitions that this worker owns: what is fetched, what is still held."""
        names = {self.settings.topic(topic) for topic in TIMED}
        consumer = self.app.consumer
        reached = dict(self._next)  # before the ends are asked for, which may have risen since
        owned = sorted(tp for tp in consumer.assignment() if tp.topic in names)
        try:
            ends = await consumer.highwaters(*owned) if owned else {}
            positions = {tp: await consumer.position(tp) for tp in owned}
        except (KafkaError, AssertionError) as error:
            log.info("no progress report this second, the assignment is changing: %r", error)
            return []
        busy = {message.tp for message in consumer.unacked} | self._queued()
        entries = []
        for tp in owned:
            name = tp.topic[len(self.settings.topic_prefix) :]
            source = Source(self._lives[name].stream, name, tp.partition)
            position = positions[tp]
            if ends[tp] < reached.get(source, 0):
                give_up("ingest", f"{tp.topic} was made again: a restart reads it as the new stream it is")
            if position is None or tp in busy or self.batcher.holds(tp) or position < ends[tp]:
                self._moved[source] = now
            else:
                self._next[source] = max(self._next.get(source, 0), position)
            entries.append(self._entry(source, now - self._moved.setdefault(source, now) >= END_SECONDS))
        return entries

    def _queued(self) -> set[TP]:
        """The partitions with messages that are fetched, and that the agent has not taken yet."""
        return set() if self.queue is None else {event.message.tp for event in tuple(self.queue._queue)}

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Without reports no watermark moves, and nobody would be told of anything.
        if not task.cancelled():
            give_up("ingest", f"the progress task ended: {task.exception()!r}")


def add_ingest(app: faust.App, settings: Settings) -> Ingest:
    """Add the ingest agent to a Faust app."""
    step = Ingest(settings, app)
    app.on_before_shutdown.connect(step.stop, weak=False)
    inputs = app.topic(*(settings.topic(topic) for topic in INPUTS), value_type=bytes, value_serializer="raw")

    @app.agent(inputs, name="ingest")
    async def ingest_events(stream: Any) -> None:
        await started(step.start(), "ingest")
        step.queue = stream.channel.queue
        manual = stream.noack()
        async for event in manual.events():
            await step.batcher.add(event)

    return step
