"""State in Kafka's own transactions, as Kafka Streams does it: for real Kafka.

Outputs, state changes and the offset are one transaction. There is one transactional id per
observations partition, so whoever opens it gets a new epoch and fences every earlier holder: a
worker that was frozen in mid-commit wakes up to an error, not to an overwritten state. The state is
the compacted topic ``rolling-state``; it follows the partition to any machine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced

from schemas.topics import OBSERVATIONS, ROLLING_STATE
from streams.batches import producer
from streams.security import client_security
from streams.settings import Settings
from streams.state.base import Fenced, Opened, Output

log = logging.getLogger(__name__)

POSITION = "position"
STREAM = "stream"
"""The life of ``observations`` that the position is in: written at an owner's first commit."""
PART_BYTES = 1024 * 1024
"""A larger entry is written as several records of one transaction: none may outgrow its topic's limit."""
PART = "\x00"
"""Stands between the key of an entry and the number of a further part of it; no entry's key holds it."""
TRANSACTION_TIMEOUT_MS = 60_000
"""A frozen holder's open transaction ends at the takeover, or after this if nobody takes over."""


class KafkaState:
    """The state of one observations partition in topic ``rolling-state``, same partition number.

    ``stream`` is the present life of ``observations``. A position in another one means nothing in this one,
    which may have grown past it: the state is kept, and the topic is read from its beginning.
    """

    def __init__(self, settings: Settings, partition: int, stream: str) -> None:
        self.settings, self.partition, self.stream = settings, partition, stream
        self.topic = settings.topic(ROLLING_STATE)
        self._producer: AIOKafkaProducer | None = None
        self._parts: dict[str, int] = {}
        self._known: str | None = None
        """The stream that the topic names; older states name none."""

    async def open(self) -> Opened:
        fresh = producer(
            self.settings,
            transactional_id=f"{self.settings.group('rolling')}-{self.partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            # A commit may have to wait for the last one's markers: ask again soon (p99 30 ms, not 117).
            retry_backoff_ms=10,
        )
        # Starting it bumps the epoch and ends the predecessor's transaction: only then is the topic
        # complete up to its end, and only then may it be read back.
        await fresh.start()
        self._producer = fresh
        entries, self._parts = _joined(await self._read_back())
        position = int(entries.pop(POSITION, b"0"))
        named = entries.pop(STREAM, None)
        self._known = None if named is None else named.decode()
        if self._known is not None and self._known != self.stream:
            log.error(
                "rolling: the state of partition %d has reached %d in another life of %s: the topic was made "
                "again; going on from its beginning",
                self.partition,
                position,
                self.settings.topic(OBSERVATIONS),
            )
            position = 0
        return Opened(position, entries)

    async def _read_back(self) -> dict[str, bytes]:
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.settings.brokers,
            **client_security(self.settings),
            group_id=None,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=50,
        )
        await reader.start()
        try:
            tp = TopicPartition(self.topic, self.partition)
            reader.assign([tp])
            await reader.seek_to_beginning(tp)
            end = (await reader.end_offsets([tp]))[tp]
            entries: dict[str, bytes] = {}
            # The position passes control records and aborted ones too, so it reaches the end.
            while await reader.position(tp) < end:
                for record in (await reader.getmany(tp, timeout_ms=200)).get(tp, []):
                    key = record.key.decode()
                    if record.value is None:
                        entries.pop(key, None)
                    else:
                        entries[key] = record.value
            return entries
        finally:
            await reader.stop()

    async def commit(
        self, position: int, changes: Mapping[str, bytes | None], outputs: Sequence[Output]
    ) -> None:
        out = self._producer
        assert out is not None, "open() comes first"
        prefix = self.settings.topic_prefix
        place = {POSITION: str(position).encode()}
        if self._known != self.stream:
            place[STREAM] = self.stream.encode()
        try:
            async with out.transaction():
                acks = [
                    await out.send(prefix + output.topic, output.value, output.key.encode())
                    for output in outputs
                ]
                for key, value in (*self._records(changes), *place.items()):
                    acks.append(await out.send(self.topic, value, key.encode(), partition=self.partition))
                await asyncio.gather(*acks)
                observations = TopicPartition(self.settings.topic(OBSERVATIONS), self.partition)
                await out.send_offsets_to_transaction(
                    {observations: position}, self.settings.group("rolling")
                )
        except (ProducerFenced, InvalidProducerEpoch) as error:
            raise Fenced(f"partition {self.partition}: {type(error).__name__}") from error
        self._known = self.stream

    def _records(self, changes: Mapping[str, bytes | None]) -> Iterator[tuple[str, bytes | None]]:
        """The records of these entries, with a deletion for each part that an entry no longer has."""
        for key, value in changes.items():
            parts = [] if value is None else _parts(value)
            had = self._parts.pop(key, 1)
            if len(parts) > 1:
                self._parts[key] = len(parts)
            for number in range(max(len(parts), had)):
                name = f"{key}{PART}{number}" if number else key
                yield name, parts[number] if number < len(parts) else None

    async def close(self) -> None:
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None


def _parts(value: bytes) -> list[bytes]:
    return [value[start : start + PART_BYTES] for start in range(0, len(value), PART_BYTES)] or [b""]


def _joined(records: dict[str, bytes]) -> tuple[dict[str, bytes], dict[str, int]]:
    """The entries that these records are, and how many parts those with more than one have."""
    entries = {key: value for key, value in records.items() if PART not in key}
    parts: dict[str, int] = {}
    for key in entries:
        number = 1
        while (more := records.get(f"{key}{PART}{number}")) is not None:
            entries[key] += more
            parts[key] = number = number + 1
    return entries, parts
