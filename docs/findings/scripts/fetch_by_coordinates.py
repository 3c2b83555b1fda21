"""How fast single records are fetched by offset, and what a deleted offset gives: ../03-*.md.

python docs/findings/scripts/fetch_by_coordinates.py      # GLEANER_TEST_BROKERS, default 127.0.0.1:9092
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

BROKERS = os.environ.get("GLEANER_TEST_BROKERS", "127.0.0.1:9092")
COUNT = 20_000
PARTITIONS = 4


async def fill(admin: AIOKafkaAdminClient, compression: str | None) -> str:
    """A topic of 20,000 records of 1.36 KB, evenly over 4 partitions."""
    name = f"fetch-{compression}-{uuid.uuid4().hex[:8]}"
    await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    rng = random.Random(1)
    options = {"compression_type": compression, "linger_ms": 20, "max_batch_size": 256 * 1024}
    async with AIOKafkaProducer(bootstrap_servers=BROKERS, **options) as producer:
        for number in range(COUNT):
            value = b"%d:" % (number // PARTITIONS) + rng.randbytes(340).hex().encode() * 2
            await producer.send(name, value, partition=number % PARTITIONS)
        await producer.flush()
    return name


async def fetch(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> bytes | None:
    """One record by its coordinates; None when that offset holds no record any more."""
    consumer.seek(tp, offset)
    record = await consumer.getone(tp)
    return record.value if record.offset == offset else None


async def measure(name: str, label: str, how: str = "one", number: int = 200, **options: object) -> None:
    """`how` the partitions are read: by "one" consumer that pauses the others, by one that is "assign"-ed the
    partition every time, or by a consumer for "each" partition."""
    rng = random.Random(2)
    tps = [TopicPartition(name, partition) for partition in range(PARTITIONS)]
    config = {"auto_offset_reset": "none", "enable_auto_commit": False, "fetch_max_wait_ms": 10} | options
    consumers = [
        AIOKafkaConsumer(bootstrap_servers=BROKERS, **config) for _ in (tps if how == "each" else tps[:1])
    ]
    for partition, consumer in enumerate(consumers):
        await consumer.start()
        consumer.assign(tps if how == "one" else [tps[partition]])
        if how == "one":
            consumer.pause(*tps)
    took = []
    used = time.process_time()
    for _ in range(number):
        tp, offset = rng.choice(tps), rng.randrange(COUNT // PARTITIONS)
        consumer = consumers[tp.partition if how == "each" else 0]
        began = time.perf_counter()
        if how == "one":
            consumer.resume(tp)
        elif how == "assign":
            consumer.assign([tp])
        value = await asyncio.wait_for(fetch(consumer, tp, offset), 20)
        if how == "one":
            consumer.pause(tp)
        took.append(time.perf_counter() - began)
        assert value
        assert value.startswith(b"%d:" % offset)
    used = 1000 * (time.process_time() - used) / number
    for consumer in consumers:
        await consumer.stop()
    cuts = [1000 * cut for cut in statistics.quantiles(took, n=100)]
    rate = f"{number / sum(took):6.0f}/s  p50 {cuts[49]:6.1f}  p99 {cuts[98]:6.1f} ms  CPU {used:.2f} ms"
    print(f"  {label:44} {rate}", flush=True)


async def measure_sorted(name: str, number: int = 2000) -> None:
    """Records in order of offset, partition by partition: `getmany` brings the neighbours along."""
    rng = random.Random(3)
    wanted: dict[TopicPartition, set[int]] = {TopicPartition(name, p): set() for p in range(PARTITIONS)}
    for _ in range(number):
        wanted[rng.choice(list(wanted))].add(rng.randrange(COUNT // PARTITIONS))
    config = {"auto_offset_reset": "none", "enable_auto_commit": False, "fetch_max_wait_ms": 10}
    began, got = time.perf_counter(), 0
    async with AIOKafkaConsumer(bootstrap_servers=BROKERS, **config) as consumer:
        for tp, left in wanted.items():
            consumer.assign([tp])
            while left:
                consumer.seek(tp, min(left))
                while left:
                    records = (await consumer.getmany(tp, timeout_ms=1000)).get(tp, [])
                    hits = {record.offset for record in records} & left
                    got += len(hits)
                    left -= hits
                    if left and records and min(left) > records[-1].offset + 200:
                        break
    print(f"  {'sorted, getmany, 2,000 of 20,000':52} {got / (time.perf_counter() - began):6.0f}/s")


async def deleted(admin: AIOKafkaAdminClient, name: str) -> None:
    tp = TopicPartition(name, 0)
    answer = await admin.delete_records({tp: RecordsToDelete(before_offset=100)})
    print("  delete_records before 100:", answer)
    for reset in ("none", "earliest", "latest"):
        async with AIOKafkaConsumer(
            bootstrap_servers=BROKERS, auto_offset_reset=reset, enable_auto_commit=False, fetch_max_wait_ms=10
        ) as consumer:
            consumer.assign([tp])
            for offset in (50, COUNT // PARTITIONS, COUNT, 200):
                consumer.seek(tp, offset)
                began = time.perf_counter()
                try:
                    record = await asyncio.wait_for(consumer.getone(tp), 3)
                    outcome = f"record at offset {record.offset}"
                except Exception as error:
                    outcome = f"{type(error).__name__} {error.args}"
                print(f"    reset={reset}, offset {offset}: {outcome} ({time.perf_counter() - began:.2f} s)")
            print("    beginning_offsets:", (await consumer.beginning_offsets([tp]))[tp])


async def main() -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    plain, gzip = await fill(admin, None), await fill(admin, "gzip")
    await measure(plain, "one, wait 500 ms, 1 MiB", number=60, fetch_max_wait_ms=500)
    await measure(plain, "one, wait 10 ms, 1 byte", number=60, max_partition_fetch_bytes=1)
    for size in (1, 65536, 2**20):
        await measure(plain, f"assign, {size} bytes", "assign", max_partition_fetch_bytes=size)
        await measure(plain, f"each, {size} bytes", "each", max_partition_fetch_bytes=size)
    await measure(gzip, "each, gzip, 1 byte", "each", max_partition_fetch_bytes=1)
    await measure(gzip, "each, gzip, 1 MiB", "each", max_partition_fetch_bytes=2**20)
    await measure_sorted(plain)
    await deleted(admin, plain)
    await admin.close()


if __name__ == "__main__":
    asyncio.run(main())
