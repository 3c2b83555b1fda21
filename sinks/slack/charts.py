"""Charts in the threads of incidents: what is owed, and each step of it, in notify's file.

A chart is owed once an incident's first message stands, and never before it: a page waits for no picture.
It goes into the thread; when Slack has looked at the file, it is edited into the first message, too. Steps
are written before and after each call, so that a chart is shown once, whatever ends the process in between
(where the thread can be read; without that, once more at most for every end in the middle of a call).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import astuple, dataclass, replace
from enum import StrEnum

from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.identity import derive
from schemas.incident import Incident
from sinks.base import Absent, Blind, Delivered, LostRoot, NotSent, Ref, Rejected, RetryAfter, Unknown
from sinks.outbox import Outbox
from sinks.pace import Paces
from sinks.phrases import SIGNALS, capital
from sinks.series import chart, reach, recent
from sinks.slack.escape import escape
from sinks.slack.picture import Picture, sparkline
from sinks.slack.upload import Uploaded, Uploads

log = logging.getLogger(__name__)

FRESH_MS = 3_600_000
"""A first message older than this gets no chart any more: whoever looks has looked."""
LOOK_AGAIN_MS = 3_000
LOOKS = 2
ATTEMPTS = 8
REFUSALS = 3
READY_MS = 2_000
READY_LOOKS = 30
REFUSED_MS = 30_000
TURN_MS = 1_000
"""Until a chart asks again for its turn in a channel that has just been spoken to."""


class State(StrEnum):
    DUE = "due"
    UPLOADED = "uploaded"
    SHARING = "sharing"
    """Written before the call that posts: found after an end, the thread may have it."""
    SHARED = "shared"
    READY = "ready"
    """Slack has looked at it: it may stand in the first message."""
    DROPPED = "dropped"


@dataclass(frozen=True)
class Row:
    """A chart that is owed. ``tries`` counts within the state; times in epoch ms."""

    incident_id: str
    state: State = State.DUE
    file: str = ""
    alt: str = ""
    tries: int = 0
    not_before: int = 0
    refused: int = 0
    why: str = ""

    def to(self, state: State, at: int, why: str = "", tries: int = 0) -> Row:
        return replace(self, state=state, not_before=at, why=why, tries=tries)

    def again(self, at: int, why: str, most: int = ATTEMPTS) -> Row:
        """The same once more at ``at``, or dropped after ``most`` tries."""
        if self.tries + 1 >= most:
            return self.to(State.DROPPED, at, why)
        return self.to(self.state, at, why, self.tries + 1)


class Charts:
    """The charts of ``outbox``'s incidents, by ``uploads``; also what a message shows of them.

    ``paces`` are the channels' buckets that messages draw on: a chart that is shown is a message, too.
    """

    def __init__(self, outbox: Outbox, uploads: Uploads | None, paces: Paces | None = None) -> None:
        self.outbox, self.uploads, self.paces = outbox, uploads, paces or Paces()

    @property
    def db(self) -> sqlite3.Connection:
        return self.outbox.db

    def picture(self, incident: Incident) -> Picture:
        """What the incident's first message may show now."""
        points, part = recent(self.db, incident), reach(self.db, incident)
        if not points:
            return Picture(reach=part)
        row = self._row(incident.id)
        file = row.file if row is not None and row.state is State.READY else ""
        return Picture(sparkline(points, incident), file, row.alt if row is not None else "", part)

    def refused(self, incident_id: str, now: int) -> None:
        """Slack did not take the message with the picture: now without it, later with it again, or never."""
        row = self._row(incident_id)
        if row is not None and row.state is State.READY:
            last = row.refused + 1 >= REFUSALS
            after = row.to(State.DROPPED if last else State.SHARED, now + REFUSED_MS, "refused in a message")
            self._write(replace(after, refused=row.refused + 1))

    async def step(self, now: int) -> bool:
        """Does the next step of one chart that is due at ``now`` (epoch ms); whether there was one."""
        if self.uploads is None:
            return False
        row = self._next(now)
        if row is None:
            return False
        incident, posted = self.outbox.incident(row.incident_id), self.outbox.rows.posted(row.incident_id)
        if incident is None or posted is None:
            self._write(row.to(State.DROPPED, now, "no first message"))
            return True
        after = await self._do(row, incident, posted.ref, now, self.uploads)
        self._write(after)
        if after.state is State.DROPPED:
            log.warning("chart of incident %s: %s", row.incident_id, after.why)
        if after.state is State.READY:
            self._owe_edit(incident, now)
        return True

    async def _do(self, row: Row, incident: Incident, root: Ref, now: int, uploads: Uploads) -> Row:
        match row.state:
            case State.DUE:
                return await self._upload(row, incident, now, uploads)
            case State.UPLOADED:
                if not self.paces.take(root.channel, now):
                    return row.to(row.state, now + TURN_MS, row.why, row.tries)
                self._write(row.to(State.SHARING, now, tries=row.tries))
                title = capital(f"{SIGNALS[incident.signal]}, the last day")
                shown = await uploads.share(row.file, title, escape(row.alt, 300), root)
                if isinstance(shown, RetryAfter):
                    self.paces.pause(root.channel, now + _pause(shown))
                return _shared(row, shown, now)
            case State.SHARING:
                return _looked(row, await uploads.shared(row.file, root), now)
            case _:
                ready = await uploads.ready(row.file)
                if ready is True:
                    return row.to(State.READY, now)
                if isinstance(ready, Rejected):
                    # The thread has it. Without the scope to ask, the message goes without.
                    return row.to(State.DROPPED, now, f"only in the thread: {ready.why}")
                if isinstance(ready, RetryAfter):
                    return row.to(row.state, now + _pause(ready), "rate_limited", row.tries)
                return row.again(now + READY_MS, "not ready", READY_LOOKS)

    async def _upload(self, row: Row, incident: Incident, now: int, uploads: Uploads) -> Row:
        from sinks.charts import png

        points = recent(self.db, incident)
        line = sparkline(points, incident)
        if not line:
            return row.to(State.DROPPED, now, "too few windows to draw")
        name = SIGNALS[incident.signal]
        alt = f"{capital(name)} on {incident.app}, {line.partition(' ')[2]}."
        # Drawing takes a core for some tenths of a second: beside the loop, which has pages to deliver.
        picture = await asyncio.to_thread(png, chart(incident, points))
        match await uploads.upload(picture, f"{incident.rule[:60]}.png", escape(alt, 200)):
            case Uploaded(file):
                return replace(row.to(State.UPLOADED, now), file=file, alt=alt)
            case RetryAfter() as pause:
                return row.to(State.DUE, now + _pause(pause), "rate_limited", row.tries)
            case Rejected(why):
                return row.to(State.DROPPED, now, why)
            case Unknown(why, _) | NotSent(why):
                return row.again(now + _backoff(row), why)
            case other:
                return row.again(now + _backoff(row), type(other).__name__)

    def _owe_edit(self, incident: Incident, now: int) -> None:
        """The first message once more, with the picture: it shows less than its revision does now."""
        effect = Effect(
            kind=EffectKind.EDIT,
            incident_id=incident.id,
            revision=incident.revision,
            reason=NotifyReason.CHART,
            urgent=True,
        )
        with self.outbox.transaction():
            self.db.execute(
                "update messages set revision = min(revision, ?) where incident_id = ?",
                (incident.revision - 1, incident.id),
            )
            row_id = derive("outbox", incident.id, "chart", now)
            self.outbox.rows.coalesce(row_id, effect, now, self.outbox.timing.refresh_ms)

    def _next(self, now: int) -> Row | None:
        """What is due: a chart on its way before one that is not begun, the older before the newer."""
        found = self.db.execute(
            "select m.incident_id, c.state, c.file, c.alt, c.tries, c.not_before, c.refused, c.why"
            " from messages as m left join charts as c using (incident_id)"
            # A storm's digest is a first message, too, and no signal's.
            " where (c.state is null and m.sent_at > ? and m.receiver like 'slack:%'"
            "  and exists (select 1 from incidents as i where i.id = m.incident_id))"
            " or (c.state in ('due', 'uploaded', 'sharing', 'shared') and c.not_before <= ?)"
            " order by c.state is null, m.sent_at limit 1",
            (now - FRESH_MS, now),
        ).fetchone()
        return _read(found) if found else None

    def _row(self, incident_id: str) -> Row | None:
        found = self.db.execute("select * from charts where incident_id = ?", (incident_id,)).fetchone()
        return _read(found) if found else None

    def _write(self, row: Row) -> None:
        with self.outbox.transaction():
            self.db.execute(
                "insert or replace into charts"
                " (incident_id, state, file, alt, tries, not_before, refused, why)"
                " values (?, ?, ?, ?, ?, ?, ?, ?)",
                (row.incident_id, row.state.value, *astuple(row)[2:]),
            )


def _read(found: sqlite3.Row) -> Row:
    if found["state"] is None:
        return Row(found["incident_id"])
    return Row(
        found["incident_id"],
        State(found["state"]),
        found["file"],
        found["alt"],
        found["tries"],
        found["not_before"],
        found["refused"],
        found["why"],
    )


def _shared(row: Row, outcome: object, now: int) -> Row:
    """What becomes of a chart after the call that posts it."""
    match outcome:
        case Delivered():
            return row.to(State.SHARED, now + READY_MS)
        case RetryAfter() as pause:
            return row.to(State.UPLOADED, now + _pause(pause), "rate_limited", row.tries)
        case NotSent(why):
            return row.again(now + _backoff(row), why)
        case Unknown(why, _):
            return row.to(State.SHARING, now, why)
        case Rejected(why) | LostRoot(why):
            return row.to(State.DROPPED, now, why)
    return row.to(State.DROPPED, now, type(outcome).__name__)


def _looked(row: Row, found: object, now: int) -> Row:
    """What becomes of a chart that the thread may have, after a look."""
    match found:
        case Delivered():
            return row.to(State.SHARED, now + READY_MS)
        case Absent() if row.tries + 1 < LOOKS:
            return row.to(State.SHARING, now + LOOK_AGAIN_MS, "not visible", row.tries + 1)
        case Absent() | Blind():
            return row.to(State.UPLOADED, now, "not there", 1)
        case RetryAfter() as pause:
            return row.to(State.SHARING, now + _pause(pause), "rate_limited", row.tries)
    return row.to(State.SHARING, now + LOOK_AGAIN_MS, type(found).__name__, row.tries)


def _pause(outcome: RetryAfter) -> int:
    return round(max(outcome.seconds, 1.0) * 1000)


def _backoff(row: Row) -> int:
    return min(60_000, 1_000 << row.tries)
