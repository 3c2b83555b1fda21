"""Workers come and go while the stream flows: by joining, by SIGTERM, by kill -9.

Each is on a machine of its own.
"""

from __future__ import annotations

import signal

import pytest

from tests.delivery.events import Event
from tests.delivery.harness import Deployment, Outcome, Worker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def test_join_leave_and_kill(deployment: Deployment, events: list[Event], replayed: Outcome) -> None:
    deployment.publish(events)

    def counted() -> int:
        return sum(sum(counters.values()) for counters in deployment.counters().values())

    async def goes_on(worker: Worker) -> None:
        """``worker`` owns a part of the rolling stage, and the stream flows."""
        await deployment.until(lambda: "opened at" in worker.text(), "a partition opened")
        before = counted()
        await deployment.until(lambda: counted() > before, "the stream flowing")

    def machine(name: str, dies: bool = False) -> Worker:
        """A worker that finds nothing on its disk: state and ledger come from Kafka."""
        return deployment.start(flush_size=4, state_dir=deployment.directory / name, dies=dies)

    first = machine("first")
    await goes_on(first)
    second = machine("second", dies=True)
    await goes_on(second)
    first.signal(signal.SIGTERM)
    assert first.wait() == 0, first.tail()
    third = machine("third")
    await goes_on(third)
    second.signal(signal.SIGKILL)
    assert second.wait() == -signal.SIGKILL
    assert deployment.counters() != replayed.counters, "all was done before the last one died"
    deployment.release()
    await deployment.finish(replayed)
