"""aiokafka's transactional producer against a real Kafka; the results are in ../02-aiokafka-transactions.md.

python docs/findings/scripts/transactions.py [CASE ...]      # a CASE is a name in main's table; default: all
The broker's address is GLEANER_TEST_BROKERS (default 127.0.0.1:9092).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import statistics
import sys
import time
import uuid

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

BROKERS = os.environ.get("GLEANER_TEST_BROKERS", "127.0.0.1:9092")
ZOMBIES = ("commit", "send", "offsets", "abort", "context", "idle")


def producer(transactional_id: str, **more: object) -> AIOKafkaProducer:
    return AIOKafkaProducer(bootstrap_servers=BROKERS, transactional_id=transactional_id, **more)


async def topic(name: str, partitions: int = 1, **configs: str) -> str:
    name = f"{name}-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=configs)])
    await admin.close()
    return name


async def attempt(what: str, doing) -> None:
    """Await it for at most 15 s and say how it ended."""
    began = time.monotonic()
    try:
        result = await asyncio.wait_for(doing, 15)
        outcome = f"ok {getattr(result, 'offset', '')}"
    except TimeoutError as error:
        outcome = "HANGS" if time.monotonic() - began > 14 else repr(error)
    except BaseException as error:
        outcome = f"{type(error).__name__}: {str(error)[:90]}"
    print(f"    {what:28} {outcome}  ({time.monotonic() - began:.2f} s)", flush=True)


async def read(name: str, isolation: str) -> tuple[list[tuple[int, bytes | None]], int]:
    """Everything below the end offset; and that offset, which counts control records too."""
    tp = TopicPartition(name, 0)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=BROKERS,
        isolation_level=isolation,
        auto_offset_reset="none",
        enable_auto_commit=False,
    )
    async with consumer:
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        end = (await consumer.end_offsets([tp]))[tp]
        found: list[tuple[int, bytes | None]] = []
        deadline = time.monotonic() + 20
        while await consumer.position(tp) < end:
            for records in (await consumer.getmany(tp, timeout_ms=200)).values():
                found += [(r.offset, r.value) for r in records]
            if time.monotonic() > deadline:
                print(f"    position stays at {await consumer.position(tp)} of {end}")
                break
        return found, end


async def zombie_child(how: str, name: str, transactional_id: str) -> None:
    """Freeze in the middle (the parent sends SIGSTOP), then do `how`."""
    tp = TopicPartition(name, 0)
    old = producer(transactional_id)
    await old.start()
    if how == "idle":
        async with old.transaction():
            await old.send_and_wait(name, b"zombie, committed before", partition=0)
    else:
        await old.begin_transaction()
        await old.send_and_wait(name, b"zombie, before", partition=0)
    print("frozen", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if how in ("send", "offsets"):
        if how == "send":
            await attempt("send_and_wait", old.send_and_wait(name, b"zombie, after", partition=0))
        else:
            doing = old.send_offsets_to_transaction({tp: 7}, name)
            await attempt("send_offsets_to_transaction", doing)
        await attempt("commit_transaction", old.commit_transaction())
        await attempt("begin_transaction", old.begin_transaction())
    elif how == "abort":
        await attempt("abort_transaction", old.abort_transaction())
    elif how == "commit":
        await attempt("commit_transaction", old.commit_transaction())
        await attempt("abort_transaction", old.abort_transaction())
    else:
        if how == "context":
            await attempt("commit_transaction", old.commit_transaction())

        async def block() -> None:
            async with old.transaction():
                await old.send_and_wait(name, b"zombie, in a new transaction", partition=0)

        await attempt("async with transaction()", block())
    await attempt("stop", old.stop())


async def zombie() -> None:
    for how in ZOMBIES:
        name, transactional_id = await topic("zombie"), f"tx-{uuid.uuid4().hex[:8]}"
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "zombie-child", how, name, transactional_id),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout
        assert child.stdin
        await child.stdout.readline()
        child.send_signal(signal.SIGSTOP)
        print(f"  {how}: frozen in a transaction; another process takes over")
        new = producer(transactional_id)
        await attempt("new start()", new.start())
        committed, end = await read(name, "read_committed")
        print(f"    after start(): end {end}, committed {[v for _, v in committed]}")
        async with new.transaction():
            await new.send_and_wait(name, b"successor", partition=0)
        child.stdin.write(b"go\n")
        child.send_signal(signal.SIGCONT)
        print((await child.stdout.read()).decode(), end="")
        await child.wait()
        async with new.transaction():
            await new.send_and_wait(name, b"successor again", partition=0)
        await new.stop()
        committed, end = await read(name, "read_committed")
        everything, _ = await read(name, "read_uncommitted")
        print(f"    at the end: end {end}, committed {committed}")
        print(f"    uncommitted too: {everything}")


async def offsets() -> None:
    name, group = await topic("offsets"), f"group-{uuid.uuid4().hex[:8]}"
    tp = TopicPartition(name, 0)

    async def committed() -> int | None:
        async with AIOKafkaConsumer(bootstrap_servers=BROKERS, group_id=group) as consumer:
            return await consumer.committed(tp)

    one = producer(f"tx-{group}")
    await one.start()
    async with one.transaction():
        await one.send_and_wait(name, b"x", partition=0)
        await one.send_offsets_to_transaction({tp: 42}, group)
        print("  inside the transaction:", await committed())
    print("  after commit:", await committed())
    await one.begin_transaction()
    await one.send_offsets_to_transaction({tp: 99}, group)
    await one.abort_transaction()
    print("  after an aborted 99:", await committed())
    async with one.transaction():
        await one.send_offsets_to_transaction({tp: 50}, group)
    print("  offsets alone, no record:", await committed())
    began = time.monotonic()
    async with one.transaction():
        pass
    print(f"  an empty transaction takes {1000 * (time.monotonic() - began):.1f} ms")
    await one.stop()


COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": "0",
}


async def readback() -> None:
    name = await topic("state", **COMPACTED)
    tp = TopicPartition(name, 0)
    one = producer(f"tx-{name}")
    await one.start()
    for turn in range(20):
        await one.begin_transaction()
        for key in range(50):
            await one.send(name, b"%d" % turn, key=b"%d" % key, partition=0)
        await (one.abort_transaction() if turn % 4 == 3 else one.commit_transaction())
    async with one.transaction():
        await one.send(name, None, key=b"0", partition=0)
    for isolation in ("read_committed", "read_uncommitted"):
        found, end = await read(name, isolation)
        last = found[-1][0] if found else None
        print(f"  {isolation}: {len(found)} records, last offset {last}, end offset {end}")
    await one.begin_transaction()
    await one.send_and_wait(name, b"open", key=b"1", partition=0)
    async with AIOKafkaConsumer(bootstrap_servers=BROKERS, isolation_level="read_committed") as consumer:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_end(tp)
        print(
            f"  with an open transaction: end_offsets {end}, seek_to_end gives {await consumer.position(tp)}"
        )
        print(f"    before a fetch: last_stable_offset() is {consumer.last_stable_offset(tp)}")
    found, end = await read(name, "read_committed")
    print(f"    read back to {end}: {len(found)} records")
    async with AIOKafkaConsumer(bootstrap_servers=BROKERS) as consumer:
        print(f"    end_offsets of read_uncommitted: {(await consumer.end_offsets([tp]))[tp]}")
    await one.commit_transaction()
    for wait in (5, 10, 15):
        await asyncio.sleep(5)
        async with one.transaction():  # a new segment, so that the last one may be compacted
            await one.send_and_wait(name, b"later", key=b"later", partition=0)
        found, end = await read(name, "read_committed")
        print(f"  compaction, {wait} s later: {len(found)} records, end {end}, key 0 present:"
              f" {any(v is None for _, v in found)}, last offset {found[-1][0]}")  # fmt: skip
    await one.stop()


async def emptied() -> None:
    """Can a compacted topic be read back when an abort marker's own record was compacted away?"""
    name = await topic("emptied", **COMPACTED)
    aborter, writer = producer(f"tx-{name}-1"), producer(f"tx-{name}-2")
    await aborter.start()
    await aborter.begin_transaction()
    await aborter.send_and_wait(name, b"aborted", key=b"a", partition=0)
    await aborter.abort_transaction()
    await writer.start()
    for turn in range(40):
        async with writer.transaction():
            await writer.send_and_wait(name, b"%d" % turn, key=b"k", partition=0)
        await asyncio.sleep(0.6)
    print("  the topic is", name)
    for isolation in ("read_committed", "read_uncommitted"):
        await attempt(isolation, read(name, isolation))
        print("   ", await read(name, isolation))
    await aborter.stop()
    await writer.stop()


async def timeout() -> None:
    name = await topic("timeout")
    late = producer(f"tx-{name}", transaction_timeout_ms=2000)
    await late.start()
    await late.begin_transaction()
    await late.send_and_wait(name, b"before", partition=0)
    await asyncio.sleep(5)
    await attempt("send after the timeout", late.send_and_wait(name, b"after", partition=0))
    await attempt("commit", late.commit_transaction())
    await attempt("abort", late.abort_transaction())
    await attempt("begin", late.begin_transaction())
    await attempt("stop", late.stop())
    print("    committed:", (await read(name, "read_committed"))[0])
    await attempt("start() with 20 minutes", producer(f"tx-{name}", transaction_timeout_ms=1_200_000).start())
    dead = producer(f"tx-{name}", transaction_timeout_ms=30_000)
    await dead.start()
    await dead.begin_transaction()
    await dead.send_and_wait(name, b"open", partition=0)
    await attempt("start() over an open transaction", producer(f"tx-{name}").start())


async def stopped() -> None:
    """stop() in the middle of a transaction, as a rebalance listener might do beside the loop."""
    name = await topic("stopped")
    for what in ("send_and_wait", "send_offsets_to_transaction", "commit_transaction"):
        one = producer(f"tx-{uuid.uuid4()}")
        await one.start()
        await one.begin_transaction()
        await one.send_and_wait(name, b"x", partition=0)
        await attempt(f"stop, before {what}", one.stop())
        if what == "send_and_wait":
            await attempt(what, one.send_and_wait(name, b"y", partition=0))
        elif what == "commit_transaction":
            await attempt(what, one.commit_transaction())
        else:
            await attempt(what, one.send_offsets_to_transaction({TopicPartition(name, 0): 1}, name))
    print("   ", await read(name, "read_committed"))


async def takeover() -> None:
    """Is the last committed transaction visible to who reads at once, with and without a start() first?"""
    name = await topic("takeover", **{"cleanup.policy": "compact"})
    group, tp, missed = f"group-{name}", TopicPartition(name, 0), dict.fromkeys(("offset", "record"), 0)
    missed_after = dict(missed)
    states = AIOKafkaConsumer(bootstrap_servers=BROKERS, isolation_level="read_committed")
    groups = AIOKafkaConsumer(bootstrap_servers=BROKERS, group_id=group)
    await states.start()
    await groups.start()
    one = producer(f"tx-{name}")
    await one.start()

    async def look(number: int, misses: dict[str, int], end: int) -> None:
        misses["offset"] += await groups.committed(tp) != number
        misses["record"] += (await states.end_offsets([tp]))[tp] < end

    took = []
    for number in range(1, 101):
        async with one.transaction():
            sent = await one.send_and_wait(name, b"%d" % number, key=b"k", partition=0)
            await one.send_offsets_to_transaction({tp: number}, group)
        await look(number, missed, sent.offset + 2)
        async with one.transaction():
            sent = await one.send_and_wait(name, b"%d" % number, key=b"k", partition=0)
            await one.send_offsets_to_transaction({tp: 1000 + number}, group)
        new = producer(f"tx-{name}")
        began = time.perf_counter()
        await new.start()
        took.append(time.perf_counter() - began)
        await look(1000 + number, missed_after, sent.offset + 2)
        await one.stop()
        one = new
    print(f"  of 100 looks just after commit_transaction() missed it: {missed}")
    print(f"  of 100 looks just after the successor's start() missed it: {missed_after}")
    print(f"  start() took {1000 * statistics.median(took):.0f} ms, at most {1000 * max(took):.0f}")
    for each in (one, states, groups):
        await each.stop()


async def throughput() -> None:
    name, state = await topic("fast", 4), await topic("fast-state", 4)
    for offsets, backoff, pause in (
        (True, 100, 0),
        (True, 5, 0),
        (False, 100, 0),
        (True, 100, 0.1),
        (True, 5, 0.1),
    ):
        one = producer(f"tx-{uuid.uuid4()}", retry_backoff_ms=backoff)
        await one.start()
        took = []
        for _ in range(100):
            began = time.perf_counter()
            async with one.transaction():
                await one.send(state, b"x" * 200, key=b"k", partition=0)
                if offsets:
                    await one.send_offsets_to_transaction({TopicPartition(name, 0): 1}, f"group-{name}")
            took.append(time.perf_counter() - began)
            await asyncio.sleep(pause)
        cuts = [1000 * cut for cut in statistics.quantiles(took, n=100)]
        print(f"  {offsets=} {backoff=} {pause=}: {100 / sum(took):.0f}/s,"
              f" p50 {cuts[49]:.1f} p90 {cuts[89]:.1f} p99 {cuts[98]:.1f} ms")  # fmt: skip
        await one.stop()
    for count in (1000, 10_000):
        one = producer(f"tx-{name}-{count}", linger_ms=2)
        await one.start()
        took, cpu = [], []
        for _ in range(5):
            began, used = time.perf_counter(), time.process_time()
            async with one.transaction():
                for n in range(count):
                    await one.send(state, b"x" * 300, key=b"%d" % n, partition=0)
                await one.send_offsets_to_transaction({TopicPartition(name, 0): 1}, f"group-{name}")
            took.append(time.perf_counter() - began)
            cpu.append(time.process_time() - used)
            await asyncio.sleep(1)
        wall, used = 1000 * statistics.median(took), 1000 * statistics.median(cpu)
        print(f"  {count} messages of 300 B in one transaction: median {wall:.0f} ms, CPU {used:.0f} ms")
        await one.stop()
    many = [producer(f"tx-{name}-many-{n}") for n in range(16)]
    began = time.perf_counter()
    await asyncio.gather(*(each.start() for each in many))
    print(f"  16 producers start at once in {time.perf_counter() - began:.2f} s")

    async def commits(each: AIOKafkaProducer, partition: int) -> None:
        for _ in range(50):
            async with each.transaction():
                await each.send(state, b"x" * 200, key=b"k", partition=partition)

    began = time.perf_counter()
    await asyncio.gather(*(commits(each, n % 4) for n, each in enumerate(many)))
    print(f"  16 producers, 50 commits each: {800 / (time.perf_counter() - began):.0f} commits/s in all")
    await asyncio.gather(*(each.stop() for each in many))


async def shared() -> None:
    name = await topic("shared", 2)
    one = producer(f"tx-{name}")
    await one.start()
    await one.begin_transaction()
    await attempt("a second begin_transaction", one.begin_transaction())
    await attempt("send", one.send_and_wait(name, b"x", partition=0))
    await attempt("commit_transaction", one.commit_transaction())
    await attempt("send outside a transaction", one.send_and_wait(name, b"x", partition=0))
    await one.stop()


async def main() -> None:
    logging.basicConfig(level=logging.CRITICAL)
    if sys.argv[1:2] == ["zombie-child"]:
        return await zombie_child(*sys.argv[2:])
    table = (offsets, shared, zombie, stopped, takeover, readback, emptied, timeout, throughput)
    cases = {each.__name__: each for each in table}
    for case in sys.argv[1:] or cases:
        print(case, flush=True)
        await cases[case]()
    return None


if __name__ == "__main__":
    asyncio.run(main())
