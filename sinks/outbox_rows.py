"""The rows of the outbox: owed, coalesced, due, claimed. What becomes of them is in ``outbox_settle``."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.signal import Severity
from sinks.base import Degrade, Ref
from sinks.fate import NO_CALL, Row, RowState

if TYPE_CHECKING:
    from sinks.outbox import Outbox


@dataclass(frozen=True)
class Posted:
    """An incident's first message, as the notification log has it; ``revision`` is what it shows."""

    root_id: str
    ref: Ref
    revision: int


class Rows:
    """The rows of an :class:`~sinks.outbox.Outbox`."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    @property
    def db(self) -> sqlite3.Connection:
        return self.outbox.db

    def root(self, incident_id: str) -> Row | None:
        """The incident's newest first message, whatever has become of it."""
        found = self.db.execute(
            "select * from outbox where incident_id = ? and kind = 'post' order by rowid desc limit 1",
            (incident_id,),
        ).fetchone()
        return _row(found) if found else None

    def get(self, row_id: str) -> Row | None:
        found = self.db.execute("select * from outbox where id = ?", (row_id,)).fetchone()
        return _row(found) if found else None

    def posted(self, incident_id: str) -> Posted | None:
        found = self.db.execute("select * from messages where incident_id = ?", (incident_id,)).fetchone()
        return (
            Posted(found["root_id"], Ref(found["channel"], found["ts"]), found["revision"]) if found else None
        )

    def insert(
        self,
        row_id: str,
        effect: Effect,
        now: int,
        not_before: int,
        attempts: int = 0,
        channel: str = "",
    ) -> None:
        """Owes ``effect``; owing it again changes nothing."""
        self.db.execute(
            """
            insert or ignore into outbox (id, incident_id, kind, reason, revision, member, state, created_at,
              not_before, attempts, channel) values (?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?, ?)
            """,
            (
                row_id,
                effect.incident_id,
                effect.kind.value,
                effect.reason.value,
                effect.revision,
                effect.member,
                now,
                not_before,
                attempts,
                channel,
            ),
        )

    def coalesce(self, row_id: str, effect: Effect, now: int, refresh_ms: int) -> None:
        """An edit takes the place of the one that hasn't been sent: only the newest state is of use.

        It inherits the older one's place in time, so that a stream of alarms can't put it off for ever.
        """
        log = self.db.execute(
            "select edited_at from messages where incident_id = ?", (effect.incident_id,)
        ).fetchone()
        due = now if effect.urgent or log is None else max(now, log["edited_at"] + refresh_ms)
        old = self.db.execute(
            "select * from outbox where incident_id = ? and kind = 'edit' and state = 'pending'",
            (effect.incident_id,),
        ).fetchone()
        attempts = 0
        if old is not None:
            attempts = old["attempts"]
            # One that is being retried keeps its backoff.
            due = old["not_before"] if attempts else min(due, old["not_before"])
            self.db.execute("delete from outbox where id = ?", (old["id"],))
        self.insert(row_id, effect, now, due, attempts)

    def due(self, now: int) -> list[Row]:
        """What may be done now: what concerns a P1 first, then first messages, the gravest of them first.

        Edits and replies wait for their first message, and a reply for the earlier ones: news are told in
        their order.
        """
        found = self.db.execute(
            """
            select o.* from outbox as o left join incidents as i on i.id = o.incident_id
            where state in ('pending', 'sending') and not_before <= ?
              and (kind = 'post' or not exists (
                select 1 from outbox as r where r.incident_id = o.incident_id and r.kind = 'post'
                  and r.state in ('pending', 'sending')))
              and (kind != 'reply' or not exists (
                select 1 from outbox as e where e.incident_id = o.incident_id and e.kind = 'reply'
                  and e.rowid < o.rowid and e.state in ('pending', 'sending')))
            order by coalesce(json_extract(i.body, '$.severity'), '') != ?, kind != 'post',
              case kind when 'post' then coalesce(json_extract(i.body, '$.severity'), '') end,
              o.created_at, o.revision, o.rowid
            """,
            (now, Severity.P1.value),
        )
        return [_row(row) for row in found]

    def unplaced(self, now: int) -> list[Row]:
        """First messages that are due and have no channel yet."""
        found = self.db.execute(
            "select * from outbox indexed by outbox_due"
            " where state in ('pending', 'sending') and state = 'pending'"
            " and kind = 'post' and channel = '' and not_before <= ? order by rowid",
            (now,),
        )
        return [_row(row) for row in found]

    def place(self, channels: Mapping[str, str]) -> None:
        """Rows by their id to the channel that each goes to; a storm is where its first message is."""
        with self.outbox.transaction():
            for row_id, channel in channels.items():
                self.db.execute("update outbox set channel = ? where id = ?", (channel, row_id))
                self.db.execute(
                    "update storms set channel = ? where id = (select incident_id from outbox where id = ?)",
                    (channel, row_id),
                )

    def waiting(self) -> dict[str, list[Row]]:
        """By channel the first messages that can't have arrived, without those of P1s and of storms."""
        found = self.db.execute(
            "select o.* from outbox as o indexed by outbox_due join incidents as i on i.id = o.incident_id"
            " where o.state in ('pending', 'sending') and o.state = 'pending' and o.kind = 'post'"
            " and o.channel != '' and o.unsure = 0"
            " and o.reason != ? and json_extract(i.body, '$.severity') != ? order by o.rowid",
            (NotifyReason.ROOT_LOST.value, Severity.P1.value),
        )
        by_channel: dict[str, list[Row]] = {}
        for row in map(_row, found):
            by_channel.setdefault(row.channel, []).append(row)
        return by_channel

    def open_count(self) -> int:
        """Rows that are neither sent nor dead."""
        return int(
            self.db.execute("select count(*) from outbox where state in ('pending', 'sending')").fetchone()[0]
        )

    def overdue(self, created_before: int) -> list[Row]:
        """What has waited too long and no fallback has shown yet.

        Of a P1 everything; of a P2 and of a storm what the receiver was asked to take and did not, since one
        that waits for the pace alone is on its way. News that come behind something of the same incident
        that went elsewhere and still waits here go there at once.
        """
        found = self.db.execute(
            """
            select o.* from outbox as o indexed by outbox_due
            left join incidents as i on i.id = o.incident_id
            where o.kind in ('post', 'reply') and o.state in ('pending', 'sending') and o.fell_back = 0
              and ((o.created_at < ? and (json_extract(i.body, '$.severity') = ?
                or (coalesce(json_extract(i.body, '$.severity'), ?) = ? and o.first_sent_at is not null)))
              or (o.kind = 'reply' and exists (select 1 from outbox as r where r.incident_id = o.incident_id
                and r.kind in ('post', 'reply') and r.rowid < o.rowid and r.state in ('pending', 'sending')
                and r.fell_back = 1)))
            order by o.rowid
            """,
            (
                created_before,
                Severity.P1.value,
                Severity.P2.value,
                Severity.P2.value,
            ),
        )
        return [row for row in map(_row, found) if row.reason not in NO_CALL]

    def recover(self, now: int) -> int:
        """At a start: what was being sent may have arrived. It is looked for at once; edits go again; what
        was refused is asked again, since a setting may be another now."""
        with self.outbox.transaction():
            found = self.db.execute(
                "update outbox set looks = 0, not_before = ?, unsure = 1 where state = 'sending'", (now,)
            ).rowcount
            self.db.execute("update outbox set state = 'pending' where state = 'sending' and kind = 'edit'")
            self.db.execute("update outbox set channel = '' where state = 'pending' and kind = 'post'")
            self._retry(now)
        return found

    def retry(self, now: int) -> None:
        """The receiver takes messages again: what waits because it did not is due."""
        with self.outbox.transaction():
            self._retry(now)

    def _retry(self, now: int) -> None:
        self.db.execute(
            "update outbox set not_before = ? where state = 'pending' and not_before > ? and attempts > 0"
            " and error != 'rate_limited'",
            (now, now),
        )

    def claim(self, row: Row, now: int) -> bool:
        """Marks ``row`` as being sent, before the call; False where it is no longer pending."""
        with self.outbox.transaction():
            return (
                self.db.execute(
                    "update outbox set state = 'sending', looks = 0,"
                    " first_sent_at = coalesce(first_sent_at, ?) where id = ? and state = 'pending'",
                    (now, row.id),
                ).rowcount
                == 1
            )

    def fell_back(self, row: Row) -> None:
        with self.outbox.transaction():
            self.db.execute("update outbox set fell_back = 1 where id = ?", (row.id,))
            # What was told elsewhere is a storm as it is now.
            self.db.execute("update storms set unsaid_since = null where id = ?", (row.incident_id,))


def _row(found: sqlite3.Row) -> Row:
    return Row(
        id=found["id"],
        incident_id=found["incident_id"],
        kind=EffectKind(found["kind"]),
        reason=NotifyReason(found["reason"]),
        revision=found["revision"],
        member=found["member"],
        state=RowState(found["state"]),
        created_at=found["created_at"],
        not_before=found["not_before"],
        first_sent_at=found["first_sent_at"],
        attempts=found["attempts"],
        looks=found["looks"],
        degrade=Degrade(found["degrade"]),
        fell_back=bool(found["fell_back"]),
        error=found["error"],
        channel=found["channel"],
    )
