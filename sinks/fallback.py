"""The fallback chain: each hop is told each stage of an incident at most once, over restarts too.

A row is written before the call. A hop whose answer was lost is not asked again for the same thing; the
next one is, so that an alert may be told in two places and is not told twice in one. What a hop keeps open is
acknowledged and resolved there; that is safe to repeat, and is tried again until it is taken.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from schemas.effect import EffectKind, NotifyReason
from schemas.identity import derive
from schemas.incident import Incident, IncidentState
from schemas.signal import Severity
from sinks.base import Delivered, Message, Outcome, RetryAfter, Unknown
from sinks.fate import Row
from sinks.hops import Hop, Stage
from sinks.outbox import Outbox
from sinks.storm import Storm

log = logging.getLogger(__name__)

PAGED = (Severity.P1, Severity.P2)
FOLLOW_ATTEMPTS = 12
"""Attempts to acknowledge or resolve: with the pauses below, about two hours."""
MAX_PAUSE_MS = 900_000


class Told(NamedTuple):
    """A hop that took an incident, and when (epoch ms)."""

    hop: str
    at: int


class Chain:
    """``hops`` in the order of trying, ``last`` for what none of them took; P3 goes to ``last`` at once."""

    def __init__(self, outbox: Outbox, hops: Sequence[Hop], last: Hop) -> None:
        self.outbox, self.hops, self.last = outbox, tuple(hops), last

    @property
    def db(self) -> sqlite3.Connection:
        return self.outbox.db

    async def tell(self, row: Row, incident: Incident, now: int, storm: Storm | None = None) -> str | None:
        """What ``row`` owes, to the first hop that takes it: its name, or None if none did."""
        stage = Stage.TRIGGER.value if row.kind is EffectKind.POST else f"news:{row.id}"
        for hop in (*self.hops, self.last) if incident.severity in PAGED else (self.last,):
            if not self._claim(incident.id, hop, stage, now):
                if self._state(incident.id, hop, stage) == "sent":
                    return hop.name
                continue
            message = Message(row.id, row.kind, row.reason, incident, row.member, storm=storm)
            outcome = await _ask(hop, Stage.TRIGGER, message)
            taken = isinstance(outcome, Delivered)
            # Where the answer was lost something may be open there, and is worth closing.
            opened = hop.follows and isinstance(outcome, Delivered | Unknown)
            state = "sent" if taken else "failed"
            self._settle(incident.id, hop, stage, state, now, _why(outcome), opened=opened)
            if taken:
                return hop.name
            log.error("%s doesn't take incident %s either: %s", hop.name, incident.id, _why(outcome))
        return None

    async def follow(self, now: int) -> None:
        """Acknowledges and resolves, where a hop keeps an incident open."""
        for incident_id, name in self._open():
            hop = next((one for one in self.hops if one.name == name), None)
            subject = self.outbox.subject(incident_id)
            incident, storm = subject or (None, None)
            stage = None if incident is None else _stage(incident)
            if hop is None or incident is None or stage is None:
                continue
            key = f"{stage.value}:{incident.acked_at if stage is Stage.ACKNOWLEDGE else incident.resolved_at}"
            attempts, due = self._attempts(incident_id, hop, key)
            if due is None or due > now:
                continue
            message_id = derive("fallback", incident_id, hop.name, key)
            message = Message(message_id, EffectKind.EDIT, NotifyReason.FELL_BACK, incident, storm=storm)
            outcome = await _ask(hop, stage, message)
            taken = isinstance(outcome, Delivered)
            over = taken or attempts + 1 >= FOLLOW_ATTEMPTS
            pause = min(MAX_PAUSE_MS, 1_000 << attempts)
            if isinstance(outcome, RetryAfter):
                pause = max(pause, round(outcome.seconds * 1000))
            state = "sent" if taken else "failed" if over else "pending"
            self._settle(incident_id, hop, key, state, now, _why(outcome), next_at=now + pause)
            if over and stage is Stage.RESOLVE:
                self._close(incident_id, hop)
            if not taken:
                log.warning("%s of incident %s at %s: %s", stage.value, incident_id, hop.name, _why(outcome))

    def told(self, incident_id: str) -> list[Told]:
        """Who took the incident or news of it, in order."""
        rows = self.db.execute(
            "select hop, min(at) as at from fallbacks where incident_id = ? and state = 'sent'"
            " and (stage = 'trigger' or stage like 'news:%') group by hop order by 2, hop",
            (incident_id,),
        )
        return [Told(row["hop"], row["at"]) for row in rows]

    async def close(self) -> None:
        for hop in (*self.hops, self.last):
            await hop.close()

    def _claim(self, incident_id: str, hop: Hop, stage: str, now: int) -> bool:
        """Whether this is the first time that this hop is asked for this."""
        with self.outbox.transaction():
            return (
                self.db.execute(
                    "insert or ignore into fallbacks (incident_id, hop, stage, state, at, open)"
                    " values (?, ?, ?, 'sending', ?, ?)",
                    (incident_id, hop.name, stage, now, hop.follows),
                ).rowcount
                == 1
            )

    def _state(self, incident_id: str, hop: Hop, stage: str) -> str:
        row = self.db.execute(
            "select state from fallbacks where incident_id = ? and hop = ? and stage = ?",
            (incident_id, hop.name, stage),
        ).fetchone()
        return str(row["state"])

    def _settle(
        self,
        incident_id: str,
        hop: Hop,
        stage: str,
        state: str,
        now: int,
        why: str,
        *,
        opened: bool = False,
        next_at: int = 0,
    ) -> None:
        with self.outbox.transaction():
            self.db.execute(
                "insert into fallbacks"
                " (incident_id, hop, stage, state, at, open, error, attempts, not_before)"
                " values (?, ?, ?, ?, ?, ?, ?, 1, ?) on conflict do update set state = excluded.state,"
                " at = excluded.at, open = excluded.open, error = excluded.error, attempts = attempts + 1,"
                " not_before = excluded.not_before",
                (incident_id, hop.name, stage, state, now, opened, "" if state == "sent" else why, next_at),
            )

    def _open(self) -> list[tuple[str, str]]:
        rows = self.db.execute(
            "select distinct incident_id, hop from fallbacks where open = 1 order by incident_id, hop"
        )
        return [(row["incident_id"], row["hop"]) for row in rows]

    def _attempts(self, incident_id: str, hop: Hop, stage: str) -> tuple[int, int | None]:
        """How often it was tried, and when it is due: None where that is over."""
        row = self.db.execute(
            "select state, attempts, not_before from fallbacks"
            " where incident_id = ? and hop = ? and stage = ?",
            (incident_id, hop.name, stage),
        ).fetchone()
        if row is None:
            return 0, 0
        return row["attempts"], row["not_before"] if row["state"] == "pending" else None

    def _close(self, incident_id: str, hop: Hop) -> None:
        with self.outbox.transaction():
            self.db.execute(
                "update fallbacks set open = 0 where incident_id = ? and hop = ?", (incident_id, hop.name)
            )


def _stage(incident: Incident) -> Stage | None:
    """What a hop that keeps it open has to hear."""
    match incident.state:
        case IncidentState.RESOLVED:
            return Stage.RESOLVE
        case IncidentState.ACKED:
            return Stage.ACKNOWLEDGE
        case _:
            return None


async def _ask(hop: Hop, stage: Stage, message: Message) -> Outcome:
    try:
        return await hop.tell(stage, message)
    except Exception as error:
        # A mistake of ours; the next hop may do better.
        log.exception("%s could not be told of incident %s", hop.name, message.incident.id)
        return Unknown(type(error).__name__)


def _why(outcome: Outcome) -> str:
    return getattr(outcome, "why", None) or type(outcome).__name__
