"""Sends what a flush has made, and goes on after a topic has refused a record for its size.

An idempotent producer numbers what it sends. A refused record leaves a gap in the numbers of its partition,
and everything behind it is refused, too, until there is a new producer (aiokafka 0.14 makes none by itself).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError, OutOfOrderSequenceNumber

from schemas.topics import ROOM_BYTES, Topic
from streams.batches import producer
from streams.settings import Settings

log = logging.getLogger(__name__)

LEAST_BYTES = 64 * 1024
"""A topic that refuses even this is no topic of Gleaner's."""


class Message(NamedTuple):
    """``topic`` without the deployment's prefix; ``partition`` None lets the key decide."""

    topic: str
    partition: int | None
    key: str | None
    value: bytes


class TooLarge(Exception):
    """A topic has refused a record, and its ``limit`` is lower now: make the messages again and send them."""


def smaller(size: int) -> int:
    """What to try after a value of ``size`` was refused: a topic's limit is a power of two, most often.

    >>> [smaller(n) + ROOM_BYTES for n in (3_000_000, 2_000_000, 2**20 - ROOM_BYTES)] == [2**21, 2**20, 2**19]
    True
    """
    return (1 << (size + ROOM_BYTES - 1).bit_length() - 1) - ROOM_BYTES


class Sender:
    """A producer, and how large a value each topic takes: as the settings have it, until one is refused.

    A topic that existed before, or that somebody else has made, may take less than the settings ask for; to
    be told its limit takes a right that few grant, so it is found by trying. Whoever gets ``TooLarge`` makes
    smaller messages; sending again what had arrived must be harmless.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.producer: AIOKafkaProducer | None = None
        self._limits: dict[str, int] = {}
        self._renewing = asyncio.Lock()

    def limit(self, topic: Topic) -> int:
        """Bytes of a value that the topic takes, as far as is known."""
        return self._limits.get(topic.name, self.settings.message_bytes_of(topic) - ROOM_BYTES)

    async def start(self) -> None:
        made = producer(self.settings)
        await made.start()
        self.producer = made

    async def stop(self) -> None:
        if self.producer is not None:
            await self.producer.stop()

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns when the brokers have all of it. Raises ``TooLarge``, and ``KafkaError`` for all else.

        ``OutOfOrderSequenceNumber``: a record that was sent beside these was refused; they can be sent again.
        """
        async with self._renewing:
            out = self.producer
        assert out is not None, "start() comes first"
        prefix = self.settings.topic_prefix
        acks: list[asyncio.Future[object]] = []
        large: dict[int | None, asyncio.Future[object]] = {}
        try:
            for topic, partition, key, value in messages:
                if partition in large:
                    # Where it is refused, what is behind it must not arrive: sent again, it would pass for
                    # a repetition of what is behind it, and be dropped.
                    await large.pop(partition)
                ack = await out.send(prefix + topic, value, key and key.encode(), partition)
                acks.append(ack)
                if partition is not None and len(value) > LEAST_BYTES:
                    large[partition] = ack
            await asyncio.gather(*acks)
        except (MessageSizeTooLargeError, OutOfOrderSequenceNumber) as error:
            answers = await asyncio.gather(*acks, return_exceptions=True)
            await self._renew(out)
            if not any(answer is error for answer in answers):
                answers.append(error)  # the producer's own, of a message that it did not even send
            for message, answer in zip(messages, answers, strict=False):
                if isinstance(answer, MessageSizeTooLargeError) and self._lowered(message):
                    raise TooLarge(f"{message.topic} refuses {len(message.value)} bytes") from answer
            raise

    def _lowered(self, refused: Message) -> bool:
        """Whether a smaller message may help: not below the least, and not where it was asked for already."""
        size, name = len(refused.value), self.settings.topic_prefix + refused.topic
        lower = smaller(size)
        if not LEAST_BYTES <= lower < self._limits.get(refused.topic, size):
            return False
        self._limits[refused.topic] = lower
        log.error("%s refuses %d bytes: it gets at most %d; raise its max.message.bytes", name, size, lower)
        return True

    async def _renew(self, failed: AIOKafkaProducer) -> None:
        async with self._renewing:
            present = self.producer is failed  # else it has been done
            if present:
                await self.start()
                await failed.stop()
