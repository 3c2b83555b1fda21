"""Producers compress as they like, and so may the broker: every codec of Kafka's is read."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from confluent_kafka import Producer

from schemas.identity import Coordinates
from schemas.topics import FEEDBACK, TOPICS, TRACES
from streams.fetch import Fetcher
from streams.settings import Settings
from streams.topics import configuration, topic_lives
from tests.delivery.events import START, Event
from tests.delivery.harness import Deployment

pytestmark = pytest.mark.kafka

CODECS = ("gzip", "snappy", "lz4", "zstd")
COPIES = 20


async def make_topics(settings: Settings, compression: str) -> None:
    """Gleaner's topics on a broker that compresses them itself, in the Java client's framing."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.brokers)
    await admin.start()
    try:
        await admin.create_topics(
            [
                NewTopic(
                    settings.topic(topic),
                    settings.partitions_of(topic),
                    1,
                    topic_configs=configuration(topic, settings) | {"compression.type": compression},
                )
                for topic in TOPICS
            ]
        )
    finally:
        await admin.close()


def trace(app: str, number: int) -> Event:
    answer = f"Parcel {number} is on its way. " * 30
    return Event(
        "traces",
        START,
        {"trace_id": f"{app}-{number}", "app": app, "timestamp": START, "answer": answer, "error": "timeout"},
    )


@pytest.mark.parametrize("by_broker", [False, True], ids=["by the producer", "by the broker"])
@pytest.mark.parametrize("codec", CODECS)
async def test_a_compressed_record_is_fetched(
    kafka: str, tmp_path: Path, codec: str, by_broker: bool
) -> None:
    prefix = f"c-{uuid.uuid4().hex[:12]}."
    settings = Settings(brokers=kafka, topic_prefix=prefix, state_dir=tmp_path, partitions=1)
    await make_topics(settings, codec if by_broker else "producer")
    values = [trace("app", number).data() for number in range(COPIES)]
    out = Producer(
        {"bootstrap.servers": kafka, "linger.ms": 50, "compression.type": "none" if by_broker else codec}
    )
    for value in values:
        out.produce(settings.topic(TRACES), value)
    assert out.flush(30) == 0
    stream = (await topic_lives(settings, [TRACES]))["traces"].stream
    wanted = {Coordinates(stream, "traces", 0, offset): value for offset, value in enumerate(values)}
    fetcher = Fetcher(settings, (TRACES, FEEDBACK))
    await fetcher.start()
    try:
        assert await fetcher.fetch(wanted) == wanted
    finally:
        await fetcher.stop()


@pytest.fixture
def plain(kafka: str, tmp_path: Path) -> Iterator[Deployment]:
    """A deployment whose topics the test makes itself."""
    made = Deployment(kafka, tmp_path)
    yield made
    made.end()


@pytest.mark.slow
async def test_a_worker_reads_every_codec_on_topics_that_compress(plain: Deployment) -> None:
    await make_topics(plain.settings, "zstd")
    plain.release()
    worker = plain.start()
    for codec in CODECS:
        feedback = {"trace_id": f"{codec}-0", "app": codec, "kind": "correction", "corrected_answer": "Lost."}
        change = {"app": codec, "dimension": "prompt_version", "to": codec, "timestamp": START}
        plain.publish(
            [
                *(trace(codec, number) for number in range(COPIES)),
                Event("feedback", START, feedback | {"timestamp": START}),
                Event("changes", START, change),
            ],
            **{"compression.type": codec, "linger.ms": 50},
        )
    wanted = {codec: {"traces": COPIES, "feedback": 1, "changes": 1} for codec in CODECS}

    def counted() -> dict[str, dict[str, int]]:
        kinds = ("traces", "feedback", "changes")
        return {
            app: {kind: counts.get(kind, 0) for kind in kinds} for app, counts in plain.counters().items()
        }

    def cases() -> dict[tuple[str, str], object]:
        return {(case.app, case.trace_id): case.trace and case.trace["answer"] for case in plain.cases()}

    whole = {
        (codec, event.key): event.value["answer"]
        for codec in CODECS
        for event in (trace(codec, number) for number in range(COPIES))
    }
    await plain.until(lambda: counted() == wanted and cases() == whole, "every codec read, every case whole")
    worker.signal(15)
    assert worker.wait() == 0, worker.tail()
    assert (counted(), cases()) == (wanted, whole)
    assert not plain.dead_letters()
