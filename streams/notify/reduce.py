"""A batch of records, or the passing of time, becomes incidents and the messages that they owe."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from aiokafka import ConsumerRecord

from detectors.incident import DONE, Board, Deploy, Event, Policy, Step, Verdict, accepted
from schemas.acceptance import Acceptance
from schemas.calibration import Calibrations
from schemas.command import Command
from schemas.incident import CasePreview, Incident
from schemas.signal import RollingReport, Signal, Standing, WindowStat
from sinks.batch import Asked, Batch
from sinks.outbox import Outbox
from streams.event_clock import EventClock
from streams.notify.boards import batch_of, board_of, units
from streams.notify.events import Undecodable, decode, order
from streams.settings import Settings
from streams.wall import now_ms

log = logging.getLogger(__name__)

Publish = Callable[[Sequence[Incident]], Awaitable[None]]
Accept = Callable[[Sequence[Acceptance]], Awaitable[None]]
Segment = tuple[str, str]
"""App and environment."""


class Notify:
    """One batch at a time: decode, reduce, store, publish. ``counts`` by what became of each record.

    ``publish`` tells the topic `incidents` of revisions, ``accept`` the topic `changes` of what people have
    accepted as normal. ``wall`` is the clock of people, in epoch ms.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        publish: Publish,
        accept: Accept,
        wall: Callable[[], int] = now_ms,
    ) -> None:
        self.settings, self.outbox = settings, outbox
        self.publish, self.accept, self.wall = publish, accept, wall
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
        """Tells the topics every revision and acceptance that they may not have: this batch's, and those
        that a crash left over."""
        if acceptances := self.outbox.acceptances():
            await self.accept(acceptances)
            self.outbox.told_acceptances(acceptances)
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
        acceptances: list[Acceptance] = []
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
                if step.verdict is Verdict.NOT_A_PROBLEM:
                    called = board.incidents[event.incident_id]
                    acceptances += accepted(called, event, self.clock.said(called.app, now))
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
            acceptances=acceptances,
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
