"""How far each role is behind, from the committed offsets of its group."""

from __future__ import annotations

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
"""The consumer group of each role, and what it reads."""

MARKERS = 50
"""Offsets left in a partition up to which it is looked whether they are records or transaction markers."""


async def lag(settings: Settings, role: str) -> dict[str, int]:
    """Messages between the group's committed offset and the end, by topic (without the prefix).

    Counts messages, not events. Where a topic is written in transactions a large figure contains their
    markers; a small one is looked at, so that nothing is left when nothing is.
    """
    reader = consumer(settings, role, fetch_max_wait_ms=20, auto_offset_reset="earliest")
    await reader.start()
    try:
        lives = await topic_lives(settings, READS[role])
        behind: dict[str, int] = {}
        for topic in READS[role]:
            tps = [TopicPartition(settings.topic(topic), n) for n in range(lives[topic.name].partitions)]
            reader.assign(tps)
            ends = await reader.end_offsets(tps)
            starts = await reader.beginning_offsets(tps)
            total = 0
            for tp in tps:
                reached = max(starts[tp], await reader.committed(tp) or 0)
                left = ends[tp] - reached
                total += left if left > MARKERS else await _records(reader, topic, tp, reached, ends[tp])
            behind[topic.name] = total
        return behind
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
