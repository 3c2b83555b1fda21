"""A record refused for its size: a lower limit for its topic, a new producer, and no endless try."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber

from schemas.topics import DEAD_LETTERS, OBSERVATIONS, ROOM_BYTES, SCORE_REQUESTS
from streams import sender as module
from streams.sender import LEAST_BYTES, Message, Sender, TooLarge, smaller
from streams.settings import Settings

KIB = 1024


class FakeProducer:
    """A topic of ``limit`` bytes, and an idempotent producer's numbers: after a gap nothing is taken."""

    def __init__(self, limit: int, own: int = 10**9) -> None:
        self.limit, self.own = limit, own
        self.taken: list[tuple[str, int | None, int]] = []
        self.gaps: set[int | None] = set()
        self.stopped = False

    async def start(self) -> None:
        self.gaps.clear()

    async def stop(self) -> None:
        self.stopped = True

    async def send(
        self, topic: str, value: bytes, key: bytes | None, partition: int | None
    ) -> asyncio.Future[None]:
        if len(value) > self.own:
            raise MessageSizeTooLargeError
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if partition in self.gaps:
            done.set_exception(OutOfOrderSequenceNumber())
        elif len(value) > self.limit:
            self.gaps.add(partition)
            done.set_exception(MessageSizeTooLargeError())
        else:
            self.taken.append((topic, partition, len(value)))
            done.set_result(None)
        return done


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> FakeProducer:
    made = FakeProducer(1024 * KIB)
    monkeypatch.setattr(module, "producer", lambda settings: made)
    return made


@pytest.fixture
async def out(tmp_path: Path, broker: FakeProducer) -> Sender:
    made = Sender(Settings(state_dir=tmp_path, topic_prefix="p."))
    await made.start()
    return made


def message(kib: int, topic: str = "observations", partition: int | None = 0) -> Message:
    return Message(topic, partition, "k", b"x" * (kib * KIB))


async def test_a_refusal_lowers_the_limit_of_its_topic_alone(out: Sender, broker: FakeProducer) -> None:
    usual = 2048 * KIB - ROOM_BYTES
    assert (out.limit(OBSERVATIONS), out.limit(SCORE_REQUESTS)) == (usual, usual)
    with pytest.raises(TooLarge):
        await out.send([message(1, "score-requests"), message(1500)])
    assert (out.limit(OBSERVATIONS), out.limit(SCORE_REQUESTS)) == (1024 * KIB - ROOM_BYTES, usual)
    await out.send([message(1000)])
    assert broker.taken[-1] == ("p.observations", 0, 1000 * KIB)


async def test_nothing_arrives_behind_a_large_message_that_is_refused(
    out: Sender, broker: FakeProducer
) -> None:
    """Not even where a new producer's first record left no number to compare with."""
    broker.gaps = set()
    with pytest.raises(TooLarge):
        await out.send([message(10), message(1500), message(20), message(30, partition=1)])
    assert [size // KIB for _, partition, size in broker.taken if partition == 0] == [10]


@pytest.mark.parametrize("own", [10**9, 1024 * KIB])
async def test_what_no_smaller_message_helps_is_the_error_it_is(
    out: Sender, broker: FakeProducer, own: int
) -> None:
    """The producer's own refusal, too; where nothing is made smaller it is asked once more, no oftener."""
    broker.own = own
    letters: Any = [message(1500, DEAD_LETTERS.name, None)]
    with pytest.raises(TooLarge):
        await out.send(letters)
    with pytest.raises(MessageSizeTooLargeError):
        await out.send(letters)
    broker.limit = broker.own = KIB
    with pytest.raises(MessageSizeTooLargeError):
        await out.send([message(LEAST_BYTES // KIB + 1), message(1500)])
    assert out.limit(OBSERVATIONS) == 2048 * KIB - ROOM_BYTES


async def test_who_sends_beside_a_refused_record_may_send_again(out: Sender, broker: FakeProducer) -> None:
    broker.gaps.add(0)
    with pytest.raises(OutOfOrderSequenceNumber):
        await out.send([message(1)])
    assert broker.stopped
    await out.send([message(1)])


def test_limits_are_found_in_a_few_tries() -> None:
    size, tries = 16 * 1024 * KIB, 0
    while size > LEAST_BYTES:
        assert smaller(size) < size
        size, tries = smaller(size), tries + 1
    assert tries <= 9
