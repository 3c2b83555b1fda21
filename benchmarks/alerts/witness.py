"""Who was told of which incident first, and when: around a receiver, without changing what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.incident import Incident
from sinks.base import Delivered, Found, Message, Outcome, Ref, Sink
from sinks.hops import Hop, Stage


@dataclass
class Record:
    """Incident id to the time (epoch ms) at which somebody was first told of it."""

    clock: Callable[[], int]
    told: dict[str, int] = field(default_factory=dict)
    asked: dict[str, Message] = field(default_factory=dict)
    """By outbox id what was to be posted: it may be found by a later life."""

    def note(self, message: Message) -> None:
        for incident_id in named(message):
            self.told.setdefault(incident_id, self.clock())


def named(message: Message) -> list[str]:
    """The incidents that a message tells of: all of a storm."""
    if message.storm is None:
        return [message.incident.id]
    return [one.id for one in message.storm.incidents]


class Witness:
    """A sink that is watched. What was taken without an answer counts once it is found."""

    def __init__(self, sink: Sink, record: Record) -> None:
        self.sink, self.record = sink, record
        self.name = sink.name

    def where(self, incident: Incident) -> str:
        return self.sink.where(incident)

    async def post(self, message: Message) -> Outcome:
        self.record.asked[message.outbox_id] = message
        return self._seen(message, await self.sink.post(message))

    async def edit(self, message: Message, ref: Ref) -> Outcome:
        return self._seen(message, await self.sink.edit(message, ref))

    async def reply(self, message: Message, root: Ref) -> Outcome:
        return self._seen(message, await self.sink.reply(message, root))

    async def find(self, outbox_id: str, since: int, root: Ref | None, channel: str = "") -> Found:
        found = await self.sink.find(outbox_id, since, root, channel)
        if isinstance(found, Delivered) and outbox_id in self.record.asked:
            self.record.note(self.record.asked[outbox_id])
        return found

    async def close(self) -> None:
        await self.sink.close()

    def _seen(self, message: Message, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Delivered):
            self.record.note(message)
        return outcome


class WitnessHop:
    """A hop that is watched."""

    def __init__(self, hop: Hop, record: Record) -> None:
        self.hop, self.record = hop, record

    @property
    def name(self) -> str:
        return self.hop.name

    @property
    def follows(self) -> bool:
        return self.hop.follows

    async def tell(self, stage: Stage, message: Message) -> Outcome:
        outcome = await self.hop.tell(stage, message)
        if stage is Stage.TRIGGER and isinstance(outcome, Delivered):
            self.record.note(message)
        return outcome

    async def close(self) -> None:
        await self.hop.close()
