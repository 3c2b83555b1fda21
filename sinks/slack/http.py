"""Clicks by HTTP: the endpoint for Slack's signed requests, where no app-level token is wanted."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from aiohttp import web
from slack_sdk.signature import Clock, SignatureVerifier

from sinks.slack.desk import Taken

log = logging.getLogger(__name__)

PATH = "/slack/interactions"
MAX_BODY = 512 * 1024


class HttpClicks:
    """Listens on ``address`` (``host:port``); what is not signed by Slack within five minutes gets a 401.

    The signature is an HMAC-SHA256 over the raw body and its time (v0, https://docs.slack.dev/authentication/
    verifying-requests-from-slack), compared in constant time. A request that is played back within the five
    minutes is a click that is known already. TLS is the business of the proxy before it.
    """

    def __init__(
        self,
        secret: str,
        address: str,
        take: Callable[[object], Awaitable[Taken]],
        clock: Callable[[], float],
    ) -> None:
        host, _, port = address.rpartition(":")
        self.host, self.port, self.take = host.strip("[]"), int(port), take
        self.verifier = SignatureVerifier(secret, _Clock(clock))
        self.runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}{PATH}"

    async def start(self) -> None:
        """Raises ``OSError`` where the address is taken."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_post(PATH, self._handle)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await web.TCPSite(self.runner, self.host, self.port).start()
        self.port = self.runner.addresses[0][1]
        log.info("Slack's clicks are taken at %s", self.url)

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._signed(body, request):
            log.warning("a request that Slack did not sign, or too long ago: refused")
            return web.Response(status=401)
        try:
            payload = json.loads(parse_qs(body.decode(), strict_parsing=True)["payload"][0])
        except (ValueError, KeyError):
            return web.Response(status=400)
        taken = await self.take(payload)
        # An empty 200 leaves the message as it is; anything else makes Slack warn whoever clicked.
        return web.Response(status=503 if taken is Taken.FAILED else 200)

    def _signed(self, body: bytes, request: web.Request) -> bool:
        try:
            return self.verifier.is_valid_request(body, dict(request.headers))
        except (ValueError, TypeError):
            # A time that is no number, or a signature outside ASCII.
            return False


class _Clock(Clock):
    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock

    def now(self) -> float:
        return self.clock()
