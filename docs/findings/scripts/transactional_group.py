"""A consumer group whose members keep their position in transactions, through a join and a leave.

Every record must be in exactly one committed transaction: ../02-aiokafka-transactions.md, "The whole shape".

python docs/findings/scripts/transactional_group.py      # GLEANER_TEST_BROKERS, default 127.0.0.1:9092
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

BROKERS = os.environ.get("GLEANER_TEST_BROKERS", "127.0.0.1:9092")
PARTITIONS, EVENTS = 4, 1500


async def read_back(tp: TopicPartition) -> list[bytes]:
    config = {"isolation_level": "read_committed", "auto_offset_reset": "none", "enable_auto_commit": False}
    found: list[bytes] = []
    async with AIOKafkaConsumer(bootstrap_servers=BROKERS, **config) as consumer:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(tp, timeout_ms=200)).values():
                found += [record.value for record in records]
    return found


class Member(ConsumerRebalanceListener):
    """The state of a partition is the list of the offsets absorbed: one state record per transaction."""

    def __init__(self, topic: str, name: str) -> None:
        self.topic, self.name = topic, name
        self.owned: dict[TopicPartition, tuple[AIOKafkaProducer, list[int]]] = {}
        self.lock = asyncio.Lock()  # a flush and a rebalance exclude each other
        self.stale = self.below = 0
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=BROKERS, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest",
            session_timeout_ms=10_000, heartbeat_interval_ms=1000, fetch_max_wait_ms=100,
        )  # fmt: skip

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        async with self.lock:
            for tp in revoked & self.owned.keys():
                await self.owned.pop(tp)[0].stop()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        async with self.lock:
            began = time.monotonic()
            for tp in assigned:
                producer = AIOKafkaProducer(
                    bootstrap_servers=BROKERS,
                    transactional_id=f"{self.topic}-{tp.partition}",
                    retry_backoff_ms=5,
                )
                await producer.start()  # first: ends what a predecessor left open, and fences it
                state = await read_back(TopicPartition(f"{self.topic}-state", tp.partition))
                upto = max((int(value.split(b"-")[1]) for value in state), default=-1)
                self.consumer.seek(tp, upto + 1)
                self.owned[tp] = producer, [upto]  # last: nothing is flushed before the position is right
            print(f"  {self.name} has {sorted(tp.partition for tp in assigned)}"
                  f" after {time.monotonic() - began:.2f} s", flush=True)  # fmt: skip

    async def run(self, seconds: float) -> None:
        self.consumer.subscribe([self.topic], listener=self)
        await self.consumer.start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            before = dict(self.owned)
            for tp, records in (await self.consumer.getmany(timeout_ms=200)).items():
                async with self.lock:
                    await self.flush(tp, [record.offset for record in records], before)
        await self.consumer.stop()
        for producer, _ in self.owned.values():
            await producer.stop()
        print(
            f"  {self.name}: {self.stale} records dropped as stale, {self.below} below the mark", flush=True
        )

    async def flush(
        self, tp: TopicPartition, offsets: list[int], before: dict[TopicPartition, object]
    ) -> None:
        if tp not in self.owned or before.get(tp) is not self.owned[tp]:
            self.stale += len(offsets)  # got before the rebalance, or during it: nobody knows which
            if tp in self.owned and tp in self.consumer.assignment():
                self.consumer.seek(tp, self.owned[tp][1][0] + 1)  # without this the latter are lost
            return
        producer, mark = self.owned[tp]
        fresh = [offset for offset in offsets if offset > mark[0]]
        self.below += len(offsets) - len(fresh)
        if fresh:
            if fresh[0] != mark[0] + 1:
                print(f"  {self.name}: GAP in {tp.partition}, {mark[0]} then {fresh[0]}")
            async with producer.transaction():
                value = b"%d-%d" % (fresh[0], fresh[-1])
                await producer.send(f"{self.topic}-state", value, partition=tp.partition)
                await producer.send_offsets_to_transaction({tp: fresh[-1] + 1}, self.topic)
            mark[0] = fresh[-1]


async def main() -> None:
    logging.basicConfig(level=logging.CRITICAL)
    topic = f"group-{uuid.uuid4().hex[:6]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1), NewTopic(f"{topic}-state", PARTITIONS, 1)])
    await admin.close()

    async def feed() -> None:
        async with AIOKafkaProducer(bootstrap_servers=BROKERS, enable_idempotence=True) as producer:
            for number in range(EVENTS):
                await producer.send(topic, b"%d" % number, partition=number % PARTITIONS)
                await asyncio.sleep(0.01)

    async def later() -> None:
        await asyncio.sleep(5)
        await Member(topic, "two").run(8)

    await asyncio.gather(Member(topic, "one").run(35), later(), feed())
    seen: list[tuple[int, int]] = []
    for partition in range(PARTITIONS):
        for value in await read_back(TopicPartition(f"{topic}-state", partition)):
            first, last = map(int, value.split(b"-"))
            seen += [(partition, offset) for offset in range(first, last + 1)]
    print(f"  {EVENTS} sent, {EVENTS - len(set(seen))} lost, {len(seen) - len(set(seen))} twice")


if __name__ == "__main__":
    asyncio.run(main())
