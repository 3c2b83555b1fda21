"""The notify role: sole owner of incidents and of their delivery.

Signals, case previews and commands go through the pure reducer; incidents, the ids of what made them
and the messages they owe become true in one SQLite transaction; then the topic ``incidents`` is told,
then the offsets are committed. Delivery runs beside it and drains what is owed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence

from aiokafka import AIOKafkaProducer, ConsumerRecord

from detectors.incident import Board, Policy
from schemas.codec import encode
from schemas.command import Command
from schemas.effect import Effect
from schemas.incident import CasePreview, Incident, Note
from schemas.signal import SIGNAL_RECORD, Signal
from schemas.topics import CASE_PREVIEWS, COMMANDS, INCIDENTS, SIGNALS
from sinks.base import Sink
from sinks.console import ConsoleSink
from sinks.delivery import Delivery
from sinks.outbox import Batch, Outbox, Timing
from sinks.slack.client import SlackSink
from streams.batches import BatchLoop, consumer, producer
from streams.settings import Settings

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
STOP_SECONDS = 5.0
Event = Signal | CasePreview | Command
Publish = Callable[[Sequence[Incident]], Awaitable[None]]
Segment = tuple[str, str]


class Notify:
    """One batch at a time: decode, reduce, store, publish. ``counts`` by what became of each record."""

    def __init__(self, settings: Settings, outbox: Outbox, publish: Publish) -> None:
        self.settings, self.outbox, self.publish = settings, outbox, publish
        self.policy = policy_of(settings)
        self.counts: Counter[str] = Counter()

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        events = [event for record in records if (event := self._decode(record)) is not None]
        if events:
            self.outbox.commit(self._reduce(events), now_ms())
        await self.publish_owed()

    async def publish_owed(self) -> None:
        """Tells the topic every revision that it may not have: this batch's, and those a crash left over."""
        if owed := self.outbox.unpublished():
            await self.publish(owed)
            self.outbox.published(owed)

    def _decode(self, record: ConsumerRecord) -> Event | None:
        name = record.topic.removeprefix(self.settings.topic_prefix)
        try:
            value = record.value or b""
            if name == SIGNALS.name:
                signal = SIGNAL_RECORD.validate_json(value)
                if isinstance(signal, Signal):
                    return signal
                self.counts["not_an_alarm"] += 1
                return None
            return (CasePreview if name == CASE_PREVIEWS.name else Command).model_validate_json(value)
        except ValueError as error:
            # Only Gleaner writes these topics: a bug or a stranger, and no page may wait behind it.
            self.counts["undecodable"] += 1
            where = (record.topic, record.partition, record.offset)
            log.error("notify: %s can't be read (%s); skipped", where, type(error).__name__)
            return None

    def _reduce(self, events: Sequence[Event]) -> Batch:
        """What the events change. Boards are read from the file each time: it alone is true."""
        incidents: dict[str, Incident] = {}
        effects: list[Effect] = []
        boards = self._boards(events)
        for event in sorted(events, key=order):
            segment = self._segment(event)
            board = boards.get(segment) if segment else None
            if board is None:
                self.counts["unknown_incident"] += 1
                continue
            step = board.absorb(event)
            self.counts[step.verdict.value] += 1
            incidents |= {incident.id: incident for incident in step.incidents}
            effects += step.effects
            if step.effects:
                log.info("notify: %s: incident %s", step.verdict.value, step.effects[0].incident_id)
        signals = [event for event in events if isinstance(event, Signal)]
        kept = {note.signal_id: note for board in boards.values() for note in board.notes.values()}
        notes: list[Note] = [kept[signal.id] for signal in signals if signal.id in kept]
        return Batch(
            incidents=list(incidents.values()),
            effects=effects,
            notes=notes,
            previews=[event for event in events if isinstance(event, CasePreview)],
            absorbed=[event.id for event in events if not isinstance(event, CasePreview)],
        )

    def _boards(self, events: Iterable[Event]) -> dict[Segment, Board]:
        """The board of every app and environment that the events name, as far back as they can reach."""
        earliest: dict[Segment, int] = {}
        named: dict[Segment, list[Incident]] = {}
        ids = []
        for event in events:
            segment = self._segment(event)
            if segment is None:
                continue
            at = event.detected_at if isinstance(event, Signal) else event.time
            earliest[segment] = min(at, earliest.get(segment, at))
            if not isinstance(event, CasePreview):
                ids.append(event.id)
            if isinstance(event, Command) and (incident := self.outbox.incident(event.incident_id)):
                named.setdefault(segment, []).append(incident)
        seen = self.outbox.seen(ids)
        return {
            segment: Board(
                self.policy,
                [*self.outbox.open_incidents(*segment, at - self.policy.quiet_ms), *named.get(segment, ())],
                self.outbox.notes(*segment, at - self.policy.note_ms),
                self.outbox.previews(*segment),
                seen,
            )
            for segment, at in earliest.items()
        }

    def _segment(self, event: Event) -> Segment | None:
        if isinstance(event, Command):
            incident = self.outbox.incident(event.incident_id)
            return (incident.app, incident.environment) if incident else None
        return event.app, event.environment


def order(event: Event) -> tuple[int, int, int, str]:
    """Signals in the order of detection, notes before alarms; previews after them; commands last."""
    match event:
        case Signal():
            return (0, event.detected_at, int(event.pages), event.id)
        case CasePreview():
            return (1, event.time, 0, event.case_id)
        case Command():
            return (2, event.time, 0, event.id)


def policy_of(settings: Settings) -> Policy:
    """The grouping policy of these settings; replay and backtest take the same."""
    return Policy(
        window_ms=round(settings.incident_window_minutes * 60_000),
        quiet_ms=round(settings.incident_quiet_hours * 3_600_000),
    )


def sink_of(settings: Settings) -> Sink:
    """Slack where there is a token and a channel, else the console."""
    token = settings.slack_token.get_secret_value()
    if token and settings.slack_channel:
        return SlackSink(token, settings.slack_channel, settings.slack_url)
    missing = "GLEANER_SLACK_CHANNEL" if token else "GLEANER_SLACK_TOKEN"
    log.warning("notify: alerts go to the console: %s is not set", missing)
    return ConsoleSink()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def run(settings: Settings, stop: asyncio.Event | None = None, sink: Sink | None = None) -> None:
    """Own the incidents until ``stop``; raises ``InUse`` where another process owns them."""
    stop = stop or asyncio.Event()
    timing = Timing(group_wait_ms=round(settings.group_wait_seconds * 1000))
    outbox = Outbox.open(settings.state_dir / "notify.sqlite", timing)
    sink = sink or sink_of(settings)
    delivery = Delivery(outbox, sink, ConsoleSink())
    sender = producer(settings)
    try:
        await sender.start()
        notify = Notify(settings, outbox, _publisher(settings, sender))
        outbox.forget(now_ms())
        await notify.publish_owed()
        reader = consumer(settings, "notify", SIGNALS, CASE_PREVIEWS, COMMANDS)
        loop = BatchLoop("notify", settings, reader, notify.handle)
        delivery.recover(now_ms())
        delivering = asyncio.create_task(_deliver(delivery, stop))
        stopping = asyncio.create_task(_stop(stop, loop))
        try:
            await loop.run()
        finally:
            stop.set()
            await stopping
            # A call that is cut short here leaves its row "sending": the next start looks for it first.
            await asyncio.wait([delivering], timeout=STOP_SECONDS)
            delivering.cancel()
        await _drain(delivery)
    finally:
        await sender.stop()
        await sink.close()
        outbox.close()


def _publisher(settings: Settings, sender: AIOKafkaProducer) -> Publish:
    topic = settings.topic(INCIDENTS)

    async def publish(incidents: Sequence[Incident]) -> None:
        sent = [await sender.send(topic, encode(one), key=one.id.encode()) for one in incidents]
        await asyncio.gather(*sent)

    return publish


async def _deliver(delivery: Delivery, stop: asyncio.Event) -> None:
    """Delivery beside the batches: a slow Slack holds up no signal."""
    while not stop.is_set():
        try:
            await delivery.step(now_ms())
        except Exception:
            # Whatever it is, the rows are still owed; the next tick finds them.
            log.exception("notify: delivery failed, goes on")
            await _pause(stop, 2.0)
        await _pause(stop, TICK_SECONDS)


async def _drain(delivery: Delivery) -> None:
    """What is owed goes out before the end, as far as it can in some seconds; the rest stays in the file."""
    delivery.outbox.rows.hasten_all(now_ms())
    try:
        async with asyncio.timeout(STOP_SECONDS):
            while delivery.outbox.rows.due(now_ms()):
                await delivery.step(now_ms())
                await asyncio.sleep(TICK_SECONDS)
    except TimeoutError:
        log.warning("notify: %d messages are left for the next start", delivery.outbox.rows.open_count())


async def _stop(stop: asyncio.Event, loop: BatchLoop) -> None:
    await stop.wait()
    loop.stop()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        pass
