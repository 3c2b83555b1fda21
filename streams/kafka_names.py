"""What Kafka takes as the addresses of its brokers, and as the beginning of a topic's name."""

from __future__ import annotations

import re

from schemas.topics import TOPICS

NAME_LENGTH = 249
"""Characters of a topic's name, at most (org.apache.kafka.common.internals.Topic)."""
_LETTERS = re.compile(r"[A-Za-z0-9._-]*")
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/@\[\]]+)(:(\d{1,5}))?")


def checked_brokers(value: str) -> str:
    """Comma-separated ``host:port``; without a port it is 9092, as with every Kafka client.

    Raises ``ValueError`` with the address that is none.

    >>> checked_brokers("kafka-1:9093, [::1]:9092,kafka-3")
    'kafka-1:9093, [::1]:9092,kafka-3'
    >>> checked_brokers("kafka://kafka-1:9092")
    Traceback (most recent call last):
    ValueError: is host:port, comma-separated, without a scheme such as kafka://
    """
    for broker in value.split(","):
        if "://" in broker:
            raise ValueError("is host:port, comma-separated, without a scheme such as kafka://")
        found = _BROKER.fullmatch(broker.strip())
        if found is None or int(found[3] or 9092) not in range(1, 65_536):
            # What has an "@" may hold a password.
            which = f"{broker.strip()!r} is" if "@" not in broker else "one is"
            raise ValueError(f"is host:port, comma-separated, and {which} none")
    return value


def checked_prefix(value: str) -> str:
    """
    >>> checked_prefix("eu-1.")
    'eu-1.'
    >>> checked_prefix("a/b")
    Traceback (most recent call last):
    ValueError: goes before topics' names: letters of ASCII, digits, '.', '_' and '-'
    """
    if not _LETTERS.fullmatch(value):
        raise ValueError("goes before topics' names: letters of ASCII, digits, '.', '_' and '-'")
    room = NAME_LENGTH - max(len(topic.name) for topic in TOPICS)
    if len(value) > room:
        raise ValueError(f"goes before topics' names, of which Kafka takes {room} characters more")
    return value
