"""kill -9 anywhere: what comes out is what a replay of the same events concludes, no more and no less."""

from __future__ import annotations

import signal

import pytest

from tests.delivery.events import Event
from tests.delivery.harness import Deployment, Outcome

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

KILLED = -signal.SIGKILL

ORDER_OF_EFFECTS = (
    "ingest-before:4",
    "ingest-between-sends:4",
    "ingest-sent:4",
    "rolling-absorbed:3",
    "rolling-in-transaction:3",
    "rolling-committed:3",
    "harvest-sent:2",
)
"""Where a worker dies, and at which passage."""


async def test_a_worker_is_killed_in_mid_stream(
    deployment: Deployment, events: list[Event], replayed: Outcome
) -> None:
    deployment.publish(events)
    first = deployment.start(flush_size=5, dies=True)
    await deployment.until(lambda: bool(deployment.counters()), "any trace counted")
    first.signal(signal.SIGKILL)
    assert first.wait() == KILLED
    assert deployment.counters() != replayed.counters, "killed when all was done: nothing is tested"
    deployment.release()
    deployment.start()
    await deployment.finish(replayed)


async def test_a_worker_is_killed_between_any_two_effects(
    deployment: Deployment, events: list[Event], replayed: Outcome
) -> None:
    """One deployment after the other dies at every place in turn; what each leaves the next takes up."""
    deployment.publish(events)
    for place in ORDER_OF_EFFECTS:
        worker = deployment.start(fault=f"{place}:kill", flush_size=5)
        assert worker.wait() == KILLED, f"{place}: {worker.tail()}"
    assert deployment.counters() != replayed.counters, "all was done before the last one died"
    deployment.release()
    deployment.start()
    await deployment.finish(replayed)


async def test_a_worker_on_the_embedded_broker_is_killed_between_any_two_effects(
    embedded: Deployment, events: list[Event], replayed: Outcome
) -> None:
    embedded.publish(events)
    for fault in ("sqlite-sent:4:kill", "sqlite-committed:4:kill"):
        worker = embedded.start(fault=fault, flush_size=10)
        assert worker.wait() == KILLED, f"{fault}: {worker.tail()}"
    assert embedded.counters() != replayed.counters, "all was done before the last one died"
    embedded.release()
    embedded.start()
    await embedded.finish(replayed)
