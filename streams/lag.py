"""How far each role is behind, from the committed offsets of its group."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import (
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
from streams.settings import Settings
from streams.topics import topic_lives

READS: dict[str, tuple[Topic, ...]] = {
    "worker": (TRACES, FEEDBACK, CHANGES, SCORES, CASE_REQUESTS),
    "rolling": (OBSERVATIONS,),
    "judge": (SCORE_REQUESTS,),
    "store": (CASES, SIGNALS, INCIDENTS, DEAD_LETTERS),
    "notify": (SIGNALS, COMMANDS, CASE_PREVIEWS),
}
"""The consumer group of each role, and what it reads."""


async def lag(settings: Settings, role: str) -> dict[str, int]:
    """Messages between the group's committed offset and the end, by topic (without the prefix).

    Counts messages, not events; transaction markers count where a topic is written in transactions.
    """
    reader = AIOKafkaConsumer(
        bootstrap_servers=settings.brokers, group_id=settings.group(role), enable_auto_commit=False
    )
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
                committed = await reader.committed(tp)
                total += max(0, ends[tp] - max(starts[tp], committed or 0))
            behind[topic.name] = total
        return behind
    finally:
        await reader.stop()
