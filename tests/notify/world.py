"""One process life of notify after another, over one file, one Slack and one clock that never sleeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka import ConsumerRecord
from pydantic import BaseModel

from benchmarks.alerts.crashes import CrashingOutbox, CrashingSink, Points
from schemas.acceptance import Acceptance
from schemas.calibration import Calibrations
from schemas.codec import encode
from schemas.incident import CasePreview, Incident
from schemas.signal import Signal
from sinks.delivery import Delivery
from sinks.memory import MemorySink
from sinks.outbox import Outbox
from sinks.slack.client import SlackSink
from sinks.slack.sandbox import CHANNEL, TOKEN, Sandbox
from streams.notify.reduce import Notify
from streams.settings import Settings


def record(value: BaseModel, offset: int = 0) -> ConsumerRecord:
    """``value`` as Kafka would hand it over."""
    if isinstance(value, Calibrations):
        return ConsumerRecord("calibrations", 0, offset, 0, 0, b"all", encode(value), None, 1, 1, ())
    topic = "case-previews" if isinstance(value, CasePreview) else "signals"
    topic = (
        topic if isinstance(value, Signal | CasePreview) or "type" in type(value).model_fields else "commands"
    )
    return ConsumerRecord(topic, 0, offset, 0, 0, b"k", encode(value), None, 1, 1, ())


def pending(outbox: Outbox) -> bool:
    query = "select 1 from incidents where json_extract(body, '$.state') = 'pending'"
    return outbox.db.execute(query).fetchone() is not None


@dataclass
class World:
    """What outlives a process: the file, Slack, the clock, the topic, and how far offsets were committed."""

    folder: Path
    slack: Sandbox
    batches: Sequence[Sequence[BaseModel]]
    now: int = 1_772_360_000_000
    committed: int = 0
    topic: list[Incident] = field(default_factory=list)
    accepted: list[Acceptance] = field(default_factory=list)
    """What the topic ``changes`` has been told, each time."""
    fallback: MemorySink = field(default_factory=MemorySink)

    def clock(self) -> float:
        return self.now / 1000

    async def live(self, points: Points) -> Delivery:
        """One life: absorb the batches that are left, deliver all that is owed; :class:`Crash` ends it."""
        settings = Settings(state_dir=self.folder, group_wait_seconds=1)
        CrashingOutbox.points = Points()
        outbox = CrashingOutbox.open(self.folder / "notify.sqlite")
        # A process ends here, not a machine: without syncing, the test is five times as fast.
        outbox.db.execute("pragma synchronous = off")
        CrashingOutbox.points = points

        async def publish(incidents: Sequence[Incident]) -> None:
            points.pass_by()
            self.topic += incidents
            points.pass_by()

        async def accept(acceptances: Sequence[Acceptance]) -> None:
            points.pass_by()
            self.accepted += acceptances
            points.pass_by()

        sink = CrashingSink(SlackSink(TOKEN, CHANNEL, self.slack.url, 2), points)
        delivery = Delivery(outbox, sink, self.fallback)
        notify = Notify(settings, outbox, publish, accept, lambda: self.now)
        try:
            await notify.publish_owed()
            delivery.recover(self.now)
            while self.committed < len(self.batches):
                await notify.handle([record(one) for one in self.batches[self.committed]])
                points.pass_by()
                self.committed += 1
                await self.drain(notify, delivery, 45)
            await self.drain(notify, delivery, 300)
            return delivery
        finally:
            outbox.close()

    async def drain(self, notify: Notify, delivery: Delivery, seconds: int) -> None:
        """Let time pass, a second at a time, until nothing is owed and nothing waits to be grouped."""
        for _ in range(seconds):
            await notify.tick()
            if not delivery.outbox.rows.open_count() and not pending(delivery.outbox):
                break
            await delivery.step(self.now)
            self.now += 1_000
