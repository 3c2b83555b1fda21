"""How far each role is behind, from the committed offsets of its group."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import (
    CALIBRATIONS,
    CASE_PREVIEWS,
    CASE_REQUESTS,
    CASES,
    CHANGES,
    COMMANDS,
    DEAD_LETTERS,
    FEEDBACK,
    INCIDENTS,
    OBSERVATIONS,
    SCORE_REQUESTS,
    SCORES,
    SIGNALS,
    TRACES,
    Topic,
)
from streams.batches import consumer
from streams.settings import Settings
from streams.topics import topic_lives

READS: dict[str, tuple[Topic, ...]] = {
    "worker": (TRACES, FEEDBACK, CHANGES, SCORES, CASE_REQUESTS),
    "rolling": (OBSERVATIONS,),
    "judge": (SCORE_REQUESTS,),
    "store": (CASES, SIGNALS, INCIDENTS, DEAD_LETTERS),
    "notify": (SIGNALS, COMMANDS, CASE_PREVIEWS, CHANGES, CALIBRATIONS),
}
"""The consumer group of each role, and what it reads. The worker comes before rolling: see ``settled``."""

MARKERS = 50
"""Offsets left in a partition up to which it is looked whether they are records or transaction markers."""
PAUSE_SECONDS = 0.3
"""Between two looks."""


class Look(NamedTuple):
    """How far the roles are behind, by role and topic, and where each topic ends (without ``observations``,
    to which ingest says every second how far it is)."""

    behind: dict[str, dict[str, int]]
    ends: dict[str, tuple[int, ...]]

    @property
    def left(self) -> int:
        return sum(sum(topics.values()) for topics in self.behind.values())


def settled(before: Look, now: Look) -> bool:
    """Whether nothing is on its way, by two looks, one after the other.

    One look asks the roles in turn, while a case goes from rolling back to the worker, and a score from the
    judge: what has moved from a role that is yet to be asked to one that has been is in neither figure. It
    has moved the end of a topic, though, which the next look sees.
    """
    return not before.left and not now.left and before.ends == now.ends


async def settle(look: Callable[[], Awaitable[Look]], seconds: float) -> tuple[Look | None, bool]:
    """Look again and again, for so many seconds at most: the newest look (None where not even one came to its
    end), and whether everything is settled."""
    newest: Look | None = None
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            while True:
                before, newest = newest, await look()
                if before is not None and settled(before, newest):
                    return newest, True
                await asyncio.sleep(PAUSE_SECONDS)
    except TimeoutError:
        if not limit.expired():
            raise
        return newest, False


async def look(settings: Settings) -> Look:
    """Ask all roles, in the order of ``READS``. Raises ``KafkaError``."""
    behind: dict[str, dict[str, int]] = {}
    ends: dict[str, tuple[int, ...]] = {}
    for role in READS:
        behind[role], reached = await _look(settings, role)
        ends |= reached
    ends.pop(OBSERVATIONS.name)
    return Look(behind, ends)


async def lag(settings: Settings, role: str) -> dict[str, int]:
    """Messages between the group's committed offset and the end, by topic (without the prefix).

    Counts messages, not events. Where a topic is written in transactions a large figure contains their
    markers; a small one is looked at, so that nothing is left when nothing is.
    """
    behind, _ = await _look(settings, role)
    return behind


async def _look(settings: Settings, role: str) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """What the role has left by topic, and the topics' ends."""
    reader = consumer(settings, role, fetch_max_wait_ms=20, auto_offset_reset="earliest")
    try:
        await reader.start()
        lives = await topic_lives(settings, READS[role])
        behind: dict[str, int] = {}
        reached: dict[str, tuple[int, ...]] = {}
        for topic in READS[role]:
            tps = [TopicPartition(settings.topic(topic), n) for n in range(lives[topic.name].partitions)]
            reader.assign(tps)
            ends = await reader.end_offsets(tps)
            starts = await reader.beginning_offsets(tps)
            total = 0
            for tp in tps:
                done = max(starts[tp], await reader.committed(tp) or 0)
                left = ends[tp] - done
                total += left if left > MARKERS else await _records(reader, topic, tp, done, ends[tp])
            behind[topic.name] = total
            reached[topic.name] = tuple(ends[tp] for tp in tps)
        return behind, reached
    finally:
        await reader.stop()


async def _records(reader: AIOKafkaConsumer, topic: Topic, tp: TopicPartition, start: int, end: int) -> int:
    """Records in [start, end), without transaction markers and aborted records, nor reports of progress,
    which have no key: there is always another one on its way."""
    if start >= end:
        return 0
    reader.assign([tp])
    reader.seek(tp, start)
    found = 0
    for _ in range(20):
        records = (await reader.getmany(tp, timeout_ms=50)).get(tp, [])
        found += len([record for record in records if topic is not OBSERVATIONS or record.key is not None])
        if await reader.position(tp) >= end:
            return found
    return end - start
