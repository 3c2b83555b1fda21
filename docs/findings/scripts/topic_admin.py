"""Creating, describing, deleting and re-creating topics with aiokafka's admin client: ../04-topic-admin.md.

python docs/findings/scripts/topic_admin.py      # GLEANER_TEST_BROKERS, default 127.0.0.1:9092
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

BROKERS = os.environ.get("GLEANER_TEST_BROKERS", "127.0.0.1:9092")
CONFIGS = {"cleanup.policy": "compact", "retention.ms": "604800000", "max.message.bytes": "2097152"}


async def attempt(what: str, doing):
    """Await it for at most 15 s, say how it ended, return its result."""
    try:
        result = await asyncio.wait_for(doing, 15)
    except Exception as error:
        print(f"  {what}: {type(error).__name__} {str(error)[:150]}")
        return None
    errors = getattr(result, "topic_errors", getattr(result, "topic_error_codes", None))
    print(f"  {what}: {[error[1:] for error in errors] if errors is not None else str(result)[:190]}")
    return result


async def create_and_describe(admin: AIOKafkaAdminClient) -> None:
    name = f"admin-{uuid.uuid4().hex[:8]}"
    await attempt("create", admin.create_topics([NewTopic(name, 4, 1, topic_configs=CONFIGS)]))
    other = NewTopic(f"{name}-b", 4, 1)
    await attempt("again, with another", admin.create_topics([NewTopic(name, 4, 1), other]))
    await attempt("was the other made", list_of(admin, name))
    broken = {"cleanup.policy": "nonsense"}
    await attempt("bad config", admin.create_topics([NewTopic(f"{name}-c", 4, 1, topic_configs=broken)]))
    await attempt("3 replicas on 1 broker", admin.create_topics([NewTopic(f"{name}-d", 4, 3)]))
    for count, replicas in ((-1, -1), (4, -1), (-1, 1)):
        try:
            defaults = NewTopic(f"{name}-e{count}{replicas}", count, replicas)
        except Exception as error:
            print(f"  NewTopic(name, {count}, {replicas}): {type(error).__name__}")
        else:
            await attempt(f"NewTopic(name, {count}, {replicas})", admin.create_topics([defaults]))
    validated = admin.create_topics([NewTopic(f"{name}-f", 4, 1)], validate_only=True)
    await attempt("validate_only", validated)
    described = await admin.describe_topics([name, f"{name}-nonexistent"])
    for topic in described:
        print("  describe:", {key: topic[key] for key in ("error_code", "topic")}, len(topic["partitions"]))
    await attempt("list after describing", list_of(admin, name))
    answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    entries = answer[0].resources[0][4]
    print("  describe_configs:", type(answer[0]).__name__, {e[0]: e[1] for e in entries if e[0] in CONFIGS})
    change = ConfigResource(ConfigResourceType.TOPIC, name, {"retention.ms": "1000"})
    await attempt("alter_configs retention.ms", admin.alter_configs([change]))
    answer = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    entries = answer[0].resources[0][4]
    print("  after alter_configs:", {e[0]: e[1] for e in entries if e[0] in CONFIGS})


async def list_of(admin: AIOKafkaAdminClient, prefix: str) -> list[str]:
    return sorted(name.removeprefix(prefix) or "(it)" for name in await admin.list_topics() if prefix in name)


async def fill(name: str, count: int, label: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=BROKERS) as producer:
        for number in range(count):
            await producer.send(name, f"{label} {number}".encode(), partition=0)
        await producer.flush()


async def recreate(admin: AIOKafkaAdminClient) -> None:
    """A group has committed 100 in the first life; the second life has 10 records, then 200."""
    name, tp = f"life-{uuid.uuid4().hex[:8]}", None
    tp = TopicPartition(name, 0)
    await admin.create_topics([NewTopic(name, 1, 1)])
    await fill(name, 100, "first life")
    group = {"bootstrap_servers": BROKERS, "enable_auto_commit": False, "group_id": name}
    async with AIOKafkaConsumer(name, auto_offset_reset="earliest", **group) as consumer:
        for _ in range(100):
            await consumer.getone()
        await consumer.commit()
    live = AIOKafkaConsumer(bootstrap_servers=BROKERS, auto_offset_reset="none", enable_auto_commit=False)
    await live.start()
    live.assign([tp])
    live.seek(tp, 100)
    await attempt("delete", admin.delete_topics([name]))
    began = time.monotonic()
    while True:
        try:
            await admin.create_topics([NewTopic(name, 1, 1)])
        except Exception as error:
            print("  create at once:", type(error).__name__)
            await asyncio.sleep(0.1)
        else:
            break
    print(f"  created again {time.monotonic() - began:.2f} s after its deletion")
    await fill(name, 10, "second life")
    async with AIOKafkaConsumer(bootstrap_servers=BROKERS, group_id=name) as consumer:
        print("  committed offset of the group after re-creation:", await consumer.committed(tp))
        print("  end offset:", (await consumer.end_offsets([tp]))[tp])
    await attempt("an open consumer at 100 of 10 (reset=none)", live.getone())
    for reset in ("none", "earliest"):
        consumer = AIOKafkaConsumer(name, auto_offset_reset=reset, **group)
        await consumer.start()
        await attempt(f"the group with reset={reset}, 10 records", first(consumer))
        await consumer.stop()
    await fill(name, 190, "second life, more")
    async with AIOKafkaConsumer(name, auto_offset_reset="none", **group) as consumer:
        await attempt("the group with reset=none, 200 records", first(consumer))
    live.seek(tp, 100)
    await attempt("an open consumer at 100 of 200", first(live))
    await live.stop()


async def first(consumer: AIOKafkaConsumer) -> str:
    record = await consumer.getone()
    return f"offset {record.offset}: {record.value}"


async def main() -> None:
    logging.basicConfig(level=logging.CRITICAL)
    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    await create_and_describe(admin)
    await recreate(admin)
    await admin.close()


if __name__ == "__main__":
    asyncio.run(main())
