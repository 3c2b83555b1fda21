"""The loop of every role that is not Faust: read a batch, make its effect durable, commit.

At least once: offsets are committed after the effect, so a crash repeats a batch and never skips one;
the effects themselves are idempotent. A role that cannot go on exits with status 70, having lost
nothing, and a supervisor restarts it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NoReturn

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import Topic, own_message_bytes
from streams.closing import correct_closing
from streams.health import Heartbeat
from streams.security import client_security
from streams.settings import EXIT_RESTART, Settings

log = logging.getLogger(__name__)

Handle = Callable[[Sequence[ConsumerRecord]], Awaitable[None]]


def producer(settings: Settings, **options: object) -> AIOKafkaProducer:
    """A producer that waits for all in-sync replicas, and whose retries neither reorder nor repeat."""
    config: dict[str, object] = {
        "bootstrap_servers": settings.brokers,
        **client_security(settings),
        "acks": "all",
        # The embedded broker answers no InitProducerId that aiokafka could use.
        "enable_idempotence": not settings.embedded,
        "max_request_size": 2 * own_message_bytes(settings.max_event_bytes),
        "linger_ms": 2,
    }
    return AIOKafkaProducer(**(config | options))


def consumer(settings: Settings, role: str, *topics: Topic, **options: object) -> AIOKafkaConsumer:
    """A consumer of the role's group that commits only when told to."""
    correct_closing()
    config: dict[str, object] = {
        "bootstrap_servers": settings.brokers,
        **client_security(settings),
        "group_id": settings.group(role),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "session_timeout_ms": settings.session_timeout_ms,
        "heartbeat_interval_ms": settings.heartbeat_ms,
        "fetch_max_wait_ms": 100,
        "max_partition_fetch_bytes": 2 * own_message_bytes(settings.max_event_bytes),
        # Rolling writes in transactions: what an ended worker left unfinished is not there for readers.
        "isolation_level": "read_uncommitted" if settings.embedded else "read_committed",
    }
    return AIOKafkaConsumer(*(settings.topic(topic) for topic in topics), **(config | options))


def give_up(role: str, why: str) -> NoReturn:
    """End the process at once with status 70: nothing is acknowledged that was not done."""
    log.critical("%s: %s; exit %d, nothing is lost, a restart goes on from here", role, why, EXIT_RESTART)
    for handler in logging.getLogger().handlers:
        handler.flush()
    os._exit(EXIT_RESTART)


class BatchLoop:
    """Runs ``handle`` over batches until ``stop``; a batch that keeps failing ends the process.

    ``idle`` is called at least every ``tick`` seconds, between batches, for work that is due by the
    clock (snapshots, outbox): it runs in the same task, so it never overlaps ``handle``.
    """

    def __init__(
        self,
        role: str,
        settings: Settings,
        reader: AIOKafkaConsumer,
        handle: Handle,
        *,
        idle: Callable[[], Awaitable[None]] | None = None,
        tick: float = 0.2,
        max_records: int = 1000,
    ) -> None:
        self.role, self.settings, self.reader, self.handle = role, settings, reader, handle
        self.idle, self.tick, self.max_records = idle, tick, max_records
        self.stopping = asyncio.Event()
        self.assigned_at = time.monotonic()
        self.heartbeat = Heartbeat(settings, role)

    def stop(self) -> None:
        self.stopping.set()

    async def run(self) -> None:
        await self.reader.start()
        self.assigned_at = time.monotonic()
        try:
            while not self.stopping.is_set():
                batches = await self.reader.getmany(
                    timeout_ms=int(self.tick * 1000), max_records=self.max_records
                )
                records = [record for batch in batches.values() for record in batch]
                if records:
                    await self._durably(records)
                    await self._commit({tp: batch[-1].offset + 1 for tp, batch in batches.items()})
                if self.idle is not None:
                    await self.idle()
                self._watch()
                self.heartbeat.beat()
        finally:
            await self.reader.stop()

    async def _durably(self, records: Sequence[ConsumerRecord]) -> None:
        for pause in (0.2, 0.5, 1.0, 2.0, None):
            try:
                await self.handle(records)
                return
            except Exception:
                log.exception("%s: a batch of %d records failed", self.role, len(records))
                if pause is None:
                    give_up(self.role, "the batch failed five times")
                await asyncio.sleep(pause)

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        owned = self.reader.assignment()
        offsets = {tp: offset for tp, offset in offsets.items() if tp in owned}
        try:
            if offsets:
                await self.reader.commit(offsets)
        except KafkaError as error:
            # The partitions have moved on; their new owner repeats what was done here, harmlessly.
            log.info("%s: commit refused (%s); the next owner repeats the batch", self.role, error)

    def _watch(self) -> None:
        """Without an assignment for three session timeouts a member is stuck, and only a restart helps.

        Rightly idle members (more processes than partitions) restart, too: they were doing nothing.
        """
        now = time.monotonic()
        if self.reader.assignment():
            self.assigned_at = now
        elif now - self.assigned_at > 3 * self.settings.session_timeout_ms / 1000:
            give_up(self.role, "no partition was assigned for three session timeouts")
