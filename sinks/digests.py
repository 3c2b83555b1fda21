"""Digests that are due: a row each, written before it is sent, so that each is posted once over restarts."""

from __future__ import annotations

import logging
from typing import Protocol

from schemas.digest import Digest, Period
from schemas.effect import EffectKind, NotifyReason
from sinks.base import Degrade, Found, Outcome
from sinks.fate import Row, RowState, after_call, after_look
from sinks.outbox import Outbox

log = logging.getLogger(__name__)

CLOCK_SLACK_MS = 120_000
SKIPPED = "skipped"
"""Of the time before digests were first asked for: none is sent for what nobody was waiting for."""


class Poster(Protocol):
    """Where digests are posted. No method raises for what the receiver or the network does."""

    async def post_digest(self, digest: Digest, *, text_only: bool) -> Outcome: ...

    async def find_digest(self, digest_id: str, since: int) -> Found:
        """The post of this digest, sent at or after ``since`` (epoch ms)."""
        ...


class Digests:
    """The rows of ``outbox``'s table of digests."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def known(self, period: Period, due: int) -> bool:
        """Whether this one is owed or settled. When a period is asked for first, all before it is."""
        db = self.outbox.db
        if db.execute("select 1 from digests where period = ? limit 1", (period.value,)).fetchone() is None:
            with self.outbox.transaction():
                db.execute(
                    "insert into digests (period, due, id, state, body) values (?, ?, '', ?, '')",
                    (period.value, due, SKIPPED),
                )
            return True
        row = db.execute(
            "select 1 from digests where period = ? and due >= ?", (period.value, due)
        ).fetchone()
        return row is not None

    def owe(self, digest: Digest) -> None:
        """What is posted is what was true when it was due, however late that is."""
        with self.outbox.transaction():
            self.outbox.db.execute(
                "insert or ignore into digests (period, due, id, state, body) values (?, ?, ?, 'pending', ?)",
                (digest.period.value, digest.end, digest.id, digest.model_dump_json()),
            )

    def recover(self, now: int) -> None:
        """At a start: what was being sent may have arrived, and is looked for first."""
        with self.outbox.transaction():
            self.outbox.db.execute(
                "update digests set looks = 0, not_before = ? where state = 'sending'", (now,)
            )

    async def step(self, poster: Poster, now: int) -> bool:
        """Sends, or looks for, the oldest digest that is due at ``now`` (epoch ms); whether there was one."""
        found = self.outbox.db.execute(
            "select * from digests where state in ('pending', 'sending') and not_before <= ?"
            " order by due, period limit 1",
            (now,),
        ).fetchone()
        if found is None:
            return False
        digest = Digest.model_validate_json(found["body"])
        row = Row(
            id=found["id"],
            incident_id="",
            kind=EffectKind.POST,
            reason=NotifyReason.FIRST,
            revision=1,
            member=None,
            state=RowState(found["state"]),
            # A late one is asked about for a day, too: from the time it was first sent.
            created_at=max(found["due"], found["first_sent_at"] or now),
            not_before=found["not_before"],
            first_sent_at=found["first_sent_at"],
            attempts=found["attempts"],
            looks=found["looks"],
            degrade=Degrade(found["degrade"]),
        )
        if row.state is RowState.SENDING:
            since = (row.first_sent_at or now) - CLOCK_SLACK_MS
            then = after_look(row, await poster.find_digest(digest.id, since), now)
        else:
            with self.outbox.transaction():
                self.outbox.db.execute(
                    "update digests set state = 'sending', looks = 0,"
                    " first_sent_at = coalesce(first_sent_at, ?) where id = ?",
                    (now, row.id),
                )
            then = after_call(row, await poster.post_digest(digest, text_only=row.degrade > 0), now)
        with self.outbox.transaction():
            self.outbox.db.execute(
                "update digests set state = ?, not_before = ?, attempts = attempts + ?, looks = ?,"
                " degrade = ?, error = ? where id = ?",
                (
                    then.state.value,
                    then.not_before,
                    then.attempted,
                    then.looks,
                    then.degrade.value,
                    "" if then.state is RowState.SENT else then.why,
                    row.id,
                ),
            )
        level = logging.INFO if then.state is RowState.SENT else logging.WARNING
        log.log(level, "%s digest: %s, %s", digest.period.value, then.state.value, then.why)
        return True
