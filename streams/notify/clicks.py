"""Clicks in Slack within notify: from the settings a way to take them, and the desk that does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaProducer

from schemas.codec import encode
from schemas.command import Command
from schemas.identity import derive
from schemas.topics import COMMANDS
from sinks.asked import SAYS
from sinks.outbox import Outbox
from sinks.slack.allowed import Allowed
from sinks.slack.buttons import Offer
from sinks.slack.client import SlackSink
from sinks.slack.desk import Answer, Desk
from sinks.slack.escape import prose
from sinks.slack.http import HttpClicks
from sinks.slack.socket import SocketClicks
from sinks.slack.storm import open_list
from sinks.standing import standing
from streams.settings import Settings
from streams.wall import now_ms

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


def answers_of(outbox: Outbox, commands: Sequence[Command]) -> Answer | None:
    """What became of a click's commands, together; None until all of them have been reduced."""
    if len(commands) == 1:
        return answer_of(outbox, commands[0])
    if not commands:
        return Answer(False, "Nothing to acknowledge: all that is told there is somebody's, or over")
    found = [outbox.verdict(command.id) for command in commands]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    says = Counter(SAYS.get(verdict, verdict) for verdict, _ in known)
    words = "; ".join(f"{number:,} {what}" for what, number in says.items())
    return Answer(any(done for _, done in known), prose(words, 600))


def each_of(outbox: Outbox, command: Command) -> list[Command]:
    """``command`` itself, or on a storm one for each that its digest shows as nobody's.

    Their ids follow from the click's and the incident's: a click that Slack delivers again after a restart
    asks for nothing anew.
    """
    if outbox.incident(command.incident_id) is not None or not outbox.storms.known(command.incident_id):
        return [command]
    storm_id = command.incident_id
    note = f"{command.note}, on all of storm {storm_id[:8]}"
    return [
        command.model_copy(
            update={"id": derive("click", command.id, incident_id), "incident_id": incident_id, "note": note}
        )
        for incident_id in outbox.storms.free(storm_id, command.time)
    ]


def listing_of(outbox: Outbox, storm_id: str, offer: Offer) -> str:
    """What is open of a storm, as text for Slack."""
    storm = outbox.storms.get(storm_id)
    return "Notify knows no such storm" if storm is None else open_list(storm, offer)


def desk_of(settings: Settings, outbox: Outbox, sender: AIOKafkaProducer, slack: SlackSink) -> Desk:
    topic = settings.topic(COMMANDS)

    async def publish(commands: Sequence[Command]) -> None:
        sent = [await sender.send(topic, encode(one), key=one.incident_id.encode()) for one in commands]
        await asyncio.gather(*sent)

    return Desk(
        slack,
        Allowed.parse(settings.slack_actors),
        publish,
        lambda commands: answers_of(outbox, commands),
        now_ms,
        lambda command: each_of(outbox, command),
        lambda storm_id: listing_of(outbox, storm_id, slack.offer),
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
