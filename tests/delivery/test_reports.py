"""What ingest reports of its progress, on which event time stands: never too much, never too early."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from schemas.observation import ObservationBatch, Progress, SourceProgress
from streams import ingest as module
from streams.ingest import END_SECONDS, Ingest
from streams.settings import Settings
from streams.steps.pack import decode
from streams.topics import TopicLife

T = 1_772_438_400_000
TRACES, FEEDBACK, CHANGES = TP("traces", 0), TP("feedback", 0), TP("changes", 0)


class FakeConsumer:
    """A Faust consumer that says what it is told to say."""

    def __init__(self) -> None:
        self.ends = {TRACES: 10, FEEDBACK: 0, CHANGES: 0}
        self.positions: dict[TP, int | None] = {TRACES: 10, FEEDBACK: 0, CHANGES: 0}
        self.unacked: set[Any] = set()

    def assignment(self) -> set[TP]:
        return set(self.ends)

    async def highwaters(self, *partitions: TP) -> dict[TP, int]:
        return {tp: self.ends[tp] for tp in partitions}

    async def position(self, tp: TP) -> int | None:
        return self.positions[tp]


class FakeProducer:
    """Keeps what was sent to ``observations``, by partition; may hold the next message up."""

    def __init__(self) -> None:
        self.sent: dict[int | None, list[ObservationBatch | Progress]] = {}
        self.hold: asyncio.Event | None = None

    async def send(
        self, topic: str, value: bytes, key: bytes | None, partition: int | None
    ) -> asyncio.Future[None]:
        if self.hold is not None:
            hold, self.hold = self.hold, None
            await hold.wait()
        if topic == "observations":
            self.sent.setdefault(partition, []).append(decode(value))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


@pytest.fixture
def step(tmp_path: Path) -> Ingest:
    made = Ingest(Settings(state_dir=tmp_path, partitions=1), SimpleNamespace(consumer=FakeConsumer()))  # type: ignore[arg-type]
    made._lives = {
        name: TopicLife("s", 1) for name in ("traces", "feedback", "changes", "scores", "observations")
    }
    made.out.producer = FakeProducer()
    return made


@dataclass(frozen=True)
class FakeMessage:
    tp: TP
    offset: int
    timestamp: float
    value: bytes

    @property
    def topic(self) -> str:
        return self.tp.topic

    @property
    def partition(self) -> int:
        return self.tp.partition


def event(offset: int, time: int, tp: TP = TRACES) -> Any:
    value = json.dumps({"trace_id": f"t{offset}", "timestamp": time}).encode()
    return SimpleNamespace(message=FakeMessage(tp, offset, time / 1000, value))


def entry(entries: Iterable[SourceProgress], topic: str = "traces") -> SourceProgress:
    return next(entry for entry in entries if entry.source.topic == topic)


async def test_a_report_never_overtakes_the_rows_it_speaks_of(step: Ingest) -> None:
    """The report once a second comes while a flush waits for its turn to send: it speaks of what was sent."""
    out: Any = step.out.producer
    out.hold = hold = asyncio.Event()
    flush = asyncio.create_task(step.flush([event(0, T), event(1, T + 5_000)]))
    await asyncio.sleep(0)
    await step.out.send(step._reports(await step._look(0.0)))
    hold.set()
    await flush
    await step.out.send(step._reports(await step._look(0.0)))
    early, rows, own, after = out.sent[0]
    assert isinstance(rows, ObservationBatch)
    assert [row[0] for row in rows.rows] == [T, T + 5_000]
    assert entry(early.sources).max_time is None
    assert [(e.max_time, e.at_end, e.offset) for e in own.sources] == [(T + 5_000, False, 2)]
    assert entry(after.sources).max_time == T + 5_000


async def test_the_newest_time_never_falls(step: Ingest) -> None:
    out: Any = step.out.producer
    await step.flush([event(0, T + 5_000)])
    await step.flush([event(1, T)])
    reported = [m.sources[0].max_time for m in out.sent[0] if isinstance(m, Progress)]
    assert reported == [T + 5_000, T + 5_000]


async def at_end(step: Ingest, now: float, topic: str = "traces") -> bool:
    return entry(await step._look(now), topic).at_end


async def test_a_partition_is_at_its_end_after_two_seconds_there(step: Ingest) -> None:
    assert not await at_end(step, 100.0)
    assert not await at_end(step, 100.0 + END_SECONDS - 0.1)
    assert await at_end(step, 100.0 + END_SECONDS)
    consumer: Any = step.app.consumer
    consumer.ends[TRACES] = 11
    assert not await at_end(step, 200.0)
    assert await at_end(step, 200.0, "feedback")
    consumer.positions[TRACES] = 11
    assert not await at_end(step, 201.0)
    assert await at_end(step, 202.0)


async def test_what_is_fetched_and_not_flushed_is_not_at_its_end(step: Ingest) -> None:
    """In Faust's queue, with the agent, in the batcher: each of them holds the end back, for its own only."""
    consumer: Any = step.app.consumer
    waiting = event(9, T)
    stations: list[tuple[str, Any, Any]] = [
        ("queue", SimpleNamespace(_queue=[waiting]), SimpleNamespace(_queue=[])),
        ("unacked", {waiting.message}, set()),
    ]
    for name, held, free in stations:
        where = step if name == "queue" else consumer
        setattr(where, name, held)
        for now in (0.0, 50.0, 100.0):
            assert not await at_end(step, now), name
            assert await at_end(step, now, "feedback") == (now > 0)
        setattr(where, name, free)
        assert await at_end(step, 100.0 + END_SECONDS)
        step._moved.clear()
    step.batcher._buffer = [waiting]
    assert not await at_end(step, 0.0)
    assert not await at_end(step, 100.0)


async def test_events_that_come_while_it_looks_are_no_new_life_of_the_topic(
    step: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end was asked for; before the answer is used, later messages are read and flushed."""
    consumer: Any = step.app.consumer
    positions = consumer.position

    async def position(tp: TP) -> int | None:
        await step.flush([event(10, T)])
        consumer.positions[TRACES] = 11
        return await positions(tp)  # type: ignore[no-any-return]

    monkeypatch.setattr(consumer, "position", position)

    def ended(role: str, why: str) -> None:
        pytest.fail(why)

    monkeypatch.setattr(module, "give_up", ended)
    await step._look(0.0)


async def test_a_topic_that_ends_before_what_was_read_was_made_again(
    step: Ingest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await step.flush([event(10, T)])
    consumer: Any = step.app.consumer
    consumer.ends[TRACES] = consumer.positions[TRACES] = 3
    said: list[str] = []
    monkeypatch.setattr(module, "give_up", lambda role, why: said.append(why))
    await step._look(0.0)
    assert said
    assert "made again" in said[0]
