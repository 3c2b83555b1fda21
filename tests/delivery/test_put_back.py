"""``gleaner dlq replay`` on a real Kafka: what was refused comes back whole, at its own time."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from confluent_kafka import Producer

from schemas.topics import CHANGES, FEEDBACK, TRACES
from sinks.evalstore import Letter, LetterFilter, StoreOwner, letters
from streams.batches import consumer
from streams.put_back import put_all_back
from streams.settings import Settings
from streams.steps.ingest import IngestPolicy, Record, ingest
from streams.steps.prices import Prices
from streams.topics import ensure_topics, topic_lives

pytestmark = pytest.mark.kafka

LIMIT = 60_000
BEFORE = 1_772_323_200_000


async def read(settings: Settings, many: int) -> list[Record]:
    """So many messages of ``traces``, as ingest reads them."""
    stream = (await topic_lives(settings, [TRACES]))["traces"].stream
    reader = consumer(settings, "test", TRACES)
    await reader.start()
    found: list[Record] = []
    try:
        while len(found) < many:
            for tp, records in (await reader.getmany(timeout_ms=500)).items():
                found += [Record(stream, "traces", tp.partition, r.offset, BEFORE, r.value) for r in records]
    finally:
        await reader.stop()
    return found


def kept(tmp_path: Path, records: list[Record]) -> list[Letter]:
    dead = ingest(records, IngestPolicy(max_event_bytes=LIMIT), Prices()).dead_letters
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write(dead_letters=dead, now=BEFORE)
        return letters(owner._con, LetterFilter())


async def test_a_large_event_of_an_array_comes_back(kafka: str, tmp_path: Path) -> None:
    settings = Settings(brokers=kafka, topic_prefix=f"d-{uuid.uuid4().hex[:12]}.", partitions=1)
    await ensure_topics(settings, (TRACES, FEEDBACK, CHANGES))
    large = {"trace_id": "large", "answer": "é" * 50_000}
    out = Producer({"bootstrap.servers": kafka})
    for message in (json.dumps([{"trace_id": "a"}, large]), '{"trace_id": "b", "input_tokens": -1}'):
        out.produce(settings.topic_prefix + "traces", message.encode())
    assert out.flush(30) == 0
    found = kept(tmp_path, await read(settings, 2))
    assert {letter.reason for letter in found} == {"too_large", "invalid_field"}

    dry = await put_all_back(settings, found, dry=True)
    assert {letter.reason: stays is None for letter, stays in dry} == {
        "too_large": True,
        "invalid_field": False,
    }
    assert await put_all_back(settings, found, dry=False) == dry
    *_, back = await read(settings, 3)
    accepted = ingest([back], IngestPolicy(), Prices())
    assert (accepted.accepted, accepted.dead_letters) == (1, [])
    event = json.loads(back.value or b"")
    assert event == {**large, "timestamp": "2026-03-01T00:00:00Z"}
