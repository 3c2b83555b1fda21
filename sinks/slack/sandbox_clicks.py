"""The fake Slack's other direction: clicks, by Socket Mode or by signed HTTP, as Slack delivers them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from sinks.slack.sandbox_channel import Channel

YOU = "U0YOU"
"""Who clicks on the page."""
ACK_SECONDS = 3.0
"""An interaction that is not acknowledged within this has failed, and Slack says so to whoever clicked."""
WARNING = "⚠ The app did not take this click."


class Clicks:
    """Connections of apps, and the clicks that go out to them.

    With ``interactivity`` (an address and a signing secret) clicks go there; otherwise to the newest
    connection. ``again`` delivers each click that many times more, in envelopes of their own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.interactivity: tuple[str, str] | None = None
        self.again = 0
        self.ack_seconds = ACK_SECONDS
        self.tickets: set[str] = set()
        self.sockets: list[web.WebSocketResponse] = []
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.numbers = itertools.count(1)
        self.opened = 0
        self.turned_away: list[str] = []
        """Why the next connections end before a greeting."""

    def ticket(self) -> str:
        """Opens one connection, once."""
        ticket = uuid.uuid4().hex
        self.tickets.add(ticket)
        return ticket

    async def connect(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if ticket not in self.tickets:
            return web.Response(status=403)
        self.tickets.remove(ticket)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.opened += 1
        self.sockets.append(socket)
        try:
            if self.turned_away:
                await socket.send_json({"type": "disconnect", "reason": self.turned_away.pop(0)})
                return socket
            await socket.send_json({"type": "hello", "num_connections": len(self.sockets)})
            async for frame in socket:
                envelope = json.loads(frame.data) if frame.type is aiohttp.WSMsgType.TEXT else {}
                waiting = self.waiting.get(envelope.get("envelope_id", ""))
                if waiting is not None and not waiting.done():
                    waiting.set_result(None)
        finally:
            self.sockets.remove(socket)
        return socket

    async def recycle(self) -> None:
        """Ends every connection as Slack does every few hours: told first, then closed."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})
            await socket.close()

    async def close(self) -> None:
        for socket in list(self.sockets):
            await socket.close()

    async def click(
        self, channel: Channel, ts: str, action_id: str, value: str = "", user: str = YOU
    ) -> bool:
        """``user`` clicks on a button or chooses ``value``; whether the app took it in time.

        Raises ``LookupError`` where the message shows no such thing. What is not taken leaves a warning, as
        Slack's little triangle does.
        """
        payload = self._payload(channel, ts, action_id, value, user)
        taken = [await self._deliver(payload) for _ in range(1 + self.again)]
        if not all(taken):
            channel.whispers.append((user, WARNING))
        return all(taken)

    def _payload(self, channel: Channel, ts: str, action_id: str, value: str, user: str) -> dict[str, Any]:
        shown = channel.at(ts)
        blocks = shown.body.get("blocks") or [] if shown else []
        found = [
            (block["block_id"], element)
            for block in blocks
            if block["type"] == "actions"
            for element in block["elements"]
            if element["action_id"] == action_id
        ]
        if shown is None or not found:
            raise LookupError(f"{action_id}: no such button at {ts}")
        block_id, element = found[0]
        action: dict[str, Any] = {
            "type": element["type"],
            "action_id": action_id,
            "block_id": block_id,
            # Grows with every click, whatever the clock says.
            "action_ts": f"{int(self.clock())}.{next(self.numbers):06d}",
        }
        if element["type"] == "static_select":
            action["selected_option"] = next(one for one in element["options"] if one["value"] == value)
        elif "value" in element:
            action["value"] = element["value"]
        return {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": "T0GLEANER"},
            "container": {"type": "message", "message_ts": ts, "channel_id": channel.id},
            "trigger_id": uuid.uuid4().hex,
            "channel": {"id": channel.id, "name": channel.name},
            "message": {"ts": ts, "text": shown.body.get("text", "")},
            "response_url": "https://hooks.slack.invalid/actions/none",
            "actions": [action],
        }

    async def _deliver(self, payload: dict[str, Any]) -> bool:
        if self.interactivity is not None:
            return await self._http(*self.interactivity, payload)
        if not self.sockets:
            return False
        envelope_id = str(uuid.uuid4())
        waiting = self.waiting[envelope_id] = asyncio.get_running_loop().create_future()
        envelope = {"type": "interactive", "envelope_id": envelope_id, "accepts_response_payload": False}
        try:
            await self.sockets[-1].send_json(envelope | {"payload": payload})
            async with asyncio.timeout(self.ack_seconds):
                await waiting
        except (TimeoutError, ConnectionError, aiohttp.ClientError):
            return False
        finally:
            del self.waiting[envelope_id]
        return True

    async def _http(self, url: str, secret: str, payload: dict[str, Any]) -> bool:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        headers = signed(secret, body, int(self.clock()))
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        timeout = aiohttp.ClientTimeout(total=self.ack_seconds)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=body, headers=headers) as answer,
            ):
                return answer.status == 200
        except (TimeoutError, aiohttp.ClientError):
            return False


def signed(secret: str, body: bytes, at: int) -> dict[str, str]:
    """The headers by which Slack signs ``body`` at ``at`` (epoch seconds): version 0 of its signature."""
    digest = hmac.new(secret.encode(), b"v0:%d:" % at + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={digest}"}
