"""Clicks in Slack within notify: from the settings a way to take them, and the desk that does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaProducer

from schemas.codec import encode
from schemas.command import Command
from schemas.topics import COMMANDS
from sinks.asked import SAYS
from sinks.outbox import Outbox
from sinks.slack.allowed import Allowed
from sinks.slack.client import SlackSink
from sinks.slack.desk import Answer, Desk
from sinks.slack.escape import prose
from sinks.slack.http import HttpClicks
from sinks.slack.socket import SocketClicks
from sinks.standing import standing
from streams.settings import Settings

log = logging.getLogger(__name__)


def answer_of(outbox: Outbox, command: Command) -> Answer | None:
    """What became of ``command``, and how the incident stands; None where it has not been reduced yet."""
    found = outbox.verdict(command.id)
    if found is None:
        return None
    verdict, done = found
    words = SAYS.get(verdict, verdict)
    incident = outbox.incident(command.incident_id)
    if incident is not None:
        words += f" ({standing(incident)})"
    return Answer(done, prose(words[:1].upper() + words[1:], 600))


def desk_of(settings: Settings, outbox: Outbox, sender: AIOKafkaProducer, slack: SlackSink) -> Desk:
    topic = settings.topic(COMMANDS)

    async def publish(command: Command) -> None:
        await sender.send_and_wait(topic, encode(command), key=command.incident_id.encode())

    return Desk(
        slack,
        Allowed.parse(settings.slack_actors),
        publish,
        lambda command: answer_of(outbox, command),
        lambda: time.time_ns() // 1_000_000,
    )


@contextlib.asynccontextmanager
async def listening(settings: Settings, desk: Desk | None) -> AsyncIterator[None]:
    """Takes clicks for ``desk`` in every way that the settings name, until the end of the block."""
    async with contextlib.AsyncExitStack() as stack:
        if desk is not None and (token := settings.slack_app_token.get_secret_value()):
            socket = SocketClicks(token, settings.slack_url, desk.take)
            running = asyncio.create_task(socket.run())
            stack.push_async_callback(_end, running)
        if desk is not None and settings.slack_http:
            secret = settings.slack_signing_secret.get_secret_value()
            http = HttpClicks(secret, settings.slack_http, desk.take, time.time)
            await http.start()
            stack.push_async_callback(http.stop)
        yield


async def _end(running: asyncio.Task[None]) -> None:
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
