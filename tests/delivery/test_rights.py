"""A Kafka with access control, on which an administrator makes the topics: Gleaner may not, and runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from schemas.topics import CASES, SIGNALS, TOPICS
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.delivery.events import Event, failing
from tests.delivery.harness import Deployment
from tests.kafka.server import KafkaServer, free_ports

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

RIGHTS = {
    ResourceType.TOPIC: ("READ", "WRITE", "DESCRIBE"),
    ResourceType.GROUP: ("READ",),
    ResourceType.TRANSACTIONAL_ID: ("WRITE", "DESCRIBE"),
}
"""What the README says that Gleaner's user needs where the topics are made for it."""


@pytest.fixture(scope="module")
def guarded(kafka: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The administrator's address of a Kafka of its own, and the settings of a user with these rights.

    ``kafka`` is not used: it skips where there is none.
    """
    (port,) = free_ports(1)
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_gleaner="mirabelle";'
    properties: dict[str, object] = {
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_PLAINTEXT",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.secure.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": login,
    }
    with KafkaServer(properties=properties, listener=f"SECURE://127.0.0.1:{port}") as server:
        bindings = [
            AclBinding(
                kind,
                "*",
                ResourcePatternType.LITERAL,
                "User:gleaner",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for kind, operations in RIGHTS.items()
            for operation in operations
        ]
        admin = AdminClient({"bootstrap.servers": server.bootstrap})
        for done in admin.create_acls(bindings).values():
            done.result(30)
        yield (
            server.bootstrap,
            {
                "brokers": f"127.0.0.1:{port}",
                "broker_protocol": "SASL_PLAINTEXT",
                "broker_mechanism": "PLAIN",
                "broker_username": "gleaner",
                "broker_password": "mirabelle",
            },
        )


async def test_a_worker_runs_on_topics_that_it_may_not_make(
    guarded: tuple[str, dict[str, Any]], tmp_path: Path, events: list[Event]
) -> None:
    """Through ingest, a transaction of rolling, and harvest. Nobody dies: a slow machine is no takeover."""
    administrator, given = guarded
    deployment = await Deployment(administrator, tmp_path, flush_size=500).create()
    limited = Settings(**(deployment.values | given))  # type: ignore[arg-type]
    assert await ensure_topics(limited) == []
    deployment.least_session_ms = 45_000
    first = events[:40]
    traces = sum(event.topic == "traces" for event in first)
    harvested = failing(first)
    assert harvested
    try:
        deployment.release()
        deployment.publish(first)
        deployment.start(**given)
        await deployment.until(
            lambda: (
                sum(counts["traces"] for counts in deployment.counters().values()) == traces
                and {(case.app, case.trace_id) for case in deployment.cases()} >= harvested
            ),
            "all counted, and what failed harvested",
        )
    finally:
        deployment.end()


async def test_a_topic_that_is_missing_and_cannot_be_made_is_named(
    guarded: tuple[str, dict[str, Any]], tmp_path: Path
) -> None:
    administrator, given = guarded
    deployment = Deployment(administrator, tmp_path)
    await ensure_topics(deployment.settings, [topic for topic in TOPICS if topic is not CASES])
    limited = Settings(**(deployment.values | given))  # type: ignore[arg-type]
    assert await ensure_topics(limited, [SIGNALS]) == []
    with pytest.raises(TopicAuthorizationFailedError, match=f"topic {limited.topic(CASES)}"):
        await ensure_topics(limited)
