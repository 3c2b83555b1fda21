"""A Slack on the loopback: for tests, previews and the demo. It refuses what Slack refuses.

It checks token, content type, channel, text, blocks and threads as Slack does, keeps messages in
memory, notes every text that would have pinged somebody, and fails on request: see :class:`Fault`.
The buttons on its page work: a click goes to whoever has opened a Socket Mode connection, or, signed, to
``slack.clicks.interactivity``.
What it doesn't know: Slack's real total size limit, and how fast history shows a new message.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from sinks.slack.sandbox_channel import Channel, Posted, Refusal
from sinks.slack.sandbox_clicks import Clicks
from sinks.slack.sandbox_files import Files
from sinks.slack.sandbox_page import page

TOKEN = "xoxb-sandbox"  # noqa: S105 - opens nothing but this sandbox
CHANNEL = "C0GLEANER"
APP_TOKEN = "xapp-sandbox"  # noqa: S105
WRITES = ("chat.postMessage", "chat.update", "chat.postEphemeral", "files.completeUploadExternal")
NO_CHANNEL = (
    "auth.test",
    "apps.connections.open",
    "usergroups.users.list",
    "files.getUploadURLExternal",
    "files.info",
)
MAX_BODY = 1024 * 1024


@dataclass(frozen=True)
class Fault:
    """What happens to the next write (or read): one of

    ``ok`` · ``429:N`` (pause the channel for N seconds) · ``500`` (not taken) · ``500-accepted`` ·
    ``drop`` (not taken, connection cut) · ``drop-accepted`` (taken, connection cut) · ``slow:N``
    (taken, answered after N seconds) · ``error:NAME`` (``ok: false``).
    """

    kind: str
    argument: str = ""

    @classmethod
    def parse(cls, text: str) -> Fault:
        kind, _, argument = text.partition(":")
        if kind not in ("ok", "429", "500", "500-accepted", "drop", "drop-accepted", "slow", "error"):
            raise ValueError(f"{text}: no such fault")
        return cls(kind, argument)


class Sandbox:
    """``async with Sandbox() as slack``: then ``slack.url`` is a Web API and ``slack.page_url`` a page."""

    def __init__(
        self,
        *,
        token: str = TOKEN,
        channel: str = CHANNEL,
        port: int = 0,
        visible_after: float = 0.0,
        ready_after: float = 0.0,
        per_second: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.token, self.port, self.visible_after, self.clock = token, port, visible_after, clock
        self.files = Files(ready_after)
        self.channels = {channel: Channel(channel, ready=self.files.ready, per_second=per_second)}
        self.clicks = Clicks(lambda: self.clock())
        self.groups: dict[str, list[str]] = {}
        """User groups and their members."""
        self.write_faults: deque[Fault] = deque()
        self.read_faults: deque[Fault] = deque()
        self.upload_faults: deque[Fault] = deque()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.runner: web.AppRunner | None = None
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        """How a slow answer takes its seconds: on a virtual clock, by going on with it."""

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/", self._page)
        app.router.add_post("/click", self._click)
        app.router.add_post("/upload/{ticket}", self._upload)
        app.router.add_get("/files/{file}", self._file)
        app.router.add_get("/socket", self.clicks.connect)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        await self.clicks.close()
        if self.runner is not None:
            await self.runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def page_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def channel(self) -> Channel:
        """The channel that it began with."""
        return next(iter(self.channels.values()))

    def roots(self) -> list[Posted]:
        return self.channel.roots()

    def pings(self) -> list[str]:
        return [ping for channel in self.channels.values() for ping in channel.pings]

    def script(self, *faults: str) -> None:
        """The next writes go like this, one fault each; then everything is well again."""
        self.write_faults.extend(Fault.parse(one) for one in faults)

    def script_reads(self, *faults: str) -> None:
        self.read_faults.extend(Fault.parse(one) for one in faults)

    def script_uploads(self, *faults: str) -> None:
        """The next times that a file's bytes are sent: ``500``, ``drop``, ``drop-accepted`` or ``ok``."""
        self.upload_faults.extend(Fault.parse(one) for one in faults)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        """A file's bytes, at the URL that was given out for them."""
        fault = self.upload_faults.popleft() if self.upload_faults else Fault("ok")
        if fault.kind == "drop":
            return _cut(request)
        if fault.kind == "500":
            return web.Response(status=500)
        taken = self.files.receive(request.match_info["ticket"], await request.read())
        if fault.kind == "drop-accepted":
            return _cut(request)
        return web.Response(status=200 if taken else 400, text="OK" if taken else "no such upload")

    async def _file(self, request: web.Request) -> web.Response:
        file = self.files.files.get(request.match_info["file"])
        if file is None or not file.data:
            return web.Response(status=404)
        return web.Response(body=file.data, content_type="image/png")

    async def _page(self, request: web.Request) -> web.Response:
        del request
        policy = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self';"
            " frame-ancestors 'none'"
        )
        text = page(list(self.channels.values()), live=True)
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def _click(self, request: web.Request) -> web.Response:
        """A click on the page, by its form; only from the page itself."""
        if request.headers.get("Origin", self.page_url[:-1]) != self.page_url[:-1]:
            return web.Response(status=403)
        form = {key: str(value) for key, value in (await request.post()).items()}
        channel = self.channels.get(form.get("channel", ""))
        if channel is None:
            return web.Response(status=404)
        try:
            await self.clicks.click(
                channel, form.get("ts", ""), form.get("action_id", ""), form.get("value", "")
            )
        except (LookupError, StopIteration):
            return web.Response(status=404)
        raise web.HTTPSeeOther("/")

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        faults = self.write_faults if method in WRITES else self.read_faults
        fault = faults.popleft() if faults else Fault("ok")
        try:
            body = await self._read(request, method)
            self.calls.append((method, body))
            if fault.kind == "error":
                raise Refusal(fault.argument)
            if fault.kind == "drop":
                return _cut(request)
            if fault.kind == "500":
                return web.Response(status=500, text="oops")
            if method in NO_CHANNEL:
                return web.json_response({"ok": True} | self._workspace(method, body))
            channel = self._channel(body)
            if fault.kind == "429":
                channel.paused_until = self.clock() + float(fault.argument)
            if method in WRITES and (seconds := channel.throttle(self.clock())):
                wait = max(1, math.ceil(seconds))
                return web.json_response(
                    {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(wait)}
                )
            answer = self._answer(method, channel, body)
        except Refusal as refusal:
            details = {"errors": refusal.details, "response_metadata": {"messages": refusal.details}}
            return web.json_response({"ok": False, "error": refusal.error} | details)
        if fault.kind == "slow":
            await self.sleep(float(fault.argument))
        if fault.kind == "500-accepted":
            return web.Response(status=500, text="oops")
        if fault.kind == "drop-accepted":
            return _cut(request)
        return web.json_response({"ok": True} | answer)

    async def _read(self, request: web.Request, method: str) -> dict[str, Any]:
        token = APP_TOKEN if method == "apps.connections.open" else self.token
        if request.headers.get("Authorization") != f"Bearer {token}":
            raise Refusal("invalid_auth" if "Authorization" in request.headers else "not_authed")
        if request.method == "GET" or (request.query and not request.can_read_body):
            return dict(request.query)
        if request.content_type == "application/json":
            try:
                body = json.loads(await request.text())
            except ValueError:
                raise Refusal("invalid_json") from None
            if not isinstance(body, dict):
                raise Refusal("json_not_object")
            return body
        if method in WRITES or request.content_type != "application/x-www-form-urlencoded":
            raise Refusal("invalid_form_data")
        return {key: value for key, value in (await request.post()).items() if isinstance(value, str)}

    def _workspace(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        """The methods that concern no channel."""
        if method == "files.getUploadURLExternal":
            return self.files.begin(body, self.page_url)
        if method == "files.info":
            return self.files.info(body.get("file"), self.clock())
        if method == "apps.connections.open":
            return {"url": f"ws://127.0.0.1:{self.port}/socket?ticket={self.clicks.ticket()}"}
        if method == "auth.test":
            return {"user_id": "U0GLEANER", "team_id": "T0GLEANER"}
        group = str(body.get("usergroup"))
        if group not in self.groups:
            raise Refusal("no_such_subteam")
        return {"users": self.groups[group]}

    def _channel(self, body: dict[str, Any]) -> Channel:
        channel = self.channels.get(str(body.get("channel") or body.get("channel_id")))
        if channel is None:
            raise Refusal("channel_not_found")
        return channel

    def _answer(self, method: str, channel: Channel, body: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "chat.postMessage":
                posted = channel.post(body, self.clock(), self.visible_after)
                return {"channel": channel.id, "ts": posted.ts, "message": {"text": body.get("text", "")}}
            case "chat.postEphemeral":
                channel.whisper(body)
                return {"message_ts": f"{self.clock():.6f}"}
            case "chat.update":
                return {"channel": channel.id, "ts": channel.update(body, self.clock()).ts}
            case "files.completeUploadExternal":
                return self._share(channel, body)
            case "conversations.history" | "conversations.replies":
                return self._history(method, channel, body)
            case _:
                raise Refusal("unknown_method")

    def _share(self, channel: Channel, body: dict[str, Any]) -> dict[str, Any]:
        """An upload's files as a message of their own; each call makes one, as Slack's does."""
        try:
            listed = json.loads(str(body.get("files")))
        except ValueError:
            raise Refusal("invalid_arguments", ["files: no JSON"]) from None
        files = [{"id": one.id, "title": one.title} for one in self.files.complete(listed, self.clock())]
        said = {"text": str(body.get("initial_comment") or ""), "files": files}
        if body.get("thread_ts"):
            said["thread_ts"] = body["thread_ts"]
        channel.post(said, self.clock(), self.visible_after)
        return {"files": files}

    def _history(self, method: str, channel: Channel, body: dict[str, Any]) -> dict[str, Any]:
        thread = str(body.get("ts")) if method == "conversations.replies" else None
        if thread is not None and channel.at(thread) is None:
            raise Refusal("thread_not_found")
        metadata = str(body.get("include_all_metadata", "")).lower() in ("1", "true")
        found = channel.history(self.clock(), float(body.get("oldest") or 0), metadata, thread)
        start, limit = int(body.get("cursor") or 0), int(body.get("limit") or 100)
        more = start + limit < len(found)
        return {
            "messages": found[start : start + limit],
            "has_more": more,
            "response_metadata": {"next_cursor": str(start + limit) if more else ""},
        }


def _cut(request: web.Request) -> web.StreamResponse:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
