"""One broker for the whole run: the embedded one in a child process, or a real Kafka.

``python -m benchmarks.broker TOPICS`` is that child: it prints the address and lives until its standard
input is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from aiokafka.admin import AIOKafkaAdminClient
from confluent_kafka import KafkaError, Message, Producer

from schemas.topics import ROLLING_STATE, TOPICS
from streams import embedded
from streams.settings import Settings
from streams.topics import ensure_topics

KEPT_BYTES = 5 * 1024 * 1024
"""What the embedded broker keeps of one partition; the oldest beyond it goes silently."""


@contextlib.contextmanager
def embedded_broker(topics: dict[str, int]) -> Iterator[str]:
    """Start an embedded broker with these topics and partition counts; yields its address."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.broker", json.dumps(topics)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        address = child.stdout.readline().strip()
        if not address:
            raise RuntimeError("the embedded broker did not start")
        yield address
    finally:
        child.kill()
        child.wait()


def topics_of(settings: Settings) -> dict[str, int]:
    """The topics of one deployment on the embedded broker, which has no transactional state."""
    return {settings.topic(t): settings.partitions_of(t) for t in TOPICS if t is not ROLLING_STATE}


@contextlib.contextmanager
def real_topics(deployments: Sequence[Settings]) -> Iterator[None]:
    """Create the topics of these deployments on their Kafka, and delete them at the end."""
    for settings in deployments:
        asyncio.run(ensure_topics(settings))
    try:
        yield
    finally:
        asyncio.run(_delete(deployments))


async def _delete(deployments: Sequence[Settings]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=deployments[0].brokers)
    await admin.start()
    try:
        await admin.delete_topics([s.topic(t) for s in deployments for t in TOPICS])
    finally:
        await admin.close()


def publish(brokers: str, topic: str, partitions: int, messages: Sequence[bytes]) -> None:
    """Publish, spread evenly over the partitions; returns when the broker has all of it."""
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    out = Producer(
        {"bootstrap.servers": brokers, "acks": "all", "message.max.bytes": 8_000_000, "linger.ms": 5}
    )
    for number, message in enumerate(messages):
        while True:
            try:
                out.produce(topic, message, partition=number % partitions, on_delivery=delivered)
                break
            except BufferError:
                out.poll(0.1)
    if out.flush(60) or failed:
        raise RuntimeError(f"{topic}: not everything was published: {failed[:1]}")


def main(topics: str) -> None:
    print(embedded.start(json.loads(topics)), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
