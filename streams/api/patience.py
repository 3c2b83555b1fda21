"""Connections that ask nothing: they are closed, and never stand in the way of those that ask."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""Until the head of a connection's first request is there; between two requests uvicorn counts five."""


class PatientProtocol(H11Protocol):
    """uvicorn's, which waits for a first request without an end."""

    head_seconds = HEAD_SECONDS
    _waiting: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting = self.loop.call_later(self.head_seconds, self._close_unasked)

    def connection_lost(self, exc: Any) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        super().connection_lost(exc)

    def _close_unasked(self) -> None:
        if cast(object, self.cycle) is None:  # uvicorn's own type says that there always is one
            self.transport.close()
