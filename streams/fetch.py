"""Fetches single records by their coordinates: the claim check's counter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from schemas.identity import Coordinates
from schemas.topics import APP_MESSAGE_BYTES, FEEDBACK, SCORES, TRACES, Topic
from streams.batches import consumer
from streams.settings import Settings
from streams.topics import TopicLife, topic_lives

log = logging.getLogger(__name__)

FETCH_BYTES = 64 * 1024
"""Asked of the broker per seek; a larger record still comes whole."""
PATIENCE_SECONDS = 10.0


class Fetcher:
    """A consumer without a group that seeks. One fetch at a time; requests are sorted, so that
    neighbours come from one fetch.
    """

    def __init__(self, settings: Settings, topics: Sequence[Topic] = (TRACES, FEEDBACK, SCORES)) -> None:
        self.settings, self._topics = settings, topics
        self._reader: AIOKafkaConsumer | None = None
        self._lives: dict[str, TopicLife] = {}

    async def start(self) -> None:
        self._lives = await topic_lives(self.settings, self._topics)
        reader = consumer(
            self.settings,
            "fetch",
            group_id=None,
            auto_offset_reset="none",
            fetch_max_wait_ms=20,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=APP_MESSAGE_BYTES + FETCH_BYTES,
        )
        await reader.start()
        self._reader = reader

    async def stop(self) -> None:
        if self._reader is not None:
            await self._reader.stop()

    async def fetch(self, wanted: Iterable[Coordinates]) -> dict[Coordinates, bytes | None]:
        """Value by coordinates (their index aside); None where the record is gone, or of another life."""
        keys = sorted({at._replace(index=0) for at in wanted})
        found: dict[Coordinates, bytes | None] = {}
        by_partition: dict[TopicPartition, list[Coordinates]] = {}
        for at in keys:
            life = self._lives.get(at.topic)
            if life is None or life.stream != at.stream:
                found[at] = None
                continue
            tp = TopicPartition(self.settings.topic_prefix + at.topic, at.partition)
            by_partition.setdefault(tp, []).append(at)
        for tp, ats in by_partition.items():
            found |= await self._fetch(tp, ats)
        return found

    async def _fetch(self, tp: TopicPartition, ats: list[Coordinates]) -> dict[Coordinates, bytes | None]:
        reader = self._reader
        assert reader is not None, "start() comes first"
        reader.assign([tp])
        first = (await reader.beginning_offsets([tp]))[tp]
        end = (await reader.end_offsets([tp]))[tp]  # a log may also have lost its end
        found: dict[Coordinates, bytes | None] = dict.fromkeys(ats)
        left = [at for at in ats if first <= at.offset < end]
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while left:
            reader.seek(tp, left[0].offset)
            wanted = {at.offset: at for at in left}
            try:
                records = (await reader.getmany(tp, timeout_ms=500)).get(tp, [])
            except OffsetOutOfRangeError:
                left = left[1:]
                continue
            for record in records:
                at = wanted.get(record.offset)
                if at is not None:
                    found[at] = record.value
            if records:
                left = [at for at in left if at.offset > records[-1].offset]
            elif (reached := await reader.position(tp)) > left[0].offset:
                left = [at for at in left if at.offset >= reached]  # compacted away
            elif asyncio.get_running_loop().time() > deadline:
                raise KafkaError(f"no answer for {tp} at {left[0].offset} within {PATIENCE_SECONDS} s")
        return found
