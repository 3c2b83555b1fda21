"""A worker that is told to stop while there is no Kafka ends all the same."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from streams.settings import EXIT_RESTART, Settings
from streams.up import embedded_broker
from tests.delivery.harness import PATIENCE, Deployment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("only", "status", "said"),
    [
        # Faust waits for the broker, and is not waited for.
        (None, EXIT_RESTART, "told to stop, and not at its end 2 s later"),
        ("rolling", 0, "rolling: stopped"),
    ],
)
async def test_a_stop_without_kafka_has_an_end(
    tmp_path: Path, only: str | None, status: int, said: str
) -> None:
    with embedded_broker(tmp_path / "broker") as environment:
        deployment = Deployment(
            environment["GLEANER_BROKERS"],
            tmp_path,
            embedded=True,
            partitions=Settings().partitions,
            stream_id=environment["GLEANER_STREAM_ID"],
            stop_seconds=2 if status else PATIENCE,
        )
        worker = deployment.start(only=only)
        try:
            await deployment.until(lambda: worker.text().count("opened at") == 4, "its partitions opened")
        except BaseException:
            deployment.end()
            raise
    # The broker has ended with the block.
    try:
        worker.signal(signal.SIGTERM)
        assert worker.wait() == status, worker.tail()
        assert said in worker.text()
    finally:
        deployment.end()
