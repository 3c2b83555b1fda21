"""The claim check's counter: records by their coordinates, and an honest None for what is not there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.identity import Coordinates
from schemas.topics import FEEDBACK, SCORES, TRACES
from streams.fetch import Fetcher
from streams.settings import Settings
from streams.topics import ensure_topics, topic_lives

pytestmark = pytest.mark.kafka

LARGE = b"x" * 5_000_000


@pytest.fixture
async def settings(kafka: str, tmp_path: Path) -> Settings:
    made = Settings(
        brokers=kafka, topic_prefix=f"f-{uuid.uuid4().hex[:12]}.", state_dir=tmp_path, partitions=2
    )
    await ensure_topics(made, (TRACES, FEEDBACK, SCORES))
    return made


@pytest.fixture
async def fetcher(settings: Settings) -> AsyncIterator[Fetcher]:
    made = Fetcher(settings)
    await made.start()
    yield made
    await made.stop()


def produce(settings: Settings, topic: str, partition: int, values: list[bytes | None]) -> None:
    out = Producer({"bootstrap.servers": settings.brokers, "message.max.bytes": 8 * 2**20})
    for value in values:
        out.produce(settings.topic_prefix + topic, value, partition=partition)
    assert out.flush(30) == 0


async def test_records_by_their_coordinates(settings: Settings, fetcher: Fetcher) -> None:
    produce(settings, "traces", 0, [b"%d" % n for n in range(2_000)])
    produce(settings, "traces", 1, [b"small", LARGE, b"after", None])
    produce(settings, "feedback", 0, [b"said"])
    stream = (await topic_lives(settings, [TRACES]))["traces"].stream
    said = (await topic_lives(settings, [FEEDBACK]))["feedback"].stream
    wanted = {
        Coordinates(stream, "traces", 0, 0): b"0",
        Coordinates(stream, "traces", 0, 1): b"1",
        Coordinates(stream, "traces", 0, 1_999): b"1999",
        Coordinates(stream, "traces", 1, 1): LARGE,
        Coordinates(stream, "traces", 1, 2): b"after",
        Coordinates(stream, "traces", 1, 3): None,
        Coordinates(said, "feedback", 0, 0): b"said",
        # of another life of the topic, beyond its end, of no topic at all
        Coordinates("another", "traces", 0, 5): None,
        Coordinates(stream, "traces", 0, 2_000): None,
        Coordinates(stream, "traces", 0, 99_999): None,
        Coordinates(stream, "incidents", 0, 0): None,
    }
    assert await fetcher.fetch(wanted) == wanted
    again = [Coordinates(stream, "traces", 0, 7, index) for index in (0, 1, 2)]
    assert await fetcher.fetch(again) == {again[0]: b"7"}


async def test_what_kafka_has_deleted_is_gone_and_the_rest_is_there(
    settings: Settings, fetcher: Fetcher
) -> None:
    produce(settings, "traces", 0, [b"%d" % n for n in range(10)])
    topic = settings.topic(TRACES)
    admin = AdminClient({"bootstrap.servers": settings.brokers})
    for deleted in admin.delete_records([TopicPartition(topic, 0, 5)]).values():
        await asyncio.to_thread(deleted.result)
    stream = (await topic_lives(settings, [TRACES]))["traces"].stream
    found = await fetcher.fetch(Coordinates(stream, "traces", 0, offset) for offset in (3, 5, 9))
    assert list(found.values()) == [None, b"5", b"9"]
