"""Large events, on topics made for them and on topics that take less: no record stops a flush."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from schemas.dead_letter import Refusal
from schemas.score import SCORE_RESULT, ScoreRequest, Unscored, UnscoredReason
from schemas.topics import SCORE_REQUESTS, SCORES, TOPICS
from streams.topics import ensure_topics
from tests.delivery.events import START, Event
from tests.delivery.harness import Deployment

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

MIB = 2**20
APP_BYTES = {"message.max.bytes": 8 * MIB}
ROUNDS = 12


@pytest.fixture
def plain(kafka: str, tmp_path: Path) -> Iterator[Deployment]:
    """Events may have 4 MiB; the test makes the topics."""
    made = Deployment(kafka, tmp_path, max_event_bytes=4 * MIB)
    yield made
    made.end()


def trace(trace_id: str, **fields: Any) -> Event:
    asked = {"question": "q", "answer": "a b c", "contexts": ["a"]}
    return Event("traces", START, {"trace_id": trace_id, "timestamp": START} | asked | fields)


def read_by(deployment: Deployment) -> dict[str, int]:
    """What rolling has counted, whatever of it came late."""
    counters = deployment.counters().get("default", {})
    return {name: counters.get(name, 0) for name in ("traces", "duplicates", "unscored")}


async def test_topics_follow_the_largest_event(plain: Deployment) -> None:
    await ensure_topics(plain.settings)
    admin = AdminClient({"bootstrap.servers": plain.settings.brokers})
    resources = [ConfigResource(ConfigResource.Type.TOPIC, plain.settings.topic(topic)) for topic in TOPICS]
    found = {
        resource.name: int(asked.result()["max.message.bytes"].value)
        for resource, asked in admin.describe_configs(resources).items()
    }
    assert set(found.values()) == {8 * MIB}
    plain.release()
    worker = plain.start()
    plain.publish([trace("big", contexts=["word " * 600_000], error="timeout")], **APP_BYTES)
    await plain.until(lambda: len(plain.cases()) == 1, "its case")
    worker.signal(15)
    assert worker.wait() == 0, worker.tail()
    (request,) = [ScoreRequest.model_validate_json(m.value() or b"") for m in plain.read(SCORE_REQUESTS)]
    assert len(request.contexts[0]) == 3_000_000
    (case,) = plain.cases()
    assert case.trace is not None
    assert len(case.trace["contexts"][0]) == 3_000_000
    assert "refuses" not in worker.text()


async def test_on_topics_that_take_less_nothing_is_held_up_or_lost(plain: Deployment) -> None:
    """Topics made for events of 1 MiB, and the setting raised to 4 MiB since: the broker refuses more."""
    await ensure_topics(plain.settings.model_copy(update={"max_event_bytes": MIB}))
    versions = {f"build-{n}": "v" * 200 for n in range(12_000)}  # an observation of 2.5 MB
    events: list[Event] = []
    for n in range(ROUNDS):
        events += [trace(f"small-{n}-{k}") for k in range(30)]
        events.append(trace(f"text-{n}", contexts=["word " * 600_000], error="timeout"))
        events += [trace(f"between-{n}-{k}") for k in range(30)]
        events.append(trace(f"versions-{n}", versions=versions))
    plain.publish(events, **APP_BYTES)
    plain.release()
    worker = plain.start()
    wanted = {"traces": 61 * ROUNDS, "duplicates": 0, "unscored": ROUNDS}
    await plain.until(
        lambda: (
            read_by(plain) == wanted
            and len(plain.dead_letters()) >= ROUNDS
            and len(plain.cases()) >= ROUNDS
            and len(plain.read(SCORE_REQUESTS)) >= 60 * ROUNDS
        ),
        f"{wanted}, but {read_by(plain)}",
    )
    worker.signal(15)
    assert worker.wait() == 0, worker.tail()
    assert read_by(plain) == wanted
    letters = {letter.original[:30]: letter for letter in plain.dead_letters()}
    assert len(letters) == ROUNDS
    assert {letter.reason for letter in letters.values()} == {Refusal.TOO_LARGE}
    asked = {ScoreRequest.model_validate_json(m.value() or b"").trace_id for m in plain.read(SCORE_REQUESTS)}
    assert asked == {event.key for event in events if event.key.startswith(("small", "between"))}
    results = [SCORE_RESULT.validate_json(message.value() or b"") for message in plain.read(SCORES)]
    assert {(one.trace_id, one.reason) for one in results if isinstance(one, Unscored)} == {
        (f"text-{n}", UnscoredReason.TOO_LARGE) for n in range(ROUNDS)
    }
    cases = {case.trace_id: case for case in plain.cases()}
    assert set(cases) == {f"text-{n}" for n in range(ROUNDS)}
    assert all(case.trace is None and "trace" in " ".join(case.missing) for case in cases.values())
    assert "raise its max.message.bytes" in worker.text()
