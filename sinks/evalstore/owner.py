"""The one writer of a store."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from schemas.case import EvalCase
from schemas.dead_letter import DeadLetter
from schemas.incident import Incident
from schemas.signal import Recovery, RollingReport, Signal, WindowStat
from sinks.evalstore import clustering
from sinks.evalstore.annotations import Annotate, Annotated, Private, annotate
from sinks.evalstore.backup import renew_backups
from sinks.evalstore.build import Storable, rows_of
from sinks.evalstore.clusters import Clusters
from sinks.evalstore.due import Chore, done, drop_windows, due
from sinks.evalstore.erase import discard_unfinished, rewrite
from sinks.evalstore.errors import StoreBusy, StoreMismatch
from sinks.evalstore.fields import moment
from sinks.evalstore.forget import Forget, Forgotten, Tombstones, forget
from sinks.evalstore.isolate import FAULTS_OF_A_VALUE, isolate
from sinks.evalstore.lock import OwnerLock
from sinks.evalstore.migrations import migrate
from sinks.evalstore.readers import Readers
from sinks.evalstore.reading import Totals, totals
from sinks.evalstore.regroup import Merge, Regrouped, Split, TakenBack, Undo, merge, split, undo
from sinks.evalstore.rejects import rejection
from sinks.evalstore.releases.bundle import discard_strays, settle, strays
from sinks.evalstore.releases.freezing import Freeze, Frozen, freeze
from sinks.evalstore.releases.kept import Run, keep
from sinks.evalstore.releases.reviews import Review, Reviewed, review
from sinks.evalstore.requests import forget_texts
from sinks.evalstore.review_state import ReviewState, review_state
from sinks.evalstore.rows import Row
from sinks.evalstore.snapshots import MANIFEST, STORAGE_VERSION, no_progress_bar, publish, snapshots_of
from sinks.evalstore.staging import insert

Result = TypeVar("Result")

LOG_BEFORE_CHECKPOINT = "256MB"
"""DuckDB's write-ahead log grows to this before a write waits for it to be folded into the file."""
ROWS_PER_GROUP = 2048
"""A checkpoint rewrites the row groups that changed. Cases are large and come at the end: DuckDB's usual
122,880 rows would make every snapshot of a smaller store rewrite, and compress, all of it."""


class Written(NamedTuple):
    """What one ``write`` really added or replaced.

    ``rejected`` are values that cannot be stored, ``forgotten`` those of whom or what was forgotten.
    """

    cases: int = 0
    case_events: int = 0
    signals: int = 0
    recoveries: int = 0
    windows: int = 0
    reports: int = 0
    incidents: int = 0
    dead_letters: int = 0
    rejected: int = 0
    forgotten: int = 0

    def plus(self, other: Written) -> Written:
        return Written(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class StoreOwner:
    """Owns the file from ``open`` to ``close``. Writing a thing twice has the effect of once.

    Not for several threads: everything that touches it belongs in one, but for ``readers``. Other processes
    never get this file, they get the snapshots that ``publish`` makes beside it.
    """

    def __init__(self, path: Path, con: DuckDBPyConnection, lock: OwnerLock) -> None:
        self.path, self._con, self._lock = path, con, lock
        self._unpublished = True
        self._clusters: Clusters | None = None
        self._tombstones = Tombstones.load(con)
        self.readers = Readers(con)
        unerased = con.execute("SELECT count(*) FROM forgotten WHERE erased_at IS NULL").fetchone()
        self._unerased = unerased != (0,)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open or create the store and migrate it.

        Raises ``StoreBusy`` where another process owns it, ``StoreMismatch`` where the file is something
        else or was written by a newer Gleaner.
        """
        path = path.absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = OwnerLock.acquire(path)
        try:
            con = _connect(path)
            try:
                migrate(con)
            except BaseException:
                con.close()
                raise
        except BaseException:
            lock.release()
            raise
        owner = cls(path, con, lock)
        try:
            owner._place_older_cases()
            settle(con, path)
        except BaseException:
            owner.close()
            raise
        return owner

    def write(
        self,
        cases: Sequence[EvalCase] = (),
        signals: Sequence[Signal] = (),
        recoveries: Sequence[Recovery] = (),
        windows: Sequence[WindowStat] = (),
        reports: Sequence[RollingReport] = (),
        incidents: Sequence[Incident] = (),
        dead_letters: Sequence[DeadLetter] = (),
        *,
        now: int,
    ) -> Written:
        """All of it in one transaction, durable on return; ``now`` in epoch ms.

        A value that cannot be stored is set aside as a dead letter and counted in ``rejected``; the rest
        of its batch is stored. Raises ``duckdb.Error`` for what is no value's fault, with nothing written.
        """
        self._erase(now)
        given: list[Storable] = [
            *cases,
            *signals,
            *recoveries,
            *windows,
            *reports,
            *incidents,
            *dead_letters,
        ]
        values = [value for value in given if not self._tombstones.cover(value)]
        rejected = 0
        try:
            done = self._commit(values, (), now)
        except FAULTS_OF_A_VALUE:
            good, bad = isolate(values, lambda some: self._try(some, now))
            rejected = len(bad)
            done = self._commit(good, [rejection(value, error, now) for value, error in bad], now)
        written = Written(
            done["cases"],
            done["case_events"],
            done["signals"],
            done["recoveries"],
            done["window_parts"],
            done["reports"],
            done["incident_revisions"],
            done["dead_letters"],
            rejected,
            len(given) - len(values),
        )
        self._unpublished = self._unpublished or any(written[:-1])
        return written

    def forget(self, what: Forget, now: int) -> Forgotten:
        """Delete a user's or a trace's rows, and their bytes from every file of the store.

        The file is written anew, a snapshot published, and all older ones deleted: about as long as two
        snapshots. Cases from before ``now`` that Kafka delivers again are not written; of a forgotten trace,
        none. If it is interrupted, the next write or snapshot finishes it first. ``now`` in epoch ms.
        """
        self._con.begin()
        try:
            done = forget(self._con, what, now)
            self._con.commit()
        except BaseException:
            self._con.rollback()
            raise
        self._clusters = None
        self._tombstones = Tombstones.load(self._con)
        self._unerased = self._unpublished = True
        self._erase(now)
        return done

    def freeze(self, wanted: Freeze, now: int) -> Frozen:
        """Freeze a set of cases, for good, and write its files beside the store; ``now`` in epoch ms.

        Asked twice for the same, it is there once. Raises ``BadRequest`` where the name is another set's.
        """
        self._con.begin()
        try:
            done = freeze(self._con, wanted, now)
            self._con.commit()
        except BaseException:
            self._con.rollback()
            raise
        self._unpublished = True
        settle(self._con, self.path)
        return done

    def strays(self) -> list[Path]:
        """What lies among the files of the store's releases and is of none of them: the next ``forget``
        deletes it."""
        return strays(self._con, self.path)

    def review(self, said: Review, now: int, request: str | None = None) -> Reviewed:
        """Keep somebody's verdict on a case. ``request``: the name of the request for it, by which it is done
        once (see ``saying``); so below. Raises ``BadRequest``."""
        return self._said(lambda con: review(con, said, now, request))

    def annotate(self, wanted: Annotate, private: Private, now: int) -> Annotated:
        """Keep labels, criteria, an expected answer or an assignment. Raises ``BadRequest``."""
        return self._said(lambda con: annotate(con, wanted, private, now))

    def review_state(self, case_id: str) -> ReviewState:
        """What reviewers have said of a case's cluster by now. Raises ``BadRequest``."""
        return review_state(self._con, case_id)

    def app_of(self, id: str) -> str | None:
        """The application of a case or a cluster; None where there is none of this id."""
        row = self._con.execute(
            """SELECT any_value(app) FROM cases JOIN cluster_of USING (case_id)
            WHERE $id IN (case_id, cluster_id)""",
            {"id": id},
        ).fetchone()
        return None if row is None or row[0] is None else str(row[0])

    def keep(self, run: Run, now: int) -> str:
        """Keep a run of the gate; its id. Raises ``BadRequest`` where there is no such release."""
        return self._said(lambda con: keep(con, run, now))

    def split(self, wanted: Split, now: int, request: str | None = None) -> Regrouped:
        """Some cases of a cluster become one of their own. Raises ``BadRequest``."""
        return self._said(lambda con: split(con, wanted, now, request))

    def merge(self, wanted: Merge, now: int, request: str | None = None) -> Regrouped:
        """Two clusters are one from now on. Raises ``BadRequest``."""
        return self._said(lambda con: merge(con, wanted, now, request))

    def undo(self, wanted: Undo, now: int, request: str | None = None) -> TakenBack:
        """A verdict, an annotation, a split or a merge counts no more. Raises ``BadRequest``."""
        return self._said(lambda con: undo(con, wanted, now, request))

    def _said(self, what: Callable[[DuckDBPyConnection], Result]) -> Result:
        """What a person said, in one transaction."""
        self._con.begin()
        try:
            done = what(self._con)
            self._con.commit()
        except BaseException:
            self._con.rollback()
            raise
        self._unpublished = True
        return done

    def due(self, now: int, hour: int) -> list[Chore]:
        """What the night's rows say is to be done now; ``now`` in epoch ms, ``hour`` in UTC."""
        return due(self._con, now, hour)

    def done(self, chore: Chore, now: int, hour: int, failed: str | None = None) -> None:
        """It was done, or why not; its row moves on."""
        done(self._con, chore, now, hour, failed)
        self._unpublished = True

    def drop_windows(self, days: float) -> int:
        """Delete windows that end so many days before their app's newest one; how many rows went."""
        gone = self._said(lambda con: drop_windows(con, days))
        self._unpublished = self._unpublished or bool(gone)
        return gone

    def _erase(self, now: int) -> None:
        """What is deleted is gone from the files, too; see ``forget``."""
        if not self._unerased:
            return
        settle(self._con, self.path)
        discard_strays(self._con, self.path)
        forget_texts(self.path)
        with self.readers.alone():
            rewrite(self._con, self.path, lambda name, path: _attach(self._con, path, name))
        self.checkpoint()
        publish(self.path, snapshots_of(self.path), now, keep=1)
        renew_backups(self.path, now)
        self._con.execute("UPDATE forgotten SET erased_at = ? WHERE erased_at IS NULL", [moment(now)])
        self._unerased, self._unpublished = False, True

    def _commit(self, values: Sequence[Storable], faults: Sequence[Row], now: int) -> dict[str, int]:
        rows = [row for value in values for row in rows_of(value, now)]
        self._con.begin()
        try:
            done = insert(self._con, [*rows, *faults])
            if done.new_cases:
                insert(self._con, clustering.place(self._index(), done.new_cases))
            self._con.commit()
        except BaseException:
            self._con.rollback()
            self._clusters = None  # it may know cases that the store does not
            raise
        return done.counts

    def prepare(self) -> None:
        """Build the index of texts now, and not within the first batch that brings a case.

        It is built from the store: 76 s of processor time for a million texts.
        """
        self._index()

    def _index(self) -> Clusters:
        if self._clusters is None:
            self._clusters = clustering.load(self._con)
        return self._clusters

    def _place_older_cases(self) -> None:
        """Cases of a store from before there were clusters get theirs."""
        counts = "SELECT (SELECT count(*) FROM cases) - (SELECT count(*) FROM case_clusters)"
        row = self._con.execute(counts).fetchone()
        if not row or not row[0]:
            return
        while contents := clustering.unplaced(self._con):
            rows = clustering.place_contents(self._index(), contents)
            self._con.begin()
            try:
                insert(self._con, rows)
                self._con.commit()
            except BaseException:
                self._con.rollback()
                self._clusters = None
                raise

    def _try(self, values: Sequence[Storable], now: int) -> None:
        rows = [row for value in values for row in rows_of(value, now)]
        self._con.begin()
        try:
            insert(self._con, rows)
        finally:
            self._con.rollback()

    @property
    def unpublished(self) -> bool:
        """Whether the newest snapshot lacks something that was written."""
        return self._unpublished

    def publish(self, now: int) -> Path:
        """A snapshot of what is written, for readers; the former ones stay readable for a while.

        Nothing is written meanwhile: about half a second, and the time to copy the file.
        """
        self._erase(now)
        self.checkpoint()
        path = publish(self.path, snapshots_of(self.path), now)
        self._unpublished = False
        return path

    def clusters(self, case_ids: Collection[str]) -> int:
        """How many clusters these cases are."""
        query = "SELECT count(DISTINCT cluster_id) FROM cluster_of WHERE case_id IN (SELECT unnest(?))"
        row = self._con.execute(query, [list(case_ids)]).fetchone()
        assert row is not None
        return int(row[0])

    def counts(self) -> Totals:
        return totals(self._con)

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file: for idle moments, a write would wait for it."""
        with self.readers.alone():  # DuckDB refuses one now and then while others read
            self._con.execute("CHECKPOINT store")

    def close(self) -> None:
        """Checkpoint and let go; harmless when already closed. Publishing is the caller's decision."""
        self.readers.close()
        self._con.close()
        if not self._unpublished:
            # Closing touched the live file; the snapshot is still all of it.
            manifest = snapshots_of(self.path) / MANIFEST
            if manifest.exists():
                os.utime(manifest)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _attach(con: DuckDBPyConnection, path: Path, name: str) -> None:
    """Attached, because only that takes a row group size; it is not kept in the file."""
    target = str(path).replace("'", "''")
    options = f"TYPE duckdb, STORAGE_VERSION '{STORAGE_VERSION}', ROW_GROUP_SIZE {ROWS_PER_GROUP}"
    con.execute(f"ATTACH '{target}' AS {name} ({options})")


def _connect(path: Path) -> DuckDBPyConnection:
    discard_unfinished(path)
    con = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    try:
        _attach(con, path, "store")
    except duckdb.Error as error:
        con.close()
        why = str(error).splitlines()[0]
        if "Could not set lock" in why:
            raise StoreBusy(f"{path} is open in another program: close it there, read snapshots") from None
        raise StoreMismatch(f"{path} cannot be opened as an eval store: {why}") from None
    con.execute("USE store")
    con.execute(f"SET wal_autocheckpoint = '{LOG_BEFORE_CHECKPOINT}'")
    con.execute("SET TimeZone = 'UTC'")
    no_progress_bar(con)
    return con
