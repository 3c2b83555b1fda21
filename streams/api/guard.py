"""Who may ask, and how much at a time. Every answer says no more than it must."""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.api.keys import Caller, Keys

MOST_BYTES = 1 << 20
"""Of a request's body."""
MOST_AT_ONCE = 64
"""Requests that run; connections without one are none (``streams.api.patience``)."""
CALLER = "gleaner.caller"
HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class Guard:
    """Before the application: host, token, size, number. The application finds who asks in its scope, as
    ``CALLER``.

    Without any token only requests to ``hosts`` are answered: a web page whose name was made to point at this
    machine (DNS rebinding) is refused by the name that it asks for.
    """

    def __init__(self, app: ASGIApp, keys: Keys, hosts: Collection[str]) -> None:
        self.app, self.keys, self.hosts = app, keys, frozenset(hosts)
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        headers = Headers(scope=scope)
        caller = Caller(None) if self.keys.open else self.keys.caller(headers.get("authorization", ""))
        refused = self._refuse(caller, headers, scope["method"])
        if refused is None and self.running >= MOST_AT_ONCE:
            refused = _fault(503, f"{MOST_AT_ONCE} requests run already: ask again in a moment")
        answer = self.app if refused is None else refused
        self.running += refused is None
        try:
            await answer({**scope, CALLER: caller}, receive, send_with_headers)
        finally:
            self.running -= refused is None

    def _refuse(self, caller: Caller | None, headers: Headers, method: str) -> JSONResponse | None:
        if caller is None:
            return _fault(
                401,
                "this needs the header Authorization: Bearer TOKEN (GLEANER_API_TOKENS, GLEANER_API_TOKEN)",
            )
        if self.keys.open and _name(headers.get("host", "")) not in self.hosts:
            return _fault(403, "asked for under a name that is not this machine's: set GLEANER_API_TOKEN")
        if "transfer-encoding" in headers:  # it would count, and not the length beside it
            return _fault(411, "a body needs its Content-Length, and no Transfer-Encoding")
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            length = headers.get("content-length", "")
            if not (length.isascii() and length.isdecimal()):
                return _fault(411, "a body needs its Content-Length")
            if int(length) > MOST_BYTES:
                return _fault(413, f"a body has at most {MOST_BYTES:,} bytes")
        return None


def _name(host: str) -> str:
    """
    >>> _name("localhost:8780"), _name("[::1]:8780"), _name("evil.example")
    ('localhost', '::1', 'evil.example')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _fault(status: int, why: str) -> JSONResponse:
    extra = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": why}, status, extra)
