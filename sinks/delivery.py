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
from schemas.incident import Incident
from sinks.base import Blind, Degradable, Message, Outcome, Rejected, Sink
from sinks.fallback import Chain
from sinks.fate import Next, Row, RowState, after_call, after_look
from sinks.hops import Hop, SinkHop
from sinks.numbers import clock
from sinks.outbox import Outbox
from sinks.outbox_rows import Posted
from sinks.pace import Pace

log = logging.getLogger(__name__)

FALLBACK_AFTER_MS = 120_000
"""A P1 or P2 that couldn't be delivered for this long goes down the fallback chain, too."""
CLOCK_SLACK_MS = 120_000
"""The receiver's clock may be behind ours by this much."""


class Delivery:
    """Drains ``outbox`` into ``sink``; what that won't take goes to ``hops``, and at last to ``fallback``."""

    def __init__(
        self,
        outbox: Outbox,
        sink: Sink,
        fallback: Sink,
        pace: Pace | None = None,
        *,
        hops: Sequence[Hop] = (),
        fallback_after_ms: int = FALLBACK_AFTER_MS,
    ) -> None:
        self.outbox, self.sink = outbox, sink
        self.chain = Chain(outbox, hops, SinkHop(fallback))
        self.fallback_after_ms = fallback_after_ms
        self.pace = pace or Pace()
        self.counts: Counter[str] = Counter()
        self.healthy = True

    def recover(self, now: int) -> None:
        """Before the first step after a start."""
        if found := self.outbox.rows.recover(now):
            log.info("%d messages were being sent when the last run ended; looking for them first", found)

    async def step(self, now: int) -> int:
        """Does what is due at ``now`` (epoch ms) as far as the receiver's pace allows; how many rows."""
        done = 0
        for listed in self.outbox.rows.due(now):
            row = self.outbox.rows.get(listed.id)
            incident = self.outbox.incident(listed.incident_id)
            if row is None or incident is None or row.state not in (RowState.PENDING, RowState.SENDING):
                continue
            if row.state is RowState.SENDING:
                await self._look(row, incident, now)
            elif not await self._send(row, incident, now):
                break
            done += 1
        for row in self.outbox.rows.overdue(now - self.fallback_after_ms):
            if incident := self.outbox.incident(row.incident_id):
                await self._fall_back(row, incident, now, "waited too long")
        await self.chain.follow(now)
        return done

    async def _send(self, row: Row, incident: Incident, now: int) -> bool:
        """False where the receiver must not be spoken to yet."""
        posted = self.outbox.rows.posted(row.incident_id)
        if row.kind is not EffectKind.POST and posted is None:
            await self._settle(
                row, after_call(row, Rejected("the first message was not delivered"), now), incident, now
            )
            return True
        if row.kind is EffectKind.EDIT and posted is not None and posted.revision >= incident.revision:
            await self._settle(row, Next(RowState.SENT, now, "already shown", attempted=False), incident, now)
            return True
        if not self.pace.take(now):
            return False
        if not self.outbox.rows.claim(row, now):
            return True
        outcome = await self._call(row, incident, posted)
        await self._settle(row, after_call(row, outcome, now), incident, now)
        return True

    async def _call(self, row: Row, incident: Incident, posted: Posted | None) -> Outcome:
        root_id = posted.root_id if posted and row.kind is EffectKind.EDIT else row.id
        detail = self._elsewhere(incident) if row.reason is NotifyReason.FELL_BACK else ""
        message = Message(root_id, row.kind, row.reason, incident, row.member, row.degrade, detail)
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

    async def _look(self, row: Row, incident: Incident, now: int) -> None:
        posted = self.outbox.rows.posted(row.incident_id)
        since = (row.first_sent_at or row.created_at) - CLOCK_SLACK_MS
        found = await self.sink.find(
            row.id, since, posted.ref if posted and row.kind is EffectKind.REPLY else None
        )
        if isinstance(found, Blind):
            log.warning("%s can't be searched (%s): a message may appear twice", self.sink.name, found.why)
        # What was found may show an older state than the incident's; the edit that follows is harmless.
        await self._settle(row, after_look(row, found, now), incident, now, shown=row.revision)

    async def _settle(
        self, row: Row, then: Next, incident: Incident, now: int, shown: int | None = None
    ) -> None:
        revision = incident.revision if shown is None else shown
        self.outbox.rows.settle(row, then, now, self.sink.name, revision)
        self.counts[f"{row.kind.value}_{then.state.value}"] += 1
        if then.pause_until:
            self.pace.pause(then.pause_until)
        level = logging.INFO if then.state is RowState.SENT else logging.WARNING
        log.log(
            level, "%s (%s) of incident %s revision %d: %s, %s",
            row.kind.value, row.reason.value, row.incident_id, revision, then.state.value, then.why,
        )  # fmt: skip
        if then.state is RowState.SENT:
            self.healthy = True
        elif then.state is RowState.DEAD and not then.lost_root:
            self.healthy = False
            if row.kind is not EffectKind.EDIT:
                await self._fall_back(row, incident, now, then.why)

    def _elsewhere(self, incident: Incident) -> str:
        told = self.chain.told(incident.id)
        return ", ".join(f"{one.hop} at {clock(one.at)}" for one in told) or "nowhere, all hops failed"

    async def _fall_back(self, row: Row, incident: Incident, now: int, why: str) -> None:
        if row.fell_back:
            return
        took = await self.chain.tell(row, incident, now)
        self.outbox.rows.fell_back(row)
        self.counts["fallback"] += 1
        what = (row.kind.value, row.incident_id)
        if took is None:
            log.error("%s of incident %s is only in `gleaner incidents`: nothing takes it", *what)
        else:
            log.error("%s of incident %s went to %s: %s", *what, took, why)
