"""kill -9 of the store's owner in the middle of commits, on a real Kafka: no case lost, none twice.

``GLEANER_KILLS`` says how often: 3 unless told, 50 in ``make accept-evalstore``.
"""

from __future__ import annotations

import os
import random
import uuid
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.case import EvalCase
from schemas.codec import encode
from schemas.topics import CASES, DEAD_LETTERS, INCIDENTS, SIGNALS
from sinks.evalstore import StoreOwner, totals
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.evalstore.dying_store import POINTS
from tests.evalstore.samples import make_case
from tests.evalstore.test_store_role import PATIENCE, produce, role, short_lived, until

KILLS = int(os.environ.get("GLEANER_KILLS", "3"))
CHUNK, AGAIN = 60, 15
LATEST = {"before": 0.0, "during": 0.008, "after": 0.0, "checkpoint": 0.04}
"""Seconds within which the end comes: about twice what the step takes."""


async def acknowledged(settings: Settings) -> set[str]:
    """Ids of the cases that Kafka will never deliver to this group again."""
    reader = AIOKafkaConsumer(
        bootstrap_servers=settings.brokers, group_id=settings.group("store"), enable_auto_commit=False
    )
    await reader.start()
    try:
        name = settings.topic(CASES)
        parts = [TopicPartition(name, part) for part in range(settings.partitions)]
        ends = {part: await reader.committed(part) or 0 for part in parts}
        reader.assign(parts)
        await reader.seek_to_beginning(*parts)
        found: set[str] = set()
        for part in parts:
            while await reader.position(part) < ends[part]:
                batches = await reader.getmany(part, timeout_ms=1000)
                for record in batches.get(part, []):
                    if record.offset < ends[part]:
                        found.add(EvalCase.model_validate_json(record.value or b"").case_id)
        return found
    finally:
        await reader.stop()


@pytest.mark.kafka
@pytest.mark.slow
async def test_killed_in_mid_commit_no_case_is_lost_and_none_is_there_twice(
    kafka: str, tmp_path: Path
) -> None:
    settings = Settings(
        brokers=kafka,
        topic_prefix=f"kills-{uuid.uuid4().hex[:8]}-",
        store_path=tmp_path / "store.duckdb",
        state_dir=tmp_path / "state",
    )
    await ensure_topics(settings, [CASES, SIGNALS, INCIDENTS, DEAD_LETTERS])
    rng = random.Random(17)
    sent = 0
    ahead = 0
    for number in range(KILLS):
        point = POINTS[number % len(POINTS)]
        # Each batch brings some cases that were sent before, too, as a producer's retry would.
        cases = [make_case(n) for n in range(max(0, sent - AGAIN), sent + CHUNK)]
        sent += CHUNK
        await produce(settings, [(CASES, encode(case)) for case in cases])
        process = short_lived(settings, f"{point}:{rng.uniform(0, LATEST[point])}")
        try:
            status = process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
        assert status == -9, f"kill {number} ({point}): the role ended with {status}"
        promised = await acknowledged(settings)
        with StoreOwner.open(settings.store_file()) as owner:
            query = """SELECT case_id, count(cluster_id)
                FROM cases LEFT JOIN case_clusters USING (case_id) GROUP BY case_id"""
            stored = dict(owner._con.execute(query).fetchall())
        assert promised <= stored.keys(), f"kill {number} ({point}): acknowledged cases are lost"
        assert set(stored.values()) <= {1}, f"kill {number} ({point}): half a transaction"
        ahead += len(stored.keys() - promised) > 0
    await produce(settings, [(CASES, encode(make_case(n))) for n in range(sent, sent + CHUNK)])
    sent += CHUNK
    process = role(settings)
    try:
        await until(settings, lambda found: found.cases >= sent)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
    assert ahead, "no kill fell between the store's commit and Kafka's: nothing was delivered again"
    with StoreOwner.open(settings.store_file()) as owner:
        found = totals(owner._con)
        assert (found.cases, found.case_events, found.own_faults) == (sent, sent, 0)
        ids = {str(row[0]) for row in owner._con.execute("SELECT case_id FROM cases").fetchall()}
        assert ids == {make_case(n).case_id for n in range(sent)}
        assert owner._con.execute("SELECT count(*) FROM case_clusters").fetchone() == (sent,)
    print(f"{KILLS} kills, {sent:,} cases: none lost, none twice; the store was ahead of Kafka {ahead} times")
