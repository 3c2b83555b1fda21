"""A worker whose state has no sound place says so and ends: it neither waits nor loses the state."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from schemas.topics import OBSERVATIONS, ROLLING_STATE
from streams.settings import EXIT_RESTART
from streams.topics import ensure_topics, topic_configs, topic_lives
from tests.delivery.harness import Deployment

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.mark.parametrize(
    ("partitions", "cleanup", "says"),
    [
        (1, "compact", "has 1 partitions and"),
        (2, "delete", "has cleanup.policy=delete, and must have compact: what is old would be lost"),
    ],
)
async def test_a_state_topic_that_others_made_wrongly_is_refused(
    kafka: str, tmp_path: Path, partitions: int, cleanup: str, says: str
) -> None:
    deployment = Deployment(kafka, tmp_path)
    settings = deployment.settings
    name = settings.topic(ROLLING_STATE)
    made = NewTopic(name, partitions, 1, config={"cleanup.policy": cleanup})
    admin = AdminClient({"bootstrap.servers": kafka})
    admin.create_topics([made])[name].result(30)
    assert name not in await ensure_topics(settings)
    assert (await topic_lives(settings, [ROLLING_STATE]))[ROLLING_STATE.name].partitions == partitions
    worker = deployment.start(only="rolling")
    try:
        assert worker.wait() == EXIT_RESTART, worker.tail()
        assert f"rolling: {name} {says}" in worker.text()
        assert "opened at" not in worker.text()
    finally:
        deployment.end()


async def test_the_settings_of_topics_are_told(kafka: str, tmp_path: Path) -> None:
    deployment = await Deployment(kafka, tmp_path).create()
    found = await topic_configs(deployment.settings, [OBSERVATIONS, ROLLING_STATE])
    assert {name: config["cleanup.policy"] for name, config in found.items()} == {
        "observations": "delete",
        "rolling-state": "compact",
    }
