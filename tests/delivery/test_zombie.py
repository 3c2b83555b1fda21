"""The forced zombie: frozen around a commit, woken when another has taken over. It must change nothing."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from collections.abc import Callable

import pytest

from schemas.topics import CASE_REQUESTS, SIGNALS
from streams.settings import EXIT_RESTART
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
    state: Callable[[], object],
) -> None:
    """One freezes, its successor freezes, the third concludes all; then the two wake up beside it."""
    deployment.publish(events)
    ingest = deployment.start(only="ingest", flush_size=10)
    first = await frozen(deployment, faults[0])
    second = await frozen(deployment, faults[1])
    assert deployment.counters() != expected.counters, "frozen when all was done: nothing is tested"
    deployment.release()
    third = deployment.start(only="rolling")
    await deployment.reached(expected)

    ingest.signal(signal.SIGTERM)
    assert ingest.wait() == 0, ingest.tail()
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

    def everything() -> object:
        signals = [(m.partition(), m.offset(), m.value()) for m in deployment.read(SIGNALS)]
        requests = [(m.partition(), m.offset(), m.value()) for m in deployment.read(CASE_REQUESTS)]
        return signals, requests, deployment.rolling_state()

    faults = ("rolling-absorbed:3:stop", "rolling-in-transaction:3:stop")
    await two_zombies(deployment, events, replayed, faults, everything)


async def test_zombies_with_sqlite(embedded: Deployment, events: list[Event], replayed: Outcome) -> None:
    """One frozen before its outputs are sent, one between sending and writing.

    The first repeats its outputs when it wakes: the same ids, which ``finish`` counts once.
    """

    def files() -> object:
        states = {}
        for path in sorted((embedded.settings.state_dir / "rolling").glob("*.sqlite")):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                state = (db.execute("SELECT * FROM reached"), db.execute("SELECT * FROM entries"))
                states[path.name] = [rows.fetchall() for rows in state]
        assert states
        return states

    faults = ("rolling-absorbed:4:stop", "sqlite-sent:4:stop")
    await two_zombies(embedded, events, replayed, faults, files)
