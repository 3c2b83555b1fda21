"""Storms in notify's file: who is in which, and what their digests owe. Each method is one short step."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.identity import derive
from schemas.incident import Incident, IncidentState
from schemas.signal import Severity
from sinks.fate import Row, RowState
from sinks.storm import UNSEEN, Storm, StormPolicy, leaves, ranked

if TYPE_CHECKING:
    from sinks.outbox import Outbox


class Storms:
    """The storms of an :class:`~sinks.outbox.Outbox`. A storm's rows in the outbox bear its id where others
    bear an incident's, so that they are claimed, looked for and paced like any."""

    def __init__(self, outbox: Outbox, policy: StormPolicy) -> None:
        self.outbox, self.policy = outbox, policy

    @property
    def db(self) -> sqlite3.Connection:
        return self.outbox.db

    def get(self, storm_id: str) -> Storm | None:
        """The storm with all that has joined it; None where there is no such storm."""
        found = self.db.execute("select * from storms where id = ?", (storm_id,)).fetchone()
        if found is None:
            return None
        rows = self.db.execute(
            "select i.body, i.id, m.own from storm_members as m join incidents as i on i.id = m.incident_id"
            " where m.storm_id = ?",
            (storm_id,),
        ).fetchall()
        return Storm(
            found["id"],
            found["begun_at"],
            ranked(Incident.model_validate_json(row["body"]) for row in rows),
            frozenset(row["id"] for row in rows if row["own"]),
            found["revision"],
            found["level"],
        )

    def known(self, storm_id: str) -> bool:
        """Whether there is such a storm."""
        return self.db.execute("select 1 from storms where id = ?", (storm_id,)).fetchone() is not None

    def free(self, storm_id: str, until: int) -> list[str]:
        """Ids of those that its digest shows as nobody's, of those that had joined by ``until`` (epoch ms).

        What has joined since it was last edited nobody has seen there.
        """
        rows = self.db.execute(
            "select m.incident_id from storm_members as m join incidents as i on i.id = m.incident_id"
            " where m.storm_id = ? and m.own = 0 and m.joined_at <= ? and i.resolved = 0"
            " and json_extract(i.body, '$.state') != ? and m.joined_at <="
            " (select edited_at from messages where incident_id = m.storm_id) order by m.incident_id",
            (storm_id, until, IncidentState.ACKED.value),
        )
        return [str(row["incident_id"]) for row in rows]

    def told(self, channel: str, since: int) -> int:
        """Incidents told in ``channel`` after ``since``, alone or in a storm that is not over; no P1s."""
        alone = self.db.execute(
            "select count(*) from messages as m join incidents as i on i.id = m.incident_id"
            " where m.channel = ? and m.sent_at > ? and json_extract(i.body, '$.severity') != ?",
            (channel, since, Severity.P1.value),
        ).fetchone()[0]
        gathered = self.db.execute(
            "select count(*) from storm_members as m join storms as s on s.id = m.storm_id"
            " where s.channel = ? and s.is_over = 0 and m.own = 0 and m.joined_at > ?",
            (channel, since),
        ).fetchone()[0]
        return int(alone) + int(gathered)

    def gather(self, channel: str, waiting: Sequence[Row], now: int) -> bool:
        """Gathers what waits for ``channel`` where that is more than it takes; whether it did.

        ``waiting`` are first messages that can't have arrived yet, none of a P1. It joins the channel's storm
        if one lasts, else it is the next one.
        """
        if not waiting or not self.policy.gathers(
            self.told(channel, now - self.policy.within_ms), len(waiting)
        ):
            return False
        with self.outbox.transaction():
            found = self.db.execute(
                "select id, joined_at, is_over from storms where channel = ? order by begun_at desc,"
                " rowid desc limit 1",
                (channel,),
            ).fetchone()
            root = self.outbox.rows.root(found["id"]) if found is not None else None
            alive = root is not None and root.state is not RowState.DEAD
            if found is not None and alive and self._lasts(found, now):
                storm_id = found["id"]
            else:
                storm_id = derive("storm", channel, waiting[0].id)
                self.db.execute(
                    "insert into storms (id, channel, begun_at, joined_at, told_at) values (?, ?, ?, ?, ?)",
                    (storm_id, channel, now, now, now),
                )
            for row in waiting:
                self.db.execute("update outbox set state = ? where id = ?", (RowState.GATHERED.value, row.id))
                self.db.execute(
                    "insert or replace into storm_members (incident_id, storm_id, joined_at, own)"
                    " values (?, ?, ?, 0)",
                    (row.incident_id, storm_id, now),
                )
            self.db.execute(
                "update storms set joined_at = ?, unsaid_since = coalesce(unsaid_since, ?) where id = ?",
                (now, now, storm_id),
            )
            self._changed(storm_id, NotifyReason.GREW, now, channel)
        return True

    def owe(self, incident: Incident, effect: Effect, now: int) -> bool:
        """What ``effect`` of a gathered incident asks of its digest, within a transaction; False where the
        incident leaves it, and is to be told by a message of its own."""
        found = self.db.execute(
            "select s.* from storm_members as m join storms as s on s.id = m.storm_id"
            " where m.incident_id = ? and m.own = 0",
            (incident.id,),
        ).fetchone()
        if found is None:
            return True
        if leaves(incident, effect, lasts=self._lasts(found, now)):
            self.db.execute(
                "update storm_members set own = 1 where incident_id = ? and own = 0",
                (incident.id,),
            )
            self._changed(found["id"], effect.reason, now)
            return False
        if effect.reason is NotifyReason.ESCALATED and effect.kind is EffectKind.REPLY:
            self._escalate(found, incident.escalation_level, now)
        if effect.reason not in UNSEEN:
            self._changed(found["id"], effect.reason, now, urgent=effect.urgent)
        return True

    def follow(self, effect: Effect, now: int) -> None:
        """The digest shows how one stands that has left it, too: all of its lines are true."""
        if effect.reason in UNSEEN:
            return
        left = "select storm_id from storm_members where incident_id = ? and own = 1"
        for row in self.db.execute(left, (effect.incident_id,)).fetchall():
            self._changed(row["storm_id"], effect.reason, now)

    def tick(self, now: int, overdue_ms: int) -> None:
        """Says of storms that have grown much since it was last said that they have.

        And of those that have grown at all where no message has been taken since, for ``overdue_ms``: an edit
        that waits for the receiver goes down no fallback chain, so there has to be a reply that does.
        """
        due = self.db.execute(
            "select s.id, s.told, s.told_at, s.channel, (select count(*) from storm_members as m"
            " where m.storm_id = s.id) as number from storms as s"
            " where s.is_over = 0 and s.joined_at > ?",
            (now - 2 * self.policy.within_ms,),
        ).fetchall()
        for row in due:
            if self.policy.grew(row["number"], row["told"], now - row["told_at"]):
                with self.outbox.transaction():
                    self._grew(row["id"], row["number"], now)
        unsaid = "select id, unsaid_since from storms where unsaid_since <= ?"
        for row in self.db.execute(unsaid, (now - overdue_ms,)).fetchall():
            root = self.outbox.rows.root(row["id"])
            if root is not None and (not root.waiting or root.fell_back):
                with self.outbox.transaction():
                    revision = self._revise(row["id"])
                    self._reply(row["id"], NotifyReason.GREW, revision, now, row["unsaid_since"])
                    self.db.execute("update storms set unsaid_since = null where id = ?", (row["id"],))

    def _lasts(self, found: sqlite3.Row, now: int) -> bool:
        return not found["is_over"] and now - found["joined_at"] < self.policy.within_ms

    def _changed(
        self, storm_id: str, reason: NotifyReason, now: int, channel: str = "", *, urgent: bool = False
    ) -> None:
        """A new revision of the storm, and what it owes: its first message, or one edit for many changes."""
        revision = self._revise(storm_id)
        rows, root = self.outbox.rows, self.outbox.rows.root(storm_id)
        states = [
            row["state"]
            for row in self.db.execute(
                "select json_extract(i.body, '$.state') as state from storm_members as m"
                " join incidents as i on i.id = m.incident_id where m.storm_id = ?",
                (storm_id,),
            )
        ]
        if root is None:
            effect = _effect(storm_id, EffectKind.POST, NotifyReason.FIRST, revision)
            rows.insert(derive("outbox", storm_id, "post"), effect, now, now, channel=channel)
            self._said(storm_id, len(states), now)
            return
        if root.waiting:
            self._said(storm_id, len(states), now)
        else:
            edit = _effect(storm_id, EffectKind.EDIT, reason, revision, urgent=urgent)
            rows.coalesce(derive("outbox", storm_id, "edit", revision), edit, now, self.policy.edit_ms)
        over = all(state == IncidentState.RESOLVED.value for state in states)
        ended = "update storms set is_over = 1 where id = ? and is_over = 0"
        # What comes back after the end is news of its own, and no storm any more.
        if over and self.db.execute(ended, (storm_id,)).rowcount and not root.waiting:
            self._reply(storm_id, NotifyReason.RECOVERED, revision, now)

    def _revise(self, storm_id: str) -> int:
        self.db.execute("update storms set revision = revision + 1 where id = ?", (storm_id,))
        return int(self.db.execute("select revision from storms where id = ?", (storm_id,)).fetchone()[0])

    def _said(self, storm_id: str, number: int, now: int) -> None:
        self.db.execute("update storms set told = ?, told_at = ? where id = ?", (number, now, storm_id))

    def _grew(self, storm_id: str, number: int, now: int) -> None:
        root = self.outbox.rows.root(storm_id)
        self._said(storm_id, number, now)
        if root is not None and not root.waiting:
            revision = self.db.execute("select revision from storms where id = ?", (storm_id,)).fetchone()[0]
            self._reply(storm_id, NotifyReason.GREW, revision, now)

    def _escalate(self, found: sqlite3.Row, level: int, now: int) -> None:
        """Calls once for all whose turn comes about now: a level is called again after a while only."""
        if level <= found["level"] and now - found["level_at"] < self.policy.escalate_ms:
            return
        self.db.execute("update storms set level = ?, level_at = ? where id = ?", (level, now, found["id"]))
        self._reply(found["id"], NotifyReason.ESCALATED, found["revision"] + 1, now)

    def _reply(
        self, storm_id: str, reason: NotifyReason, revision: int, now: int, since: int | None = None
    ) -> None:
        """``since``: when it was news, if that is not now."""
        effect = _effect(storm_id, EffectKind.REPLY, reason, revision)
        created = now if since is None else since
        self.outbox.rows.insert(derive("outbox", storm_id, reason.value, revision), effect, created, now)


def _effect(
    storm_id: str, kind: EffectKind, reason: NotifyReason, revision: int, *, urgent: bool = False
) -> Effect:
    return Effect(kind=kind, incident_id=storm_id, revision=revision, reason=reason, urgent=urgent)
