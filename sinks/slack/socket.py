"""Clicks by Socket Mode: a websocket that Gleaner opens, so that nothing of it is reachable from outside."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from sinks.base import RetryAfter
from sinks.slack.desk import Taken
from sinks.slack.failures import outcome

log = logging.getLogger(__name__)
sdk_log = logging.getLogger(f"{__name__}.sdk")
# At DEBUG the SDK writes every answer down, and this one's holds the ticket.
sdk_log.setLevel(logging.INFO)

HEARTBEAT_SECONDS = 10.0
RETRY_SECONDS = (1.0, 2.0, 5.0, 15.0, 30.0)
RECYCLED = ("warning", "refresh_requested")
"""Why Slack ends a connection on purpose; there is another one at once."""
MAX_FRAME = 1024 * 1024


class SocketClicks:
    """Hands every interaction to ``take`` and acknowledges its envelope.

    A new address is asked for at every connection, since each can be used once (docs/decisions/0020 says why
    this is not the SDK's client). Between two connections Slack keeps nothing: a click then fails visibly.
    ``run`` ends only by being cancelled.
    """

    def __init__(self, app_token: str, url: str, take: Callable[[object], Awaitable[Taken]]) -> None:
        self.client = AsyncWebClient(
            token=app_token, base_url=url, timeout=10, retry_handlers=[], logger=sdk_log
        )
        self.take = take
        self.connected = asyncio.Event()
        self._asked_to_wait = 0.0
        """Seconds, of the last refusal."""
        self.taking: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        failures = 0
        try:
            while True:
                why = await self._once()
                failures = 0 if why == "" else failures + 1
                if failures:
                    wait = max(RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1], self._asked_to_wait)
                    log.warning("no clicks from Slack (%s): trying again in %.0f s", why, wait)
                    await asyncio.sleep(wait)
        finally:
            for task in self.taking:
                task.cancel()
            await asyncio.gather(*self.taking, return_exceptions=True)

    async def _once(self) -> str:
        """One connection until its end; why there was none, in a word that holds no secret."""
        # The address carries a ticket, and errors of aiohttp carry the address: only their type is told.
        self._asked_to_wait = 0.0
        try:
            answer = await self.client.apps_connections_open(app_token=str(self.client.token))
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(
                    str(answer["url"]), heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_FRAME
                ) as socket,
            ):
                return await self._listen(socket)
        except SlackApiError as error:
            refused = outcome(error)
            self._asked_to_wait = refused.seconds if isinstance(refused, RetryAfter) else 0.0
            data = getattr(error.response, "data", None)
            return str(data.get("error"))[:80] if isinstance(data, dict) else "refused"
        except (SlackClientError, aiohttp.ClientError, TimeoutError, OSError) as error:
            return type(error).__name__
        finally:
            self.connected.clear()

    async def _listen(self, socket: aiohttp.ClientWebSocketResponse) -> str:
        greeted = False
        async for frame in socket:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            envelope = _envelope(frame.data)
            match envelope.get("type"):
                case "hello":
                    greeted = True
                    self.connected.set()
                    log.info("Slack sends clicks by Socket Mode")
                case "disconnect":
                    reason = str(envelope.get("reason"))[:80]
                    return "" if greeted and reason in RECYCLED else reason
                case _ if isinstance(envelope.get("envelope_id"), str):
                    task = asyncio.create_task(self._handle(socket, envelope))
                    self.taking.add(task)
                    task.add_done_callback(self.taking.discard)
        return "" if greeted else "closed"

    async def _handle(self, socket: aiohttp.ClientWebSocketResponse, envelope: dict[str, object]) -> None:
        interactive = envelope.get("type") == "interactive"
        taken = await self.take(envelope.get("payload")) if interactive else Taken.NOTHING
        if taken is Taken.FAILED:
            return
        try:
            await socket.send_json({"envelope_id": envelope["envelope_id"]})
        except (ConnectionError, aiohttp.ClientError):
            # The command stands; Slack delivers the click again, and its id is known.
            log.info("a click was taken, and the connection ended before its acknowledgement")


def _envelope(data: str) -> dict[str, object]:
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}
