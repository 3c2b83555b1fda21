"""One contract for both stores of the rolling state: state, position and outputs, fenced."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from schemas.topics import SIGNALS
from streams.lag import lag
from streams.settings import Settings
from streams.state.base import Fenced, Opened, Output, StateStore
from streams.state.kafka import PART_BYTES, KafkaState
from streams.state.sqlite import SqliteState
from streams.topics import ensure_topics
from tests.delivery.harness import read_topic


class Bench(Protocol):
    """Makes stores of one state, breaks them on purpose, and sees what has come out."""

    made: list[StateStore]

    def store(self, partition: int = 0) -> StateStore: ...
    def break_before_the_end(self, store: StateStore) -> None:
        """The next commit fails when everything is sent and nothing is decided."""
        ...

    def outputs(self) -> list[bytes]: ...


class Broken(Exception):
    """What a crash is to the rest of this test."""


class Sqlite:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sent: list[bytes] = []
        self.made: list[StateStore] = []

    async def send(self, outputs: Sequence[Output]) -> None:
        self.sent += [output.value for output in outputs]

    def store(self, partition: int = 0) -> StateStore:
        self.made.append(SqliteState(self.directory / f"{partition}.sqlite", self.send))
        return self.made[-1]

    def break_before_the_end(self, store: StateStore) -> None:
        def broken(position: int, changes: dict[str, bytes | None]) -> None:
            raise Broken

        assert isinstance(store, SqliteState)
        store._write = broken  # type: ignore[method-assign]

    def outputs(self) -> list[bytes]:
        return self.sent


class Kafka:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.made: list[StateStore] = []

    def store(self, partition: int = 0, stream: str = "s") -> StateStore:
        self.made.append(KafkaState(self.settings, partition, stream))
        return self.made[-1]

    def break_before_the_end(self, store: StateStore) -> None:
        async def broken() -> None:
            raise Broken

        assert isinstance(store, KafkaState)
        assert store._producer is not None
        store._producer.commit_transaction = broken

    def outputs(self) -> list[bytes]:
        return [value for message in read_topic(self.settings, SIGNALS) if (value := message.value())]


@pytest.fixture(params=["sqlite", pytest.param("kafka", marks=pytest.mark.kafka)])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Sqlite(tmp_path) if request.param == "sqlite" else Kafka(await on_kafka(request, tmp_path))
    yield bench
    for store in bench.made:
        await store.close()


async def on_kafka(request: pytest.FixtureRequest, directory: Path) -> Settings:
    settings = Settings(
        brokers=request.getfixturevalue("kafka"),
        topic_prefix=f"s-{uuid.uuid4().hex[:12]}.",
        state_dir=directory,
        partitions=2,
    )
    await ensure_topics(settings)
    return settings


def said(*values: str) -> list[Output]:
    return [Output(SIGNALS.name, "key", value.encode()) for value in values]


async def state_of(bench: Bench, partition: int = 0) -> Opened:
    """The state as the next owner finds it."""
    store = bench.store(partition)
    opened = await store.open()
    await store.close()
    return opened


async def test_a_new_state_is_empty(bench: Bench) -> None:
    assert await state_of(bench) == Opened(0, {})
    assert await state_of(bench) == Opened(0, {})


async def test_what_was_committed_is_found(bench: Bench) -> None:
    store = bench.store()
    await store.open()
    await store.commit(3, {"a": b"1", "b": b"2", 'segment:["ä","\\u0000"]': b""}, said("one"))
    await store.commit(5, {"b": b"22", "c": b"3"}, said("two", "three"))
    assert bench.outputs() == [b"one", b"two", b"three"]
    await store.close()
    expected = {"a": b"1", "b": b"22", "c": b"3", 'segment:["ä","\\u0000"]': b""}
    assert await state_of(bench) == Opened(5, expected)


async def test_an_entry_that_was_deleted_is_gone(bench: Bench) -> None:
    store = bench.store()
    await store.open()
    await store.commit(1, {"a": b"1", "b": b"2"}, [])
    await store.commit(2, {"a": None, "never": None}, [])
    assert await state_of(bench) == Opened(2, {"b": b"2"})


async def test_a_position_is_committed_with_nothing_else(bench: Bench) -> None:
    store = bench.store()
    await store.open()
    await store.commit(7, {}, [])
    assert await state_of(bench) == Opened(7, {})


async def test_an_entry_may_be_of_any_size(bench: Bench) -> None:
    """Larger than a message of Kafka's; larger again, smaller, gone: no part of the past stays behind."""
    sizes = [PART_BYTES, 5 * PART_BYTES + 1, 3 * PART_BYTES, 10, 2 * PART_BYTES, None, PART_BYTES + 1]
    for position, size in enumerate(sizes, 1):
        store = bench.store()
        before = await store.open()
        value = None if size is None else bytes([position]) * size
        await store.commit(position, {"large": value, "small": b"x"}, [])
        await store.close()
        assert before.position == position - 1
        entries = (await state_of(bench)).entries
        assert entries == {"small": b"x"} | ({} if value is None else {"large": value})


async def test_partitions_have_states_of_their_own(bench: Bench) -> None:
    for partition in (0, 1):
        store = bench.store(partition)
        await store.open()
        await store.commit(10 + partition, {"a": b"%d" % partition}, [])
        await store.close()
    assert await state_of(bench, 0) == Opened(10, {"a": b"0"})
    assert await state_of(bench, 1) == Opened(11, {"a": b"1"})


@pytest.mark.parametrize("ahead", [True, False])
async def test_whoever_opens_it_fences_whoever_held_it(bench: Bench, ahead: bool) -> None:
    """Whether the new owner has gone on already, or has only just taken over."""
    zombie, owner = bench.store(), bench.store()
    await zombie.open()
    await zombie.commit(1, {"a": b"1"}, said("one"))
    assert (await owner.open()) == Opened(1, {"a": b"1"})
    if ahead:
        await owner.commit(2, {"a": b"2"}, said("two"))
    with pytest.raises(Fenced):
        await zombie.commit(9, {"a": b"9", "b": b"9"}, [])
    await owner.commit(3, {"c": b"3"}, [])
    await zombie.close()
    await owner.close()
    assert await state_of(bench) == Opened(3, {"a": b"2" if ahead else b"1", "c": b"3"})
    assert bench.outputs() == [b"one", b"two"][: 1 + ahead]


async def test_a_crash_in_the_middle_leaves_the_state_before_it(bench: Bench) -> None:
    store = bench.store()
    await store.open()
    await store.commit(1, {"a": b"1", "b": b"1"}, said("one"))
    bench.break_before_the_end(store)
    with pytest.raises(Broken):
        await store.commit(2, {"a": b"2", "b": None, "c": b"2"}, said("two"))
    again = bench.store()
    assert await again.open() == Opened(1, {"a": b"1", "b": b"1"})
    await again.commit(2, {"a": b"2", "b": None, "c": b"2"}, said("two"))
    await again.close()
    await store.close()
    assert await state_of(bench) == Opened(2, {"a": b"2", "c": b"2"})
    outputs = bench.outputs()
    if isinstance(bench, Kafka):
        assert outputs == [b"one", b"two"]
    else:
        assert outputs == [b"one", b"two", b"two"], "sent first: repeated, never lost"


@pytest.mark.kafka
async def test_the_group_shows_how_far_it_is(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """For lag alone: nobody starts from it."""
    settings = await on_kafka(request, tmp_path)
    bench = Kafka(settings)
    store = bench.store()
    await store.open()
    await store.commit(3, {}, said("one"))
    await store.close()
    await state_of(bench)  # whoever opens it next waits until the commit is through
    assert await lag(settings, "rolling") == {"observations": 0}
    assert await committed(settings) == [3, None]


@pytest.mark.kafka
async def test_a_position_in_an_ended_life_of_observations_is_none_in_this_one(
    request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """However far the new life has grown: what it holds below the old position has never been read."""
    bench = Kafka(await on_kafka(request, tmp_path))

    async def opened(stream: str, position: int | None = None) -> Opened:
        store = bench.store(stream=stream)
        found = await store.open()
        if position is not None:
            await store.commit(position, {"a": b"%d" % position}, [])
        await store.close()
        return found

    assert await opened("one", 100) == Opened(0, {})
    assert await opened("one") == Opened(100, {"a": b"100"})
    assert "another life" not in caplog.text
    assert await opened("two") == Opened(0, {"a": b"100"})
    assert "has reached 100 in another life" in caplog.text
    assert await opened("two", 7) == Opened(0, {"a": b"100"}), "nothing was committed in this life yet"
    caplog.clear()
    assert await opened("two") == Opened(7, {"a": b"7"})
    assert "another life" not in caplog.text


@pytest.mark.kafka
async def test_a_state_that_does_not_name_its_life_goes_on_from_its_position(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """As older ones; the next commit names it."""
    bench = Kafka(await on_kafka(request, tmp_path))
    older = bench.store(stream="one")
    await older.open()
    assert isinstance(older, KafkaState)
    older._known = "one"  # as if it were written already
    await older.commit(5, {}, [])
    await older.close()
    newer = bench.store(stream="one")
    assert (await newer.open()).position == 5
    await newer.commit(6, {}, [])
    await newer.close()
    other = bench.store(stream="two")
    assert (await other.open()).position == 0
    await other.close()


async def committed(settings: Settings) -> list[int | None]:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    reader = AIOKafkaConsumer(bootstrap_servers=settings.brokers, group_id=settings.group("rolling"))
    await reader.start()
    try:
        topic = f"{settings.topic_prefix}observations"
        return [await reader.committed(TopicPartition(topic, number)) for number in range(2)]
    finally:
        await reader.stop()


async def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    """SQLite: what fails half-way is rolled back, and the store goes on."""
    bench = Sqlite(tmp_path)
    store = bench.store()
    await store.open()
    with pytest.raises(Exception, match=r"."):
        await store.commit(1, {"a": b"1", "b": object()}, [])  # type: ignore[dict-item]
    await store.commit(1, {"c": b"1"}, [])
    await store.close()
    assert await state_of(bench) == Opened(1, {"c": b"1"})
