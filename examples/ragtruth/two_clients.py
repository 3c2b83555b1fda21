"""Publishes the traffic through two clients that put one key on different partitions.

    python -m examples.ragtruth.two_clients traffic --brokers 127.0.0.1:9092

Every other trace goes through aiokafka (murmur2, as Java), the rest through librdkafka (CRC32); each
piece of feedback goes through the client that its trace did not go through. Gleaner must come to the
same result as with one client: it keys by app, with a partitioner of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from schemas.topics import FEEDBACK, TRACES
from streams.lines import merged
from streams.security import client_security, librdkafka_security
from streams.settings import Settings


async def publish(settings: Settings, files: list[Path]) -> dict[str, int]:
    """Messages by client. Each waits for its ack before the other goes on.

    A week goes out in seconds: a client that ran a few hundred lines ahead would put hours between
    neighbours of one partition, and what is hours behind is rightly late.
    """
    java = AIOKafkaProducer(bootstrap_servers=settings.brokers, acks="all", **client_security(settings))
    options = {"acks": "all", "linger.ms": 0, **librdkafka_security(settings)}
    native = Producer({"bootstrap.servers": settings.brokers, **options})
    await java.start()
    counts = {"murmur2": 0, "crc32": 0}
    side: dict[str, bool] = {}
    try:
        for _, line, value in merged(files):
            assert isinstance(value, dict)
            trace_id: str = value["trace_id"]
            feedback = "kind" in value
            topic = settings.topic(FEEDBACK if feedback else TRACES)
            by_java = not side[trace_id] if feedback else side.setdefault(trace_id, len(side) % 2 == 0)
            if by_java:
                await java.send_and_wait(topic, line.data, trace_id.encode())
            else:
                native.produce(topic, line.data, trace_id.encode())
                if await asyncio.to_thread(native.flush, 30):
                    raise RuntimeError("librdkafka did not deliver within 30 s")
            counts["murmur2" if by_java else "crc32"] += 1
    finally:
        await java.stop()
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("traffic", type=Path, help="the converter's --out folder")
    parser.add_argument("--brokers")
    arguments = parser.parse_args()
    settings = Settings(brokers=arguments.brokers) if arguments.brokers else Settings()
    files = [arguments.traffic / "traces.jsonl", arguments.traffic / "feedback.jsonl"]
    print(asyncio.run(publish(settings, files)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
