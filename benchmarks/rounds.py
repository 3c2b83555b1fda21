"""Runs the rounds: every case is fed the same messages, in turns, on one broker.

A case's worker is stopped while its messages are published and then goes on, so that it always finds
its whole backlog, and uses no CPU that isn't the work's. All workers live through all rounds: their
start is in no figure, and the rolling state grows as it does in production.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.broker import KEPT_BYTES, embedded_broker, publish, real_topics, topics_of
from benchmarks.child import Child, Measured
from benchmarks.plan import CASES, FAUST, INGEST, PACKED, RAW, ROLLING, Shape
from benchmarks.traffic import Traffic
from schemas.topics import TRACES
from streams.settings import Settings

SPAN_MS = 600_000
"""Event time of a round. Equal to the time after which a conversation is decided, so that as many
conversations are decided as are opened, and each is written down once, as in a steady stream."""
DAY_MS = 86_400_000
PAST_MS = 12 * DAY_MS
"""The traffic is old: the watermark then follows the events alone, not the clock."""
WARM_UP = 60_000
WARM_UP_MS = 9 * DAY_MS
"""The warm-up is long in event time, so that the detectors have learned what is normal, and only watch."""
SETTLE_SECONDS = 5.0
"""After which ingest has reported the empty topics at their end, so that they hold nothing back."""
REAL_PARTITIONS = 8
EVENT_BYTES = 1_420
"""An upper estimate of a trace's size, for the partitions that the embedded broker needs."""

Round = dict[str, Measured]


class Order(NamedTuple):
    """What to run. ``brokers`` empty is the embedded broker; ``events`` is of single messages."""

    shapes: Sequence[Shape]
    rounds: int
    events: int
    brokers: str


def run(order: Order, say: Callable[[str], None]) -> dict[Shape, list[Round]]:
    """All rounds of all shapes, on one broker."""
    with tempfile.TemporaryDirectory(prefix="gleaner-bench-") as state:
        plans = {shape: _deployments(order, shape, Path(state)) for shape in order.shapes}
        with contextlib.ExitStack() as stack:
            deployments = list({s.topic_prefix: s for plan in plans.values() for s in plan.values()}.values())
            brokers = order.brokers
            if brokers:
                stack.enter_context(real_topics(deployments))
            else:
                topics = {name: n for settings in deployments for name, n in topics_of(settings).items()}
                brokers = stack.enter_context(embedded_broker(topics))
            begin = int(time.time() * 1000) - PAST_MS
            return {
                # Traffic of its own for each: what went on where the last one ended would lie in the future.
                shape: _rounds(order, shape, _at(plan, brokers), Path(state), Traffic(begin), say)
                for shape, plan in plans.items()
            }


def _deployments(order: Order, shape: Shape, state: Path) -> dict[str, Settings]:
    """Settings by case: topics of its own for each, but rolling reads what ingest writes."""
    partitions = REAL_PARTITIONS
    if not order.brokers:
        needed = order.events * shape.weight * EVENT_BYTES / (0.9 * KEPT_BYTES)
        partitions = max(partitions, math.ceil(needed))
    run = uuid.uuid4().hex[:8]
    plans: dict[str, Settings] = {}
    for case in CASES:
        stage = INGEST if case == ROLLING else case
        prefix = f"bench-{run}-{shape.name}-{stage.replace(' ', '-').lower()}-"
        plans[case] = Settings(
            brokers=order.brokers,
            topic_prefix=prefix,
            partitions=partitions,
            state_dir=state / prefix,
            embedded=not order.brokers,
            stream_id=run,
            session_timeout_ms=60_000,
        )
    return plans


def _at(plan: dict[str, Settings], brokers: str) -> dict[str, Settings]:
    return {case: settings.model_copy(update={"brokers": brokers}) for case, settings in plan.items()}


def _rounds(
    order: Order,
    shape: Shape,
    plan: dict[str, Settings],
    logs: Path,
    traffic: Traffic,
    say: Callable[[str], None],
) -> list[Round]:
    with _children(plan, logs) as children:
        count = order.events * shape.weight
        say(f"{shape.name}: warming up")
        parts = math.ceil(WARM_UP / count)
        for number in range(parts):
            _round(children, traffic.messages(count, WARM_UP_MS / parts, PACKED.per_message), count, number)
            if not number:
                time.sleep(SETTLE_SECONDS)
        rounds = []
        for number in range(order.rounds):
            messages = traffic.messages(count, SPAN_MS, shape.per_message)
            rounds.append(_round(children, messages, count, number))
            rates = ", ".join(f"{case} {m.rate:,.0f}" for case, m in rounds[-1].items())
            say(f"{shape.name}: round {number + 1} of {order.rounds}: {rates}")
        return rounds


@contextlib.contextmanager
def _children(plan: dict[str, Settings], logs: Path) -> Iterator[dict[str, Child]]:
    children: dict[str, Child] = {}
    try:
        for case, settings in plan.items():
            children[case] = Child(case, settings, logs / f"{settings.topic_prefix}{case}.log")
        yield children
    finally:
        for child in children.values():
            child.end()


def _round(children: dict[str, Child], messages: list[bytes], count: int, number: int) -> Round:
    """Every case once, on the same messages; who is first changes from round to round."""
    measured: Round = {}
    turns = [RAW, FAUST, INGEST]
    for case in turns[number % 3 :] + turns[: number % 3]:
        if case == INGEST:
            rolling = children[ROLLING]
            rolling.arm(count)
            rolling.stop()
            measured[INGEST] = _feed(children[INGEST], messages, count)
            rolling.go_on()
            measured[ROLLING] = rolling.measured()
        else:
            measured[case] = _feed(children[case], messages, count)
    return measured


def _feed(child: Child, messages: list[bytes], count: int) -> Measured:
    settings = child.settings
    child.arm(count)
    child.stop()
    try:
        publish(settings.brokers, settings.topic(TRACES), settings.partitions, messages)
    finally:
        child.go_on()
    return child.measured()
