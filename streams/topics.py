"""Creates the topics of the table that are missing, and names each topic's life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code
from confluent_kafka import KafkaError as KafkaErrorCode
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from schemas.topics import TOPICS, Topic
from streams.security import client_security, librdkafka_security
from streams.settings import Settings

log = logging.getLogger(__name__)

UNSEEN = (KafkaErrorCode.TOPIC_AUTHORIZATION_FAILED, KafkaErrorCode.CLUSTER_AUTHORIZATION_FAILED)
"""What a broker answers to whom it does not show a topic's settings."""


def configuration(topic: Topic, settings: Settings) -> dict[str, str]:
    """The topic's broker-side settings. Min in-sync replicas is left to the cluster, whose policy it is."""
    largest = settings.message_bytes_of(topic)
    config = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(largest)}
    if topic.cleanup == "delete":
        config["retention.ms"] = str(topic.retention_ms)
    else:
        # State is read back as a whole at every assignment: keep its log short.
        config |= {"min.cleanable.dirty.ratio": "0.1", "segment.ms": "600000", "segment.bytes": "67108864"}
    return config


async def ensure_topics(settings: Settings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create the topics that are missing; returns their names. Existing ones are left as they are.

    It looks first: who may not create topics is refused those that exist, too. Does nothing on the embedded
    broker, which makes its topics when it starts. Raises the broker's error (authorisation, replication
    factor …) with the topic's name.
    """
    if settings.embedded:
        return []
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.brokers, **client_security(settings))
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [
            NewTopic(
                settings.topic(topic),
                settings.partitions_of(topic),
                settings.replication,
                topic_configs=configuration(topic, settings),
            )
            for topic in topics
            if settings.topic(topic) not in there
        ]
        if not missing:
            return []
        response = await admin.create_topics(missing)
        created = []
        for name, code, *rest in response.topic_errors:
            if code == 0:
                created.append(name)
            elif for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(f"topic {name}: {rest[0] if rest else ''}")
        return created
    finally:
        await admin.close()


async def try_topics(settings: Settings, topics: Iterable[Topic]) -> None:
    """Create the topics that are missing, for a reader that does not start without one of its own.

    Whoever may not create topics may still find them there: that is a warning.
    """
    try:
        made = await ensure_topics(settings, topics)
    except KafkaError as error:
        log.warning("no topic was made: %s", error)
    else:
        if made:
            log.info("made the topics %s", ", ".join(made))


class TopicLife(NamedTuple):
    """The present life of a topic: its stream id, and how many partitions it has."""

    stream: str
    partitions: int


async def topic_lives(settings: Settings, topics: Iterable[Topic]) -> dict[str, TopicLife]:
    """The present life of each topic, by its name without the prefix.

    Kafka gives every topic a uuid at its creation, so a topic that was deleted and made again is
    another stream although its offsets begin at 0 like the first one's. The embedded broker has no
    such ids: there each start is a new life, named by ``stream_id``. Raises aiokafka's ``KafkaError`` where
    a topic is missing, may not be described, or no broker answers.
    """
    wanted = list(topics)
    if settings.embedded:
        return {t.name: TopicLife(settings.stream_id, settings.partitions_of(t)) for t in wanted}

    def ask() -> dict[str, TopicLife]:
        security = librdkafka_security(settings)
        client = AdminClient({"bootstrap.servers": settings.brokers, "log_level": 4, **security})
        names = TopicCollection([settings.topic(topic) for topic in wanted])
        futures = client.describe_topics(names, request_timeout=30)
        lives = {}
        for topic in wanted:
            try:
                found = futures[settings.topic(topic)].result()
            except KafkaException as error:
                raise _as_aiokafka(error, settings.topic(topic)) from error
            # Base64 with the two signs that a file name can hold.
            stream = str(found.topic_id).replace("/", "_").replace("+", "-")
            lives[topic.name] = TopicLife(stream, len(found.partitions))
        return lives

    return await asyncio.to_thread(ask)


async def topic_configs(settings: Settings, topics: Iterable[Topic]) -> dict[str, dict[str, str]]:
    """What the broker says of each topic's settings, by the topic's name without the prefix.

    Topics whose settings Gleaner may not see (DESCRIBE_CONFIGS) are left out, and so are all of the embedded
    broker, which has none. Raises aiokafka's ``KafkaError`` where a topic is missing, or no broker answers.
    """
    wanted = list(topics)
    if settings.embedded or not wanted:
        return {}

    def ask() -> dict[str, dict[str, str]]:
        security = librdkafka_security(settings)
        client = AdminClient({"bootstrap.servers": settings.brokers, "log_level": 4, **security})
        resources = {t.name: ConfigResource(ConfigResource.Type.TOPIC, settings.topic(t)) for t in wanted}
        futures = client.describe_configs(list(resources.values()), request_timeout=30)
        found = {}
        for name, resource in resources.items():
            try:
                entries = futures[resource].result()
            except KafkaException as error:
                if error.args[0].code() in UNSEEN:
                    continue
                raise _as_aiokafka(error, resource.name) from error
            found[name] = {key: entry.value for key, entry in entries.items()}
        return found

    return await asyncio.to_thread(ask)


def _as_aiokafka(error: KafkaException, topic: str) -> KafkaError:
    """The other client's error as that of the client that everybody else uses: who asks knows one kind."""
    cause = error.args[0]
    # Codes below 0 are librdkafka's own: it got no answer of a broker.
    kind = for_code(cause.code()) if cause.code() > 0 else KafkaConnectionError
    return kind(f"topic {topic}: {cause.str()}")
