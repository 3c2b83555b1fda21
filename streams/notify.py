"""The notify role: sole owner of incidents and of their delivery.

Signals, case previews, announced changes and commands go through the pure reducer, and so does the passing
of time; incidents, the ids of what made them and the messages they owe become true in one SQLite
transaction; then the topic ``incidents`` is told, then the offsets are committed. Delivery runs beside it
and drains what is owed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from aiokafka import AIOKafkaProducer, ConsumerRecord

from detectors.incident import DONE, Board, Deploy, Event, Policy, Step, Verdict
from schemas.calibration import Calibrations
from schemas.codec import encode
from schemas.command import Command
from schemas.incident import CasePreview, Incident
from schemas.signal import RollingReport, Signal, Standing, WindowStat
from schemas.topics import INCIDENTS
from sinks.base import Sink
from sinks.batch import Asked, Batch
from sinks.console import ConsoleSink
from sinks.delivery import Delivery
from sinks.outbox import Outbox
from sinks.pace import Paces
from sinks.slack.buttons import Offer
from sinks.slack.charts import Charts
from sinks.slack.client import SlackSink
from sinks.slack.desk import Desk
from sinks.slack.routes import Routes, mentions
from sinks.slack.upload import Uploads
from sinks.storm import StormPolicy
from streams.batches import BatchLoop, consumer, producer
from streams.digests import DigestRun, poster_of
from streams.event_clock import EventClock
from streams.lag import READS
from streams.notify_alive import beating
from streams.notify_boards import batch_of, board_of, units
from streams.notify_clicks import desk_of, listening
from streams.notify_events import Undecodable, decode, order
from streams.notify_hops import hops_of
from streams.rules_file import load_rules
from streams.settings import Settings
from streams.topics import try_topics

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
STOP_SECONDS = 5.0
CHART_SECONDS = 0.5
"""Between two calls for charts, so that they take little of what Slack allows a channel."""
Publish = Callable[[Sequence[Incident]], Awaitable[None]]
Segment = tuple[str, str]
"""App and environment."""


class Notify:
    """One batch at a time: decode, reduce, store, publish. ``counts`` by what became of each record.

    ``wall`` is the clock of people, in epoch ms.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        publish: Publish,
        wall: Callable[[], int] | None = None,
    ) -> None:
        self.settings, self.outbox, self.publish = settings, outbox, publish
        self.wall = wall or (lambda: now_ms())
        self.policy = policy_of(settings)
        self.clock = EventClock(outbox.clocks())
        self.counts: Counter[str] = Counter()
        self.standings: list[Standing] = []
        self.calibrations: Calibrations | None = None
        """These two are of the batch that is being read: no events, kept as they are."""

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        now = self.wall()
        events = [event for record in records for event in self._decode(record, now)]
        clocks = self.clock.unstored()
        if events or clocks or self.standings or self.calibrations:
            self.outbox.commit(self._reduce(events, now, clocks), now)
            self.standings.clear()
            self.calibrations = None
        await self.publish_owed()

    async def tick(self) -> None:
        """Does what time alone has brought: ends of waits, snoozes and silences, escalations."""
        now = self.wall()
        segments = self.outbox.due(now, self.clock.all(now))
        if segments:
            boards = {one: board_of(self.outbox, self.policy, one, now) for one in sorted(segments)}
            self._commit_steps(boards, [self._due(board, one, now) for one, board in boards.items()], now)
        await self.publish_owed()

    def release(self) -> None:
        """Before a stop: what only waits for its fellows is told now."""
        now = self.wall()
        segments = sorted(self.outbox.unresolved())
        boards = {one: board_of(self.outbox, self.policy, one, now) for one in segments}
        self._commit_steps(boards, [board.release(now) for board in boards.values()], now)

    async def publish_owed(self) -> None:
        """Tells the topic every revision that it may not have: this batch's, and those a crash left over."""
        if owed := self.outbox.unpublished():
            await self.publish(owed)
            self.outbox.published(owed)

    def _decode(self, record: ConsumerRecord, now: int) -> list[Event]:
        name = record.topic.removeprefix(self.settings.topic_prefix)
        found: list[Event] = []
        try:
            for event in decode(record, name, self.settings.max_event_bytes):
                if isinstance(event, RollingReport):
                    self.clock.report(event, now)
                elif isinstance(event, Standing):
                    self.standings.append(event)
                elif isinstance(event, Calibrations):
                    self.calibrations = event
                else:
                    found.append(event)
        except Undecodable as error:
            # Only Gleaner writes these topics: a bug or a stranger, and no page may wait behind it.
            self.counts["undecodable"] += 1
            where = (record.topic, record.partition, record.offset)
            log.error("notify: %s can't be read (%s); skipped", where, error)
        return found

    def _reduce(
        self, events: Sequence[Event], now: int, clocks: Mapping[str, tuple[int, int]] | None = None
    ) -> Batch:
        """What the events change. Boards are read from the file each time: it alone is true."""
        placed = list(self._placed(events))
        boards = self._boards(placed, now)
        steps = [self._due(board, segment, now) for segment, board in boards.items()]
        asked: list[Asked] = []
        for event, segment in sorted(placed, key=lambda one: order(one[0])):
            board = boards.get(segment) if segment else _that_has(event, boards.values())
            if board is None:
                if isinstance(event, Command):
                    self.counts[Verdict.UNKNOWN_INCIDENT.value] += 1
                    asked.append(Asked(event, Verdict.UNKNOWN_INCIDENT.value, False))
                continue
            step = board.absorb(event, now)
            self.counts[step.verdict.value] += 1
            steps.append(step)
            if isinstance(event, Command) and step.verdict is not Verdict.DUPLICATE:
                log.info("notify: %s of %s: %s", event.verb.value, event.incident_id, step.verdict.value)
                asked.append(Asked(event, step.verdict.value, step.verdict in DONE))
            elif step.effects:
                log.info("notify: %s: incident %s", step.verdict.value, step.effects[0].incident_id)
        kept = {note.signal_id: note for board in boards.values() for note in board.notes.values()}
        return replace(
            batch_of(boards, steps, self._known(steps)),
            notes=[kept[one.id] for one in events if isinstance(one, Signal) and one.id in kept],
            previews=[one for one in events if isinstance(one, CasePreview)],
            absorbed=[one.id for one in events if not isinstance(one, CasePreview | WindowStat)],
            data=units(one for one in events if isinstance(one, WindowStat)),
            standings=tuple(self.standings),
            calibrations=self.calibrations,
            windows=[one for one in events if isinstance(one, WindowStat)],
            clocks=clocks or {},
            commands=asked,
        )

    def _due(self, board: Board, segment: Segment, now: int) -> Step:
        return board.due(now, self.clock.at(segment[0], now))

    def _commit_steps(self, boards: Mapping[Segment, Board], steps: Sequence[Step], now: int) -> None:
        for step in steps:
            for effect in step.effects:
                log.info("notify: %s: incident %s", effect.reason.value, effect.incident_id)
        self.outbox.commit(batch_of(boards, steps, self._known(steps)), now)

    def _known(self, steps: Sequence[Step]) -> Calibrations | None:
        """What reviewers say of scorers, where an incident has changed to tell it."""
        if not any(step.incidents for step in steps):
            return None
        return self.calibrations or self.outbox.calibrations()

    def _placed(self, events: Iterable[Event]) -> Iterator[tuple[Event, Segment | None]]:
        """Each event with the board that it belongs to; a window only where somebody waits for data."""
        waiting = self.outbox.without_data()
        for event in events:
            if isinstance(event, Command):
                incident = self.outbox.incident(event.incident_id)
                yield event, (incident.app, incident.environment) if incident else None
            elif isinstance(event, WindowStat):
                if (event.app, event.environment) in waiting:
                    yield event, (event.app, event.environment)
            elif isinstance(event, Deploy):
                for app, environment in sorted(self.outbox.unresolved()):
                    if app == event.app and event.environment in (None, environment):
                        yield event, (app, environment)
            else:
                yield event, (event.app, event.environment)

    def _boards(self, placed: Iterable[tuple[Event, Segment | None]], now: int) -> dict[Segment, Board]:
        """The board of every app and environment that the events name, as far back as they can reach."""
        found: dict[Segment, list[Event]] = {}
        for event, segment in placed:
            if segment is not None:
                found.setdefault(segment, []).append(event)
        return {
            segment: board_of(self.outbox, self.policy, segment, now, events)
            for segment, events in found.items()
        }


def _that_has(event: Event, boards: Iterable[Board]) -> Board | None:
    """The board of a command whose incident has been opened by the same batch."""
    if not isinstance(event, Command):
        return None
    return next((board for board in boards if event.incident_id in board.incidents), None)


def policy_of(settings: Settings) -> Policy:
    """The incidents' policy of these settings."""
    return Policy(
        window_ms=round(settings.incident_window_minutes * 60_000),
        quiet_ms=round(settings.incident_quiet_hours * 3_600_000),
        reopen_ms=round(settings.incident_reopen_hours * 3_600_000),
        group_wait_ms=round(settings.group_wait_seconds * 1000),
        # A window tells of its units when it has closed, and of the next ones a window later.
        stale_ms=max(Policy.stale_ms, 2 * settings.window_ms + settings.conversation_ms),
    )


def sink_of(settings: Settings) -> Sink:
    """Slack where there is a token and a channel, else the console."""
    token = settings.slack_token.get_secret_value()
    if token and settings.slack_channel:
        return SlackSink(
            token,
            settings.slack_channel,
            settings.slack_url,
            offer=Offer(settings.slack_clicks, settings.incident_url, settings.trace_url),
            routes=routes_of(settings),
        )
    missing = "GLEANER_SLACK_CHANNEL" if token else "GLEANER_SLACK_TOKEN"
    log.warning("notify: alerts go to the console: %s is not set", missing)
    return ConsoleSink()


def routes_of(settings: Settings) -> Routes:
    """The routes, and where one asks for them the owners of the rules file; raises ``RulesError``."""
    rules = load_rules(settings.rules) if any(route.owner != "*" for route in settings.routes) else ()
    return Routes(
        settings.slack_channel,
        mentions(settings.slack_oncall, settings.slack_oncall_next),
        settings.routes,
        {rule.name: rule.owner for rule in rules if rule.owner},
    )


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def run(settings: Settings, stop: asyncio.Event | None = None, sink: Sink | None = None) -> None:
    """Own the incidents until ``stop``; raises ``InUse`` where another process owns them."""
    stop = stop or asyncio.Event()
    outbox = Outbox.open(
        settings.state_dir / "notify.sqlite", storm=StormPolicy(own=settings.incident_messages_an_hour)
    )
    sink = sink or sink_of(settings)
    delivery = Delivery(
        outbox,
        sink,
        ConsoleSink(),
        hops=hops_of(settings),
        fallback_after_ms=round(settings.fallback_after_minutes * 60_000),
    )
    sender = producer(settings)
    charts = charts_of(settings, outbox, sink, delivery.paces)
    try:
        await sender.start()
        await try_topics(settings, (*READS["notify"], INCIDENTS))
        notify = Notify(settings, outbox, _publisher(settings, sender))
        desk = None
        if settings.slack_clicks and isinstance(sink, SlackSink):
            desk = desk_of(settings, outbox, sender, sink)
        outbox.forget(now_ms())
        await notify.publish_owed()
        reader = consumer(settings, "notify", *READS["notify"])
        loop = BatchLoop("notify", settings, reader, notify.handle, idle=notify.tick)
        delivery.recover(now_ms())
        delivering = asyncio.create_task(_deliver(delivery, stop))
        answering = asyncio.create_task(_answer(desk, stop))
        drawing = asyncio.create_task(_draw(charts, delivery, stop))
        digesting = asyncio.create_task(
            DigestRun(settings, outbox, poster_of(settings, sink), now_ms).run(stop)
        )
        living = asyncio.create_task(beating(settings, delivery, sink, stop))
        stopping = asyncio.create_task(_stop(stop, loop))
        try:
            async with listening(settings, desk):
                await loop.run()
        finally:
            stop.set()
            await stopping
            # A call that is cut short here leaves its row "sending": the next start looks for it first.
            beside = (delivering, answering, drawing, digesting, living)
            await asyncio.wait(beside, timeout=STOP_SECONDS)
            for task in beside:
                task.cancel()
        notify.release()
        await notify.publish_owed()
        await _drain(delivery)
    finally:
        await sender.stop()
        await sink.close()
        await delivery.chain.close()
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


async def _answer(desk: Desk | None, stop: asyncio.Event) -> None:
    """Words to people who clicked, beside the delivery: no page waits until Slack has taken them."""
    while desk is not None and not stop.is_set():
        try:
            await desk.answer()
        except Exception:
            log.exception("notify: a click was not answered, goes on")
            await _pause(stop, 2.0)
        await _pause(stop, TICK_SECONDS)


def charts_of(settings: Settings, outbox: Outbox, sink: Sink, paces: Paces | None = None) -> Charts | None:
    """What a sink for Slack shows of the signals' recent past; None for other sinks."""
    if not isinstance(sink, SlackSink):
        return None
    sink.charts = Charts(outbox, Uploads(sink.client) if settings.slack_charts else None, paces)
    return sink.charts


async def _draw(charts: Charts | None, delivery: Delivery, stop: asyncio.Event) -> None:
    """Charts beside the delivery, and after it: one step at a time, when nothing else is owed."""
    while not stop.is_set():
        try:
            if charts is not None and not delivery.outbox.rows.due(now_ms()):
                await charts.step(now_ms())
        except Exception:
            # As of the delivery: what is owed stands in the file.
            log.exception("notify: a chart failed, goes on")
            await _pause(stop, 30.0)
        await _pause(stop, CHART_SECONDS)


async def _drain(delivery: Delivery) -> None:
    """What is owed goes out before the end, as far as it can in some seconds; the rest stays in the file."""
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
