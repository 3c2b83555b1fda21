"""Without Kafka a worker that is told to stop ends all the same, and one that starts asks for a restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


@pytest.mark.parametrize("only", [[], ["--only", "rolling"]])
def test_a_start_without_kafka_asks_for_another(tmp_path: Path, only: list[str]) -> None:
    """As of every role: a supervisor, and `gleaner up`, start again what ends with this status."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GLEANER_")}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "streams.cli", "worker", *only],
        cwd=tmp_path,
        env=environment | {"GLEANER_BROKERS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == EXIT_RESTART, done.stderr
    assert "worker: its topics are not there: KafkaConnectionError" in done.stderr
    assert "Traceback" not in done.stderr
