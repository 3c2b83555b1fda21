"""The broker that the other tests rely on does what a broker does."""

from __future__ import annotations

import uuid

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.kafka import server

pytestmark = pytest.mark.kafka


async def test_what_was_produced_is_consumed(kafka: str) -> None:
    topic = f"round-trip-{uuid.uuid4().hex}"
    values = [b"%d" % number for number in range(100)]
    async with AIOKafkaProducer(bootstrap_servers=kafka, acks="all") as producer:
        for value in values:
            await producer.send(topic, value, key=b"k")
        await producer.flush()
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka, group_id=topic, auto_offset_reset="earliest", enable_auto_commit=False
    )
    async with consumer:
        assert [(await consumer.getone()).value for _ in values] == values
        await consumer.commit()
        assert [await consumer.committed(tp) for tp in consumer.assignment()].count(100) == 1


async def test_an_event_of_eight_mebibytes_fits(kafka: str) -> None:
    topic, size = f"large-{uuid.uuid4().hex}", 8 * 2**20
    async with AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=size + 1024) as producer:
        await producer.send_and_wait(topic, bytes(size))
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    async with consumer:
        assert len((await consumer.getone()).value or b"") == size


def test_a_machine_without_java_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("GLEANER_KAFKA_CACHE", "/nonexistent/kafka")
    assert server.main([]) == 2
    said = capsys.readouterr().err
    assert "java" in said
    assert "mvn" in said
    assert said.count("\n") == 1
