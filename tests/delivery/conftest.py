"""A deployment per test: topics, groups, transactional ids and state of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from streams.settings import Settings
from streams.up import embedded_broker
from tests.delivery.events import Event, failing, traffic
from tests.delivery.harness import Deployment, Outcome, expected


@pytest.fixture
async def deployment(kafka: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    """On the real Kafka; whatever is left of its workers at the end of the test is killed."""
    made = await Deployment(kafka, tmp_path).create()
    yield made
    made.end()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Deployment]:
    """On the embedded broker, which has no transactions: the state is in SQLite."""
    with embedded_broker(tmp_path / "broker") as environment:
        deployment = Deployment(
            environment["GLEANER_BROKERS"],
            tmp_path,
            embedded=True,
            partitions=Settings().partitions,  # as the broker's process was started
            stream_id=environment["GLEANER_STREAM_ID"],
            session_timeout_ms=6_000,
        )
        yield deployment
        deployment.end()


@pytest.fixture(scope="session")
def events() -> list[Event]:
    return traffic()


@pytest.fixture(scope="session")
def replayed(events: list[Event], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What must come out; it holds something of everything, and no late event."""
    outcome = expected(events, tmp_path_factory.mktemp("replay"))
    assert {signal.rule for signal in outcome.alarms.values()} == {
        "faithfulness_drop",
        "escalation_spike",
        "cost_per_success_rise",
        "served_model_change",
    }
    assert not any("late" in counters for counters in outcome.counters.values())
    explained = {
        place for place, reasons in outcome.cases.items() if any(set(r) != {"high_cost"} for r in reasons)
    }
    assert explained == failing(events)
    assert sum(counters["traces"] for counters in outcome.counters.values()) == 1_200
    return outcome
