"""From the deciding event to Slack: real roles on a real Kafka under a steady load, into the loopback Slack.

Applications break one after the other. An alarm has the event time of the observation that decided it: the
moment at which that trace was published. The clock is this machine's, for everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.broker import real_topics
from benchmarks.traffic import Traffic
from schemas.identity import derive
from schemas.signal import SIGNAL_RECORD, Signal, SignalName
from schemas.topics import SIGNALS, TRACES
from sinks.slack.sandbox import TOKEN, Sandbox
from sinks.slack.sandbox_channel import Channel
from streams.settings import Settings

CHANNELS = ("C0ALERT0", "C0ALERT1", "C0ALERT2", "C0ALERT3")
"""Incidents are spread over these, so that a channel's own rate is in no figure."""
TICK = 0.02
WARM_UP_SECONDS = 75.0
"""Until every application's detector is armed: 200 units each."""
WRONG_SECONDS = 12.0
"""An application is wrong for this long, so that not all of the traffic becomes cases in the end."""
MARK_SECONDS = 2.0


class Plan(NamedTuple):
    """``apps`` break one after the other, ``apart`` seconds; ``rate`` traces a second over all of them."""

    brokers: str
    rate: int = 500
    apps: int = 80
    apart: float = 2.5


class Told(NamedTuple):
    """One incident. Epoch seconds: its deciding trace was published, its signal written, Slack had it."""

    app: str
    published: float
    signalled: float
    received: float


class Measured(NamedTuple):
    """``sent`` traces a second, as they really were; ``broke`` applications, of which ``told`` were told.

    ``lateness`` and ``group_wait`` in seconds: what a page waits for by intention.
    """

    told: list[Told]
    broke: int
    sent: float
    lateness: float
    group_wait: float

    def beyond(self) -> list[float]:
        """Seconds from publication to Slack without the known waits, the shortest first."""
        known = self.lateness + self.group_wait
        return sorted(one.received - one.published - known for one in self.told)


class Load(threading.Thread):
    """Publishes at a steady rate until it is told to stop; applications break by the clock."""

    def __init__(self, plan: Plan, topic: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.plan, self.topic = plan, topic
        self.rng = random.Random(seed)
        self.traffic = Traffic(0, seed)
        self.out = Producer({"bootstrap.servers": plan.brokers, "acks": "all", "linger.ms": 2})
        self.stopping = threading.Event()
        self.sent = 0
        self.seconds = 0.0

    def run(self) -> None:
        begun = time.monotonic()
        while not self.stopping.is_set():
            self.seconds = time.monotonic() - begun
            for _ in range(int(self.seconds * self.plan.rate) - self.sent):
                self.out.produce(self.topic, orjson.dumps(self._trace()))
                self.sent += 1
            self.out.poll(0)
            self.stopping.wait(TICK)
        self.out.flush(30)

    def broken(self) -> int:
        """How many applications have broken so far."""
        since = self.seconds - WARM_UP_SECONDS
        return min(self.plan.apps, int(since / self.plan.apart) + 1) if since > 0 else 0

    def bad(self, number: int) -> bool:
        """Whether application ``number`` is broken just now."""
        since = self.seconds - WARM_UP_SECONDS - number * self.plan.apart
        return 0 < since < WRONG_SECONDS

    def _trace(self) -> dict[str, Any]:
        number = self.sent % self.plan.apps
        (trace,) = self.traffic.events(1, 1)
        bad = self.bad(number)
        trace.pop("conversation_id", None)
        return trace | {
            "app": f"app-{number:03}",
            "route": "chat",
            "timestamp": time.time_ns() // 1_000_000,
            "success": True,
            "scores": {
                "faithfulness": round(self.rng.uniform(0.1, 0.4) if bad else self.rng.uniform(0.88, 1), 3)
            },
        }


async def measure(plan: Plan, seed: int = 1) -> Measured:
    """One run; some minutes. Its topics and processes are its own, and gone at the end."""
    with tempfile.TemporaryDirectory(prefix="gleaner-alerts-") as folder:
        settings = Settings(
            brokers=plan.brokers,
            topic_prefix=f"alerts-{uuid.uuid4().hex[:8]}.",
            state_dir=Path(folder),
            partitions=4,
        )
        with contextlib.ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, real_topics([settings]))
            async with Sandbox(channel=CHANNELS[0]) as slack:
                slack.channels |= {name: Channel(name) for name in CHANNELS[1:]}
                with _roles(settings, slack.url, Path(folder)) as alive:
                    load = Load(plan, settings.topic(TRACES), seed)
                    load.start()
                    try:
                        last = WARM_UP_SECONDS + plan.apps * plan.apart + 20
                        while load.seconds < last:
                            alive()
                            await asyncio.sleep(0.5)
                    finally:
                        load.stopping.set()
                        await asyncio.to_thread(load.join, 60)
                    await asyncio.sleep(15)
                roots = {
                    root.body["metadata"]["event_payload"]["incident_id"]: float(root.ts)
                    for channel in slack.channels.values()
                    for root in channel.roots()
                }
            signals = await asyncio.to_thread(_first_alarms, settings)
            await asyncio.to_thread(stack.close)
    return Measured(
        _joined(signals, roots),
        load.broken(),
        load.sent / load.seconds,
        settings.lateness_ms / 1000,
        settings.group_wait_seconds,
    )


@contextlib.contextmanager
def _roles(settings: Settings, url: str, folder: Path) -> Iterator[Any]:
    """``gleaner worker`` and ``gleaner notify``, as anybody would start them; yields what asks whether they
    live. Only these processes are ended."""
    routes = [{"app": f"app-*{digit}", "channel": CHANNELS[digit % 4]} for digit in range(10)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GLEANER_")} | {
        "GLEANER_BROKERS": settings.brokers,
        "GLEANER_TOPIC_PREFIX": settings.topic_prefix,
        "GLEANER_PARTITIONS": str(settings.partitions),
        "GLEANER_STATE_DIR": str(folder / "state"),
        "GLEANER_SLACK_TOKEN": TOKEN,
        "GLEANER_SLACK_CHANNEL": CHANNELS[0],
        "GLEANER_SLACK_URL": url,
        "GLEANER_ROUTES": json.dumps(routes),
        # Every incident by itself: a storm's digest is another measurement.
        "GLEANER_INCIDENT_MESSAGES_AN_HOUR": "100000",
        "GLEANER_LOG_LEVEL": "WARNING",
    }
    running: list[tuple[str, subprocess.Popen[bytes]]] = []
    try:
        for role in ("worker", "notify"):
            with (folder / f"{role}.log").open("wb") as log:
                command = [sys.executable, "-P", "-m", "streams.cli", role]
                child = subprocess.Popen(
                    command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
                )
                running.append((role, child))

        def alive() -> None:
            for role, child in running:
                if child.poll() is not None:
                    said = (folder / f"{role}.log").read_text(errors="replace")[-2_000:]
                    raise RuntimeError(f"{role} ended: {child.returncode}\n{said}")

        yield alive
    finally:
        for _, child in running:
            child.terminate()
        for _, child in running:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _first_alarms(settings: Settings) -> dict[str, tuple[float, float, str]]:
    """By app the first faithfulness alarm: published, written to the topic (epoch seconds), incident id."""
    reader = Consumer(
        {
            "bootstrap.servers": settings.brokers,
            "group.id": settings.group("measure"),
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    topic = settings.topic(SIGNALS)
    found: dict[str, tuple[float, float, str]] = {}
    try:
        parts = reader.list_topics(topic).topics[topic].partitions
        reader.assign([TopicPartition(topic, number, 0) for number in parts])
        idle = 0
        while idle < 5:
            messages = reader.consume(1_000, timeout=1.0)
            idle = 0 if messages else idle + 1
            for message in messages:
                value = message.value()
                if message.error() or value is None:
                    continue
                record = SIGNAL_RECORD.validate_json(value)
                if isinstance(record, Signal) and record.pages and record.app not in found:
                    if record.signal is not SignalName.FAITHFULNESS:
                        continue
                    incident = derive("incident", record.app, record.environment, record.rule, record.id)
                    written = message.timestamp()[1] / 1000
                    found[record.app] = (record.detected_at / 1000, written, incident)
    finally:
        reader.close()
    return found


def _joined(signals: dict[str, tuple[float, float, str]], roots: dict[str, float]) -> list[Told]:
    return [
        Told(app, published, signalled, roots[incident])
        for app, (published, signalled, incident) in sorted(signals.items())
        if incident in roots
    ]


def percentile(values: list[float], part: float) -> float:
    """The value that ``part`` of ``values`` (sorted) don't exceed: nearest rank.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 0.5), percentile([1.0, 2.0, 3.0, 4.0], 0.99)
    (2.0, 4.0)
    """
    return values[max(0, -int(-part * len(values) // 1) - 1)]


def report(measured: Measured) -> tuple[bool, list[str]]:
    """Whether the mark holds and every application was told; and the lines that say so."""
    told, beyond = measured.told, measured.beyond()
    if not told:
        return False, ["nobody was told of anything"]
    whole = sorted(one.received - one.published for one in told)
    rolling = sorted(one.signalled - one.published - measured.lateness for one in told)
    notify = sorted(one.received - one.signalled - measured.group_wait for one in told)
    rows = [
        ("event to Slack, all of it", whole),
        ("beyond the known waits", beyond),
        ("… of that to the signal on Kafka", rolling),
        ("… of that from there to Slack", notify),
    ]
    lines = [
        f"{len(told)} of {measured.broke} incidents told, {measured.sent:,.0f} traces/s",
        f"known waits: lateness {measured.lateness:.1f} s, attribution window 0.0 s (an alarm is"
        f" explained from what is remembered, and waits for nothing), group wait {measured.group_wait:.1f} s",
    ]
    lines += [
        f"{name}: p50 {percentile(values, 0.5):.2f} s, p99 {percentile(values, 0.99):.2f} s,"
        f" longest {values[-1]:.2f} s"
        for name, values in rows
    ]
    p99 = percentile(beyond, 0.99)
    held = p99 <= MARK_SECONDS and len(told) == measured.broke
    lines.append(f"mark, p99 beyond the known waits <= {MARK_SECONDS:.0f} s: {'holds' if held else 'MISSED'}")
    return held, lines
