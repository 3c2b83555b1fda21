"""Where an alert goes when Slack doesn't take it: the hops of the fallback chain."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol
from urllib.parse import urlsplit

from sinks.base import Message, Outcome, Sink

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Stage(StrEnum):
    """What a hop is told of an incident: that it is there, that somebody has it, that it is over."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Hop(Protocol):
    """A receiver of last resort. Answers with an outcome and never raises for what the network does."""

    @property
    def name(self) -> str:
        """In the file, in the log and in the thread: ``pagerduty``."""
        ...

    @property
    def follows(self) -> bool:
        """Whether it keeps something open that has to be acknowledged and resolved."""
        ...

    async def tell(self, stage: Stage, message: Message) -> Outcome: ...

    async def close(self) -> None: ...


class SinkHop:
    """A sink of alerts as a hop: a second channel, the console. It is told the trigger alone."""

    follows = False

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    @property
    def name(self) -> str:
        return self.sink.name

    async def tell(self, stage: Stage, message: Message) -> Outcome:
        return await self.sink.post(message)

    async def close(self) -> None:
        await self.sink.close()


def checked_url(url: str) -> str:
    """``url`` if alerts may be sent to it: https, or http on this machine, and nobody's password in it.

    >>> checked_url("https://alerts.example/gleaner")
    'https://alerts.example/gleaner'
    >>> checked_url("http://alerts.example/")
    Traceback (most recent call last):
    ValueError: is an https address (http only to this machine), without user and password
    """
    parts = urlsplit(url)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    if not safe or not parts.hostname or "@" in parts.netloc:
        raise ValueError("is an https address (http only to this machine), without user and password")
    return url
