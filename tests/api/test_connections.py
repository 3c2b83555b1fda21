"""Who connects and asks nothing, and how many may ask at the same time."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from streams.api import guard as module
from streams.api.guard import Guard
from streams.api.keys import Keys
from streams.api.patience import PatientProtocol
from tests.api.test_api import Client, client

__all__ = ["client"]


def test_connections_that_ask_nothing_keep_nobody_out_and_are_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PatientProtocol, "head_seconds", 0.5)
    with ExitStack() as idle:
        sockets = [
            idle.enter_context(socket.create_connection(("127.0.0.1", client.server.port), timeout=60))
            for _ in range(80)
        ]
        assert client.ask("/v1/totals").status == 200
        half, *others = sockets
        half.sendall(b"GET /v1/totals HTTP/1.1\r\nHost: ")
        assert [one.recv(1) for one in (half, *others)] == [b""] * 80, "closed by the server"
    assert client.ask("/v1/totals").status == 200


async def test_more_requests_than_may_run_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    waiting = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await waiting.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    guard = Guard(app, Keys(), ("localhost",))

    async def ask() -> tuple[int, Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
        await guard(scope, receive, send)
        return sent[0]["status"], json.loads(b"".join(one.get("body", b"") for one in sent))

    running = [asyncio.create_task(ask()) for _ in range(2)]
    await asyncio.sleep(0)
    assert await ask() == (503, {"error": "2 requests run already: ask again in a moment"})
    waiting.set()
    assert [status for status, _ in await asyncio.gather(*running)] == [200, 200]
    assert (await ask())[0] == 200
