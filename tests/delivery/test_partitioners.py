"""The app is the key of everything after ingest, whatever partitioner its producers use."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from schemas.topics import FEEDBACK, TRACES
from tests.delivery.events import Event
from tests.delivery.harness import Deployment, Outcome

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

BLOCK = 40
"""Traces in a row from the same client."""


def by_confluent(event: Event) -> bool:
    """Blocks of traces alternate between the clients; feedback comes from the other one than its trace."""
    if event.topic == "changes":
        return False
    number = int(event.key.rsplit("-", 1)[1])
    return (number // BLOCK % 2 == 0) == (event.topic == "traces")


async def publish_by_two(deployment: Deployment, events: Sequence[Event]) -> None:
    """In the order of the events: what one client has sent is acknowledged before the other goes on."""
    prefix = deployment.settings.topic_prefix
    brokers = deployment.settings.brokers
    confluent = Producer({"bootstrap.servers": brokers, "linger.ms": 0, "enable.idempotence": True})
    async with AIOKafkaProducer(bootstrap_servers=brokers, enable_idempotence=True) as aiokafka:
        last = False
        for event in events:
            if (now := by_confluent(event)) != last:
                await (confluent_flushed(confluent) if last else aiokafka.flush())
                last = now
            topic, key = prefix + event.topic, event.key.encode() or None
            if now:
                confluent.produce(topic, event.data(), key)
            else:
                await aiokafka.send(topic, event.data(), key)
        await aiokafka.flush()
    await confluent_flushed(confluent)


async def confluent_flushed(producer: Producer) -> None:
    assert producer.flush(30) == 0


async def test_two_clients_with_partitioners_of_their_own(
    deployment: Deployment, events: list[Event], replayed: Outcome
) -> None:
    await publish_by_two(deployment, events)
    traces = {message.key(): message.partition() for message in deployment.read(TRACES)}
    feedback = [(message.key(), message.partition()) for message in deployment.read(FEEDBACK)]
    apart = [key for key, partition in feedback if traces[key] != partition]
    assert len(apart) > len(feedback) / 4, "the two partitioners agree: nothing is tested"
    deployment.release()
    deployment.start()
    outcome = await deployment.finish(replayed)
    assert not any("unjoined" in counters for counters in outcome.counters.values())
    published = {event.key: event.value for event in events if event.topic == "traces"}
    for case in deployment.cases():
        assert case.trace == published[case.trace_id], "the trace at its coordinates, whole"
        assert case.replayable
        if "correction" in case.reasons:
            assert case.expected_answer == "It is lost."
