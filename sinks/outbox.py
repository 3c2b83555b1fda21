"""Incidents and what is owed to the outside, in one SQLite file and one transaction per batch.

The transaction is what makes "one page per incident" exact: the incident, the ids of the events that
made it and the rows to be delivered become true together, so a batch that Kafka delivers again finds
its ids and owes nothing new. Rows have derived ids, so that owing a thing twice is owing it once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from schemas.acceptance import Acceptance
from schemas.base import Record
from schemas.calibration import Calibrations
from schemas.codec import encode
from schemas.effect import Effect, EffectKind
from schemas.identity import derive
from schemas.incident import CasePreview, Incident, IncidentState, Note
from schemas.signal import SignalName
from sinks import accepted, series, stood
from sinks.batch import Batch
from sinks.fate import NO_CALL, RowState
from sinks.outbox_rows import Rows
from sinks.outbox_schema import connect
from sinks.storm import Storm, StormPolicy, spokesman
from sinks.storm_rows import Storms

KEEP_ABSORBED_MS = 30 * 86_400_000
"""Ids of absorbed events are kept this long; a topic's redelivery reaches back hours, not weeks."""


@dataclass(frozen=True)
class Timing:
    """In milliseconds: the pause between refreshing edits."""

    refresh_ms: int = 60_000


class Outbox:
    """Owned by one process; its methods are short and synchronous, and none of them waits for a network."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        lock: IO[str] | None,
        timing: Timing,
        ring: int,
        storm: StormPolicy,
    ) -> None:
        self.db, self.lock, self.timing, self.ring = connection, lock, timing, ring
        self.rows = Rows(self)
        self.storms = Storms(self, storm)

    @classmethod
    def open(
        cls, path: Path, timing: Timing | None = None, ring: int = 64, storm: StormPolicy | None = None
    ) -> Outbox:
        """Opens or makes the file. Raises ``InUse`` where another process owns it."""
        connection, lock = connect(path)
        return cls(connection, lock, timing or Timing(), ring, storm or StormPolicy())

    def close(self) -> None:
        self.db.close()
        if self.lock is not None:
            self.lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.db.execute("rollback")
            raise
        self.db.execute("commit")

    # What a batch is reduced against.

    def incident(self, incident_id: str) -> Incident | None:
        row = self.db.execute("select body from incidents where id = ?", (incident_id,)).fetchone()
        return Incident.model_validate_json(row["body"]) if row else None

    def subject(self, subject_id: str) -> tuple[Incident, Storm | None] | None:
        """What a row is about: an incident, or a storm and the incident that speaks for it."""
        if (incident := self.incident(subject_id)) is not None:
            return incident, None
        storm = self.storms.get(subject_id)
        return None if storm is None else (spokesman(storm), storm)

    def open_incidents(self, app: str, environment: str, since: int) -> list[Incident]:
        """What is not resolved, and what had an alarm or its end at or after ``since`` (event time, ms)."""
        rows = self.db.execute(
            "select body from incidents where app = ? and environment = ? and (resolved = 0 or last_at >= ?)"
            " order by last_at, id",
            (app, environment, since),
        )
        return [Incident.model_validate_json(row["body"]) for row in rows]

    def calibrations(self) -> Calibrations | None:
        """What reviewers say of scorers; None where nothing has been told of them yet."""
        row = self.db.execute("select body from calibrations").fetchone()
        return Calibrations.model_validate_json(row["body"]) if row else None

    def alike(self, app: str, environment: str, since: int) -> list[tuple[str, str, int, bool]]:
        """(id, fingerprint, event time of detection, whether a person has called it no problem) of every
        incident detected at or after ``since``."""
        rows = self.db.execute(
            "select id, fingerprint, detected_at,"
            " exists (select 1 from labels where incident_id = i.id) as false"
            " from incidents as i where app = ? and environment = ? and detected_at >= ?",
            (app, environment, since),
        )
        return [(row["id"], row["fingerprint"], row["detected_at"], bool(row["false"])) for row in rows]

    def data(self, app: str, environment: str) -> dict[tuple[str, SignalName], int]:
        """Route and signal to the event time up to which units are known."""
        rows = self.db.execute(
            "select route, signal, until from data where app = ? and environment = ?", (app, environment)
        )
        return {(row["route"], SignalName(row["signal"])): row["until"] for row in rows}

    def clocks(self) -> dict[str, tuple[int, int]]:
        """App to its watermark and the wall time at which it was seen; epoch ms."""
        return {
            row["app"]: (row["watermark"], row["wall"]) for row in self.db.execute("select * from clocks")
        }

    def due(self, now: int, watermarks: Mapping[str, int]) -> set[tuple[str, str]]:
        """Apps and environments with an incident whose timer is due by either clock."""
        rows = self.db.execute("select distinct app, environment from incidents where due_now <= ?", (now,))
        found = {(row["app"], row["environment"]) for row in rows}
        for app, watermark in watermarks.items():
            rows = self.db.execute(
                "select distinct environment from incidents where app = ? and due_watermark <= ?",
                (app, watermark),
            )
            found |= {(app, row["environment"]) for row in rows}
        return found

    def unresolved(self) -> set[tuple[str, str]]:
        """Apps and environments with an open incident."""
        rows = self.db.execute("select distinct app, environment from incidents where resolved = 0")
        return {(row["app"], row["environment"]) for row in rows}

    def without_data(self) -> set[tuple[str, str]]:
        """Apps and environments with an open incident that says "no data"."""
        rows = self.db.execute(
            "select distinct app, environment from incidents"
            " where resolved = 0 and json_extract(body, '$.stale.kind') = 'no_data'"
        )
        return {(row["app"], row["environment"]) for row in rows}

    def notes(self, app: str, environment: str, since: int) -> list[Note]:
        rows = self.db.execute(
            "select body from notes where app = ? and environment = ? and detected_at >= ? order by id",
            (app, environment, since),
        )
        return [Note.model_validate_json(row["body"]) for row in rows]

    def previews(self, app: str, environment: str) -> list[CasePreview]:
        rows = self.db.execute(
            "select body from previews where app = ? and environment = ? order by seq", (app, environment)
        )
        return [CasePreview.model_validate_json(row["body"]) for row in rows]

    def seen(self, ids: Iterable[str]) -> set[str]:
        """Which of these events have been absorbed."""
        found = set()
        for one in ids:
            if self.db.execute("select 1 from absorbed where id = ?", (one,)).fetchone():
                found.add(one)
        return found

    def verdict(self, command_id: str) -> tuple[str, bool] | None:
        """What became of a command, and whether it was done; None where it has not come yet."""
        row = self.db.execute("select verdict, done from commands where id = ?", (command_id,)).fetchone()
        return (row["verdict"], bool(row["done"])) if row else None

    # What a batch changed.

    def commit(self, batch: Batch, now: int) -> None:
        """All of ``batch`` or nothing of it; ``now`` is the wall clock in epoch ms."""
        with self.transaction():
            self.db.executemany(
                "insert or ignore into absorbed (id, at) values (?, ?)",
                [(one, now) for one in batch.absorbed],
            )
            for note in batch.notes:
                self.db.execute(
                    "insert or ignore into notes (id, app, environment, detected_at, stored_at, body)"
                    " values (?, ?, ?, ?, ?, ?)",
                    (note.signal_id, note.app, note.environment, note.detected_at, now, _text(note)),
                )
            for preview in batch.previews:
                self._keep(preview)
            for incident in batch.incidents:
                self._upsert(incident)
            for incident_id, (by_people, by_event) in batch.due.items():
                self.db.execute(
                    "update incidents set due_now = ?, due_watermark = ? where id = ?",
                    (by_people, by_event, incident_id),
                )
            for effect in batch.effects:
                self._owe(effect, now)
            self._remember(batch, now)

    def forget(self, now: int) -> None:
        """Drop what no event can need any more; at every start."""
        with self.transaction():
            self.db.execute("delete from absorbed where at < ?", (now - KEEP_ABSORBED_MS,))
            self.db.execute("delete from notes where stored_at < ?", (now - KEEP_ABSORBED_MS,))

    # The topic `incidents` follows this file.

    def unpublished(self) -> list[Incident]:
        """Incidents whose latest revision the topic may not have; after a crash, of earlier batches, too."""
        rows = self.db.execute("select body from incidents where published < revision order by rowid")
        return [Incident.model_validate_json(row["body"]) for row in rows]

    def published(self, incidents: Iterable[Incident]) -> None:
        with self.transaction():
            self.db.executemany(
                "update incidents set published = max(published, ?) where id = ?",
                [(incident.revision, incident.id) for incident in incidents],
            )

    # The topic `changes` gets what people have accepted.

    def acceptances(self) -> list[Acceptance]:
        """Those that the topic may not have."""
        return accepted.owed(self.db)

    def told_acceptances(self, acceptances: Iterable[Acceptance]) -> None:
        """The topic has these."""
        with self.transaction():
            accepted.told(self.db, acceptances)

    def _remember(self, batch: Batch, now: int) -> None:
        series.keep(self.db, batch.windows, now)
        stood.keep(self.db, batch.standings)
        accepted.keep(self.db, batch.acceptances)
        if (told := batch.calibrations) is not None:
            self.db.execute(
                "insert into calibrations (one, at, body) values (1, ?, ?) on conflict do update"
                " set at = excluded.at, body = excluded.body where excluded.at >= at",
                (told.at, _text(told)),
            )
        self.db.executemany(
            "insert into data (app, environment, route, signal, until) values (?, ?, ?, ?, ?)"
            " on conflict do update set until = max(until, excluded.until)",
            [(*units, until) for units, until in batch.data.items()],
        )
        self.db.executemany(
            "insert or replace into clocks (app, watermark, wall) values (?, ?, ?)",
            [(app, *clock) for app, clock in batch.clocks.items()],
        )
        self.db.executemany(
            "insert or ignore into commands (id, incident_id, verdict, done, stored_at, body)"
            " values (?, ?, ?, ?, ?, ?)",
            [
                (
                    asked.command.id,
                    asked.command.incident_id,
                    asked.verdict,
                    asked.done,
                    now,
                    _text(asked.command),
                )
                for asked in batch.commands
            ],
        )
        self.db.executemany(
            "insert or replace into labels (incident_id, rule, route, user, time, body)"
            " values (?, ?, ?, ?, ?, ?)",
            [(one.incident_id, one.rule, one.route, one.user, one.time, _text(one)) for one in batch.labels],
        )

    def _upsert(self, incident: Incident) -> None:
        alarm = max(member.last_at for member in incident.members)
        self.db.execute(
            """
            insert into incidents (id, app, environment, last_at, revision, body, resolved, detected_at,
              fingerprint) values (?, ?, ?, ?, ?, ?, ?, ?, ?)
            on conflict (id) do update set last_at = excluded.last_at, revision = excluded.revision,
              body = excluded.body, resolved = excluded.resolved, detected_at = excluded.detected_at,
              fingerprint = excluded.fingerprint where excluded.revision > revision
            """,
            (
                incident.id,
                incident.app,
                incident.environment,
                max(alarm, incident.resolved_at or 0),
                incident.revision,
                _text(incident),
                incident.state is IncidentState.RESOLVED,
                incident.detected_at,
                incident.fingerprint,
            ),
        )

    def _keep(self, preview: CasePreview) -> None:
        segment = preview.app, preview.environment, preview.route
        self.db.execute(
            "insert or ignore into previews (case_id, app, environment, route, body) values (?, ?, ?, ?, ?)",
            (preview.case_id, *segment, _text(preview)),
        )
        self.db.execute(
            """
            delete from previews where app = ? and environment = ? and route = ? and seq <= (
              select seq from previews where app = ? and environment = ? and route = ?
              order by seq desc limit 1 offset ?)
            """,
            (*segment, *segment, self.ring),
        )

    def _owe(self, effect: Effect, now: int) -> None:
        root = self.rows.root(effect.incident_id)
        outbox_id = derive("outbox", effect.incident_id, effect.kind.value, effect.revision)
        if root is not None and root.state is RowState.GATHERED:
            incident = self.incident(effect.incident_id)
            if incident is None or self.storms.owe(incident, effect, now):
                return
            # It leaves its digest: what was news becomes its first message.
            effect = effect.model_copy(update={"kind": EffectKind.POST})
        elif effect.kind is EffectKind.EDIT:
            self.storms.follow(effect, now)
        match effect.kind:
            case EffectKind.POST:
                self.rows.insert(outbox_id, effect, now, now)
            case EffectKind.REPLY if (
                root is not None and root.waiting and root.fell_back and effect.reason not in NO_CALL
            ):
                # Whoever was told elsewhere hears of it there.
                self.rows.insert(outbox_id, effect, now, now)
            case EffectKind.EDIT | EffectKind.REPLY if root is None or root.waiting:
                # The first message isn't out yet, and will be rendered from the incident as it then is.
                pass
            case EffectKind.EDIT:
                self.rows.coalesce(outbox_id, effect, now, self.timing.refresh_ms)
            case EffectKind.REPLY:
                self.rows.insert(outbox_id, effect, now, now)


def _text(value: Record) -> str:
    return encode(value).decode()
