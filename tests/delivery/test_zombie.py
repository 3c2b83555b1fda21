"""The forced zombie: frozen around a commit, woken when another has taken over. It must change nothing."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from schemas.topics import CASE_REQUESTS, OBSERVATIONS, SIGNALS
from streams.settings import EXIT_RESTART
from streams.state.kafka import POSITION
from tests.delivery.events import Event
from tests.delivery.harness import Deployment, Outcome, Worker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def frozen(deployment: Deployment, fault: str) -> Worker:
    worker = deployment.start(only="rolling", fault=fault)
    await deployment.until(worker.stopped, f"{fault}: frozen")
    return worker


async def two_zombies(
    deployment: Deployment,
    events: list[Event],
    expected: Outcome,
    faults: tuple[str, str],
    positions: Callable[[], dict[int, int]],
    state: Callable[[], object],
) -> None:
    """One freezes, its successor freezes, the third concludes all; then the two wake up beside it."""
    deployment.publish(events)
    ingest = deployment.start(only="ingest", flush_size=5)
    first = await frozen(deployment, faults[0])
    second = await frozen(deployment, faults[1])
    assert deployment.counters() != expected.counters, "frozen when all was done: nothing is tested"
    deployment.release()
    third = deployment.start(only="rolling")
    await deployment.reached(expected)

    ingest.signal(signal.SIGTERM)
    assert ingest.wait() == 0, ingest.tail()
    # Progress that was reported last is committed by itself, a moment later: that is not the zombies' doing.
    ends = {message.partition(): (message.offset() or 0) + 1 for message in deployment.read(OBSERVATIONS)}
    await deployment.until(lambda: positions() == ends, "all observations committed")
    await deployment.until_lag_is(0, "rolling")
    before = state()
    for zombie in (first, second):
        assert zombie.stopped()
        zombie.signal(signal.SIGCONT)
        assert zombie.wait() == EXIT_RESTART, zombie.tail()
    assert state() == before
    assert third.process.poll() is None, third.tail()
    await deployment.finish(expected)


async def test_zombies_with_kafkas_transactions(
    deployment: Deployment, events: list[Event], replayed: Outcome
) -> None:
    """One frozen between absorbing and its transaction, one with all of it sent and not committed."""

    def positions() -> dict[int, int]:
        state = deployment.rolling_state()
        return {partition: int(value) for (partition, key), value in state.items() if key == POSITION}

    def everything() -> object:
        signals = [(m.partition(), m.offset(), m.value()) for m in deployment.read(SIGNALS)]
        requests = [(m.partition(), m.offset(), m.value()) for m in deployment.read(CASE_REQUESTS)]
        return signals, requests, deployment.rolling_state()

    faults = ("rolling-absorbed:3:stop", "rolling-in-transaction:3:stop")
    await two_zombies(deployment, events, replayed, faults, positions, everything)


async def test_zombies_with_sqlite(embedded: Deployment, events: list[Event], replayed: Outcome) -> None:
    """One frozen before its outputs are sent, one between sending and writing.

    The first repeats its outputs when it wakes: the same ids, which ``finish`` counts once.
    """

    def ask(query: str) -> dict[int, list[tuple[Any, ...]]]:
        """Of the file of each partition."""
        found = {}
        for path in (embedded.settings.state_dir / "rolling").glob("*.sqlite"):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                found[int(path.stem.rpartition("-")[2])] = db.execute(query).fetchall()
        return found

    def positions() -> dict[int, int]:
        return {partition: upto for partition, ((upto,),) in ask("SELECT upto FROM reached").items() if upto}

    def files() -> object:
        # Not the epoch: whoever opens a file raises it, also the third where its partitions move.
        states = ask("SELECT upto FROM reached"), ask("SELECT key, value FROM entries ORDER BY key")
        assert all(states)
        return states

    faults = ("rolling-absorbed:4:stop", "sqlite-sent:4:stop")
    await two_zombies(embedded, events, replayed, faults, positions, files)
