"""The delivery of the outbox: ``pending → sending → sent | dead``, one message at a time.

Slack has no idempotency key, so "exactly once" is made here: a row is marked before the call, and a
row that may have arrived is looked for before it is sent again. All waiting is a due time in the row;
``step`` never sleeps, and takes the time as an argument.

What it can't promise: where the receiver doesn't let itself be asked (no history scope, the console),
a crash in the middle of a call may send a message twice.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from sinks.base import Blind, Degradable, Message, Outcome, Sink
from sinks.fallback import Chain
from sinks.fate import NO_CALL, Next, Row, RowState, after_call, after_look
from sinks.hops import Hop, SinkHop
from sinks.numbers import clock
from sinks.outbox import Outbox
from sinks.outbox_rows import Posted
from sinks.outbox_settle import settle
from sinks.pace import Paces
from sinks.storm import Storm

log = logging.getLogger(__name__)

FALLBACK_AFTER_MS = 120_000
"""A P1 or P2 that couldn't be delivered for this long goes down the fallback chain, too."""
CLOCK_SLACK_MS = 120_000
"""The receiver's clock may be behind ours by this much."""


Subject = tuple[Incident, Storm | None]
"""What a row is about: an incident, or a storm and the incident that speaks for it."""


class Delivery:
    """Drains ``outbox`` into ``sink``; what that won't take goes to ``hops``, and at last to ``fallback``."""

    def __init__(
        self,
        outbox: Outbox,
        sink: Sink,
        fallback: Sink,
        paces: Paces | None = None,
        *,
        hops: Sequence[Hop] = (),
        fallback_after_ms: int = FALLBACK_AFTER_MS,
    ) -> None:
        self.outbox, self.sink = outbox, sink
        self.chain = Chain(outbox, hops, SinkHop(fallback))
        self.fallback_after_ms = fallback_after_ms
        self.paces = paces or Paces()
        self.counts: Counter[str] = Counter()
        self.refusing: set[str] = set()
        """Channels whose latest answer was a refusal."""
        self.away: set[str] = set()
        """Channels that did not take what was last sent, whatever the reason, a pause excepted."""

    @property
    def healthy(self) -> bool:
        """Whether every channel takes messages, as far as is known."""
        return not self.refusing

    def recover(self, now: int) -> None:
        """Before the first step after a start."""
        if found := self.outbox.rows.recover(now):
            log.info("%d messages were being sent when the last run ended; looking for them first", found)

    async def step(self, now: int) -> int:
        """Does what is due at ``now`` (epoch ms) as far as the receiver's pace allows; how many rows."""
        self._gather(now)
        done = 0
        held: set[str] = set()
        """Channels that must not be spoken to yet: what else waits for them needn't be read."""
        for listed in self.outbox.rows.due(now):
            row = self.outbox.rows.get(listed.id)
            if row is None or row.state not in (RowState.PENDING, RowState.SENDING):
                continue
            posted = self.outbox.rows.posted(row.incident_id)
            channel = row.channel if row.kind is EffectKind.POST or posted is None else posted.ref.channel
            if row.state is RowState.PENDING and channel in held:
                continue
            subject = self.outbox.subject(row.incident_id)
            if subject is None:
                continue
            if row.state is RowState.SENDING:
                await self._look(row, subject, posted, now)
            elif not await self._send(row, subject, posted, channel, now):
                held.add(channel)
                continue
            done += 1
        for row in self.outbox.rows.overdue(now - self.fallback_after_ms):
            if subject := self.outbox.subject(row.incident_id):
                await self._fall_back(row, subject, now, "waited too long")
        await self.chain.follow(now)
        return done

    def _gather(self, now: int) -> None:
        """Gives first messages their channels, and gathers those that are too many for one."""
        rows, found = self.outbox.rows, {}
        for row in rows.unplaced(now):
            if subject := self.outbox.subject(row.incident_id):
                found[row.id] = self.sink.where(subject[0])
        if found:
            rows.place(found)
        for channel, waiting in rows.waiting().items():
            if channel in self.away:
                # What was told elsewhere one by one is not told there again in one.
                waiting = [row for row in waiting if not row.fell_back]
            if self.outbox.storms.gather(channel, waiting, now):
                self.counts["gathered"] += len(waiting)
                log.warning("%d incidents are told by one message in %s", len(waiting), channel)
        self.outbox.storms.tick(now, self.fallback_after_ms)

    async def _send(self, row: Row, subject: Subject, posted: Posted | None, channel: str, now: int) -> bool:
        """False where the channel must not be spoken to yet."""
        incident, _ = subject
        if row.kind is not EffectKind.POST and posted is None:
            lost = Next(RowState.DEAD, now, "the first message was not delivered")
            await self._settle(row, lost, subject, now)
            return True
        if row.kind is EffectKind.EDIT and posted is not None and posted.revision >= incident.revision:
            shown = Next(RowState.SENT, now, "already shown", attempted=False)
            await self._settle(row, shown, subject, now)
            return True
        if not self.paces.take(channel, now):
            return False
        if not self.outbox.rows.claim(row, now):
            return True
        outcome = await self._call(row, subject, posted)
        await self._settle(row, after_call(row, outcome, now), subject, now, channel=channel)
        return True

    async def _call(self, row: Row, subject: Subject, posted: Posted | None) -> Outcome:
        incident, storm = subject
        root_id = posted.root_id if posted and row.kind is EffectKind.EDIT else row.id
        detail = self._elsewhere(incident) if row.reason is NotifyReason.FELL_BACK else ""
        message = Message(
            root_id, row.kind, row.reason, incident, row.member, row.degrade, detail, row.channel, storm
        )
        try:
            if row.kind is EffectKind.POST or posted is None:
                return await self.sink.post(message)
            if row.kind is EffectKind.EDIT:
                return await self.sink.edit(message, posted.ref)
            return await self.sink.reply(message, posted.ref)
        except Exception as error:
            # A mistake of ours, most likely in rendering: a simpler message may pass, and no other waits.
            log.exception("%s of incident %s could not be made", row.kind.value, row.incident_id)
            return Degradable(type(error).__name__)

    async def _look(self, row: Row, subject: Subject, posted: Posted | None, now: int) -> None:
        since = (row.first_sent_at or row.created_at) - CLOCK_SLACK_MS
        found = await self.sink.find(
            row.id, since, posted.ref if posted and row.kind is EffectKind.REPLY else None, row.channel
        )
        if isinstance(found, Blind):
            log.warning("%s can't be searched (%s): a message may appear twice", self.sink.name, found.why)
        # What was found may show an older state than the incident's; the edit that follows is harmless.
        await self._settle(row, after_look(row, found, now), subject, now, shown=row.revision)

    async def _settle(
        self,
        row: Row,
        then: Next,
        subject: Subject,
        now: int,
        shown: int | None = None,
        channel: str = "",
    ) -> None:
        """``channel``: where it was called, if it was."""
        revision = subject[0].revision if shown is None else shown
        settle(self.outbox.rows, row, then, now, self.sink.name, revision)
        self.counts[f"{row.kind.value}_{then.state.value}"] += 1
        if then.pause_until:
            self.paces.pause(channel, then.pause_until)
        level = logging.INFO if then.state is RowState.SENT else logging.WARNING
        log.log(
            level, "%s (%s) of incident %s revision %d: %s, %s",
            row.kind.value, row.reason.value, row.incident_id, revision, then.state.value, then.why,
        )  # fmt: skip
        if channel and not then.pause_until and not then.lost_root:
            self._note(channel, then, now)
        left = self.outbox.rows.get(row.id)
        dead = left is not None and left.state is RowState.DEAD
        # An edit or a first message that is lost is posted again; a reply only where its thread is.
        given_up = then.refused or (dead and (not then.lost_root or row.kind is EffectKind.REPLY))
        if given_up and row.kind is not EffectKind.EDIT:
            await self._fall_back(row, subject, now, then.why)

    def _note(self, channel: str, then: Next, now: int) -> None:
        """Whether ``channel`` takes messages; when it does again, what waits because it did not is due."""
        if then.state is not RowState.SENT:
            self.away.add(channel)
            if then.refused or then.state is RowState.DEAD:
                self.refusing.add(channel)
        elif channel in self.away:
            self.away.discard(channel)
            self.refusing.discard(channel)
            self.outbox.rows.retry(now)

    def _elsewhere(self, incident: Incident) -> str:
        told = self.chain.told(incident.id)
        return ", ".join(f"{one.hop} at {clock(one.at)}" for one in told) or "nowhere, all hops failed"

    async def _fall_back(self, row: Row, subject: Subject, now: int, why: str) -> None:
        incident, storm = subject
        ended = row.kind is EffectKind.REPLY and incident.state is IncidentState.RESOLVED
        if row.fell_back or row.reason in NO_CALL or ended:
            return
        took = await self.chain.tell(row, incident, now, storm)
        self.outbox.rows.fell_back(row)
        self.counts["fallback"] += 1
        what = (row.kind.value, row.incident_id)
        if took is None:
            log.error("%s of incident %s is only in `gleaner incidents`: nothing takes it", *what)
        else:
            log.error("%s of incident %s went to %s: %s", *what, took, why)
