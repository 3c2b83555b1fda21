"""A process that ends at any point: before or after each transaction, each call, each publish."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from schemas.incident import Incident
from sinks.base import Found, Message, Outcome, Ref, Sink
from sinks.outbox import Outbox


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Points:
    """Numbers the places where a process may end; it ends at ``crash_at``."""

    crash_at: int | None = None
    passed: int = 0

    def pass_by(self) -> None:
        at, self.passed = self.passed, self.passed + 1
        if at == self.crash_at:
            self.crash_at = None
            raise Crash


class CrashingOutbox(Outbox):
    """Ends the process before or after any transaction."""

    points = Points()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.points.pass_by()
        with super().transaction():
            yield
        self.points.pass_by()


class CrashingSink:
    """Ends the process before or after any call: after it, the receiver has the message and we don't know."""

    def __init__(self, sink: Sink, points: Points) -> None:
        self.sink, self.points = sink, points
        self.name = sink.name

    def where(self, incident: Incident) -> str:
        return self.sink.where(incident)

    async def _between(self, call: Any) -> Any:
        try:
            self.points.pass_by()
        except Crash:
            call.close()
            raise
        answer = await call
        self.points.pass_by()
        return answer

    async def post(self, message: Message) -> Outcome:
        return cast(Outcome, await self._between(self.sink.post(message)))

    async def edit(self, message: Message, ref: Ref) -> Outcome:
        return cast(Outcome, await self._between(self.sink.edit(message, ref)))

    async def reply(self, message: Message, root: Ref) -> Outcome:
        return cast(Outcome, await self._between(self.sink.reply(message, root)))

    async def find(self, outbox_id: str, since: int, root: Ref | None, channel: str = "") -> Found:
        return await self.sink.find(outbox_id, since, root, channel)

    async def close(self) -> None:
        await self.sink.close()
