"""A sink that remembers: the double for tests and for runs that deliver nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from schemas.incident import Incident
from sinks.base import Absent, Delivered, Found, Message, Outcome, Ref


class MemorySink:
    """Keeps every message; answers with the ``outcomes`` it was given first, then delivers everything."""

    def __init__(self, outcomes: Iterable[Outcome] = ()) -> None:
        self.outcomes = deque(outcomes)
        self.known: dict[str, Ref] = {}
        """What an earlier life of the sink has taken, by outbox id."""
        self.posts: list[Message] = []
        self.edits: list[Message] = []
        self.replies: list[Message] = []

    @property
    def name(self) -> str:
        return "memory"

    def where(self, incident: Incident) -> str:
        return self.name

    async def post(self, message: Message) -> Outcome:
        return self._keep(self.posts, message)

    async def edit(self, message: Message, ref: Ref) -> Outcome:
        return self._keep(self.edits, message)

    async def reply(self, message: Message, root: Ref) -> Outcome:
        return self._keep(self.replies, message)

    async def find(self, outbox_id: str, since: int, root: Ref | None, channel: str = "") -> Found:
        kept = self.posts if root is None else self.replies
        if any(message.outbox_id == outbox_id for message in kept):
            return Delivered(Ref("memory", outbox_id))
        return Delivered(self.known[outbox_id]) if outbox_id in self.known else Absent()

    async def close(self) -> None:
        """Nothing to close."""

    def _keep(self, kept: list[Message], message: Message) -> Outcome:
        outcome = self.outcomes.popleft() if self.outcomes else Delivered(Ref("memory", message.outbox_id))
        if isinstance(outcome, Delivered):
            kept.append(message)
        return outcome
