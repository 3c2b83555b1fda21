"""Faust with our own batcher and acks against a real Kafka; the results are in ../01-faust-acks.md.

python docs/findings/scripts/faust_acks.py [CASE ...]      # a CASE is a name in main's table; default: all
The broker's address is GLEANER_TEST_BROKERS (default 127.0.0.1:9092).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

BROKERS = os.environ.get("GLEANER_TEST_BROKERS", "127.0.0.1:9092")
PARTITIONS = 4
HOME = Path(os.environ.get("FAUST_ACKS_HOME") or tempfile.mkdtemp(prefix="faust-acks-"))
SCHEMA = "create table if not exists deliveries (at real, partition integer, offset integer, seq integer)"


# The worker: the shape of faust.md, section 6, writing every delivery to SQLite.


class Batcher:
    def __init__(self, size, seconds, durable):
        self.size, self.seconds, self.durable = size, seconds, durable
        self.buf, self.lock, self.oldest, self.task = [], asyncio.Lock(), 0.0, None

    def start(self):
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self):
        while True:
            await asyncio.sleep(self.seconds / 2)
            if self.buf and time.monotonic() - self.oldest >= self.seconds:
                await self.flush()

    async def add(self, stream, event):
        if not self.buf:
            self.oldest = time.monotonic()
        self.buf.append((stream, event))
        if len(self.buf) >= self.size:
            await self.flush()

    async def flush(self):
        async with self.lock:
            batch, self.buf = self.buf, []
            await self.durable([event for _, event in batch])
            for stream, event in batch:
                await stream.ack(event)


def worker() -> None:
    env = os.environ
    options = {"topic_allow_declare": False, "topic_disable_leader": True}
    if env.get("DEFAULTS"):
        options = {}
    app = faust.App(
        env["APP"],
        broker=f"kafka://{BROKERS}",
        store="memory://",
        datadir=str(HOME),
        web_enabled=False,
        topic_partitions=PARTITIONS,
        broker_commit_interval=1.0,
        broker_session_timeout=float(env["SESSION"]),
        broker_heartbeat_interval=float(env["HEARTBEAT"]),
        consumer_group_instance_id=env.get("INSTANCE"),
        **options,
    )
    logging.getLogger("aiokafka").setLevel(logging.INFO)
    database = sqlite3.connect(env["DB"], isolation_level=None)
    database.execute(SCHEMA)

    async def write(events):
        rows = [(time.time(), e.message.partition, e.message.offset, int(e.value)) for e in events]
        database.execute("begin")
        database.executemany("insert into deliveries values (?, ?, ?, ?)", rows)
        database.execute("commit")
        await asyncio.sleep(float(env.get("SLOW", "0.02")))

    batcher = Batcher(int(env.get("SIZE", "47")), 0.5, write)

    @app.agent(app.topic(env["TOPIC"], value_type=bytes, value_serializer="raw"))
    async def ingest(stream):
        batcher.start()
        manual = stream.noack()
        async for event in manual.events():
            await batcher.add(manual, event)

    sys.argv = ["faust_acks", "worker", "--loglevel", "info", "--without-web"]
    app.main()


# The driver.


class Worker:
    """A worker in a process of its own; `logs` and `deliveries` stay after its end."""

    def __init__(self, topic: str, session: float = 10, heartbeat: float = 3, **env: object) -> None:
        self.name = f"worker-{uuid.uuid4().hex[:6]}"
        self.db, self.log = HOME / f"{self.name}.db", HOME / f"{self.name}.log"
        sqlite3.connect(self.db).execute(SCHEMA)
        settings = {
            "APP": f"app-{topic}",
            "TOPIC": topic,
            "DB": self.db,
            "SESSION": session,
            "HEARTBEAT": heartbeat,
        }
        all_env = os.environ | {key: str(value) for key, value in (settings | env).items()}
        self.started = time.time()
        with self.log.open("wb") as out:
            command = [sys.executable, __file__, "--worker"]
            self.process = subprocess.Popen(command, env=all_env, stdout=out, stderr=out)

    def deliveries(self) -> list[tuple[float, int, int, int]]:
        return sqlite3.connect(self.db).execute("select * from deliveries order by at").fetchall()

    def end(self, how: signal.Signals) -> str:
        began = time.time()
        self.process.send_signal(how)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "HANGS for 60 s, killed"
        return f"exit {code} after {time.time() - began:.1f} s"

    async def first_after(self, when: float, partitions: int = PARTITIONS, limit: float = 90) -> str:
        """Seconds from `when` to the first delivery after it of the last of so many partitions."""
        while time.time() < when + limit:
            first: dict[int, float] = {}
            for at, partition, _, _ in self.deliveries():
                if at > when:
                    first.setdefault(partition, at - when)
            if len(first) >= partitions:
                return f"{sorted(first.values())[partitions - 1]:.1f} s"
            await asyncio.sleep(0.2)
        return f"NOT within {limit:g} s"


class Feed:
    """A topic, and a task that sends it so many events a second until it is stopped."""

    def __init__(self, topic: str, rate: float) -> None:
        self.topic, self.rate, self.sent, self.over = topic, rate, 0, False

    async def __aenter__(self) -> Feed:
        self.producer = AIOKafkaProducer(bootstrap_servers=BROKERS, enable_idempotence=True)
        await self.producer.start()
        self.task = asyncio.create_task(self._run())
        return self

    async def _run(self) -> None:
        while not self.over:
            for _ in range(PARTITIONS):
                await self.producer.send(self.topic, b"%d" % self.sent, partition=self.sent % PARTITIONS)
                self.sent += 1
            await asyncio.sleep(PARTITIONS / self.rate)

    async def __aexit__(self, *_: object) -> None:
        self.over = True
        await self.task
        await self.producer.stop()


async def make(name: str) -> str:
    name = f"{name}-{uuid.uuid4().hex[:6]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    await admin.close()
    return name


async def committed(topic: str) -> list[int | None]:
    async with AIOKafkaConsumer(bootstrap_servers=BROKERS, group_id=f"app-{topic}") as consumer:
        return [await consumer.committed(TopicPartition(topic, n)) for n in range(PARTITIONS)]


async def verdict(feed: Feed, *workers: Worker, limit: float = 90) -> str:
    deadline = time.time() + limit
    while True:
        seen = [row[3] for worker in workers for row in worker.deliveries()]
        lost = feed.sent - len(set(seen))
        if not lost or time.time() > deadline:
            return f"{feed.sent} sent, {lost} lost, {len(seen) - len(set(seen))} delivered again"
        await asyncio.sleep(0.5)


async def restart(how: signal.Signals, session: float, heartbeat: float, **env: object) -> None:
    topic = await make("restart")
    async with Feed(topic, 400) as feed:
        one = Worker(topic, session, heartbeat, **env)
        print(f"  {how.name}, session {session}/{heartbeat}, {env}: first start, all partitions after"
              f" {await one.first_after(one.started)}", flush=True)  # fmt: skip
        await asyncio.sleep(6.3)
        ended = one.end(how)
        stored = {p: max(o for _, q, o, _ in one.deliveries() if q == p) + 1 for p in range(PARTITIONS)}
        at_end = await committed(topic)
        behind = sum(stored[p] - (at_end[p] or 0) for p in range(PARTITIONS))
        two = Worker(topic, session, heartbeat, **env)
        again = await two.first_after(two.started)
    print(
        f"    {ended}; stored but not committed {behind}; restarted: all partitions after {again}", flush=True
    )
    print(f"    {await verdict(feed, one, two)}; second: {two.end(signal.SIGTERM)}", flush=True)


async def kill() -> None:
    for session, heartbeat in ((6, 1), (10, 3), (30, 3)):
        await restart(signal.SIGKILL, session, heartbeat)
    await restart(signal.SIGKILL, 30, 3, INSTANCE="worker-1")


async def term() -> None:
    await restart(signal.SIGTERM, 30, 3)
    await restart(signal.SIGTERM, 30, 3, SIZE=100_000)
    await restart(signal.SIGTERM, 30, 3, INSTANCE="worker-1")


async def two_workers() -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        topic = await make("two")
        async with Feed(topic, 400) as feed:
            one = Worker(topic)
            await one.first_after(one.started)
            two = Worker(topic)
            print(f"  join: the second has its 2 partitions after {await two.first_after(two.started, 2)}")
            await asyncio.sleep(5)
            before = time.time()
            ended = two.end(how)
            print(f"  {how.name}: {ended}; the first has all 4 after {await one.first_after(before)}")
            await asyncio.sleep(3)
        print(f"    {await verdict(feed, one, two)}; first: {one.end(signal.SIGTERM)}", flush=True)


async def static() -> None:
    """Static membership: a member that leaves for good, and two processes with one name."""
    topic = await make("static")
    async with Feed(topic, 400) as feed:
        one = Worker(topic, 20, INSTANCE="worker-1")
        await one.first_after(one.started)
        two = Worker(topic, 20, INSTANCE="worker-2")
        print(f"  join: the second has its 2 partitions after {await two.first_after(two.started, 2)}")
        await asyncio.sleep(5)
        before = time.time()
        print(
            f"  SIGTERM: {two.end(signal.SIGTERM)}; the first has all 4 after {await one.first_after(before)}"
        )
        twin = Worker(topic, 20, INSTANCE="worker-1")
        print(f"  a twin of the first has all 4 after {await twin.first_after(twin.started)}", flush=True)
        await asyncio.sleep(10)
        said = [line for line in one.log.read_text().splitlines() if "rror" in line]
        at = time.time() - 3
        shares = [len({p for a, p, _, _ in each.deliveries() if a > at}) for each in (one, twin)]
        print(f"    ten seconds later: first's exit code {one.process.poll()}, partitions of both {shares}")
        print(f"    the first said: {said[-3:]}", flush=True)
    print(f"    {await verdict(feed, one, two, twin)}")
    print(f"    first: {one.end(signal.SIGTERM)}, twin: {twin.end(signal.SIGTERM)}", flush=True)


async def frozen() -> None:
    """One of two workers is frozen for longer than its session, then goes on."""
    topic = await make("frozen")
    async with Feed(topic, 400) as feed:
        one, two = Worker(topic), Worker(topic)
        await asyncio.gather(one.first_after(one.started, 2), two.first_after(two.started, 2))
        await asyncio.sleep(3)
        two.process.send_signal(signal.SIGSTOP)
        print(f"  SIGSTOP: the first has all 4 after {await one.first_after(time.time())}", flush=True)
        await asyncio.sleep(10)
        two.process.send_signal(signal.SIGCONT)
        print(
            f"  SIGCONT: the second has 2 again after {await two.first_after(time.time() + 0.5, 2)}",
            flush=True,
        )
        await asyncio.sleep(5)
    print(f"    {await verdict(feed, one, two)}")
    print(f"    first: {one.end(signal.SIGTERM)}, second: {two.end(signal.SIGTERM)}", flush=True)


async def broker() -> None:
    """The only broker goes away while a worker runs. It starts one of its own: run with PYTHONPATH=. ."""
    from tests.kafka.server import KafkaServer

    global BROKERS
    with KafkaServer() as server:
        BROKERS = os.environ["GLEANER_TEST_BROKERS"] = server.bootstrap
        for how in (server.stop, server.kill):
            topic = await make("broker")
            async with Feed(topic, 400) as feed:
                one = Worker(topic)
                await one.first_after(one.started)
                await asyncio.sleep(5)
                gone = time.time()
                await asyncio.to_thread(how)
                await asyncio.sleep(5)
                await asyncio.to_thread(server.start)
                back = time.time()
                first = await one.first_after(back)
                print(
                    f"  {how.__name__}: away for {back - gone:.1f} s, all partitions {first} after its return"
                )
                await asyncio.sleep(5)
            print(f"    {await verdict(feed, one)}; worker's exit code {one.process.poll()},", end=" ")
            print(one.end(signal.SIGTERM), flush=True)


async def topics() -> None:
    """What appears on the broker, with Faust's defaults and with ours, for a topic that exists or doesn't."""
    admin = AIOKafkaAdminClient(bootstrap_servers=BROKERS)
    await admin.start()
    for exists in (True, False):
        for defaults in ("", "1"):
            topic = await make("made") if exists else f"unmade-{uuid.uuid4().hex[:6]}"
            one = Worker(topic, DEFAULTS=defaults)
            await asyncio.sleep(12)
            before = sorted(name for name in await admin.list_topics() if topic in name)
            alive = one.process.poll() is None
            if topic not in before:
                await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
            created = time.time()
            async with Feed(topic, 40):
                first = await one.first_after(created, limit=60)
            names = sorted(name for name in await admin.list_topics() if topic in name)
            print(
                f"  {exists=} defaults={bool(defaults)}: {alive=}, after 12 s {before}, events after {first},"
            )
            print(f"    in the end {names}, {one.end(signal.SIGTERM)}", flush=True)
            for line in one.log.read_text().splitlines():
                if "WARN" in line or "ERROR" in line:
                    print("     ", line[:160])
                    break
    await admin.close()


async def main() -> None:
    logging.basicConfig(
        level=logging.CRITICAL
    )  # aiokafka says the same thing thousands of times in an outage
    table = (kill, term, two_workers, static, frozen, broker, topics)
    cases = {each.__name__: each for each in table}
    for case in sys.argv[1:] or cases:
        print(case, flush=True)
        await cases[case]()
    print("logs:", HOME)


if __name__ == "__main__":
    if sys.argv[1:] == ["--worker"]:
        worker()
    else:
        asyncio.run(main())
