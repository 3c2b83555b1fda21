"""A store as Parquet files that any tool reads, and back: ``backup-YYYYMMDDTHHMMSSZ/`` with a manifest.

Taken from a snapshot, so that nothing waits for it. A restored store is compared with the files row by row
before it gets its name.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from duckdb import DuckDBPyConnection

from schemas.base import rfc3339
from sinks.evalstore.errors import StoreError, StoreMismatch
from sinks.evalstore.lock import OwnerLock
from sinks.evalstore.migrations import applied, check, migrate, migrations
from sinks.evalstore.snapshots import STORAGE_VERSION, newest_snapshot, sync

SUFFIX = ".backups"
MANIFEST = "manifest.json"
UNFINISHED = ".new-"
LOCK = ".lock"
FORMAT = 1
MIGRATIONS = "schema_migrations"


class Backup(NamedTuple):
    """``rows`` by table; ``taken`` in epoch ms, as the caller said; ``store`` tells stores apart."""

    path: Path
    taken: int
    rows: dict[str, int]
    bytes: int
    store: str


def backups_of(store: Path) -> Path:
    """The directory beside the store that its backups go to unless told otherwise."""
    return store.with_name(store.name + SUFFIX)


def make_backup(store: Path, directory: Path, now: int, keep: int | None = None) -> Backup:
    """Write the newest snapshot of a store to a new directory, all of it or nothing; ``now`` in epoch ms.

    All of this store but the newest ``keep`` are deleted afterwards; None keeps all. Waits for another backup
    to the same directory. Raises ``NoStore`` without a snapshot.
    """
    newest_snapshot(store)  # there is one, or nothing is made
    directory.mkdir(parents=True, exist_ok=True)
    with _alone(directory):
        return _make(store, directory, now, keep)


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """One at a time makes and deletes backups in a directory: what it finds unfinished is nobody's."""
    descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(store: Path, directory: Path, now: int, keep: int | None = None) -> Backup:
    snapshot = newest_snapshot(store)
    for left in directory.glob(f"{UNFINISHED}*"):
        _discard(left)
    unfinished = directory / f"{UNFINISHED}{uuid.uuid4().hex}"
    unfinished.mkdir()
    files: dict[str, dict[str, Any]] = {}
    with _database(snapshot) as con:
        versions = applied(con)
        check(versions, migrations())
        identity = _identity(con)
        for table in _tables(con):
            file = unfinished / f"{table}.parquet"
            con.execute(f"COPY {table} TO '{_quoted(file)}' (FORMAT parquet, COMPRESSION zstd)")
            rows = _count(con, f"SELECT count(*) FROM {table}")  # noqa: S608
            files[table] = {"rows": rows, "bytes": file.stat().st_size, "sha256": _digest(file)}
            sync(file)
    manifest = {
        "format": FORMAT,
        "taken": rfc3339(now),
        "taken_ms": now,
        "store": identity,
        "migrations": {str(version): sha256 for version, sha256 in sorted(versions.items())},
        "tables": files,
    }
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    sync(unfinished / MANIFEST)
    sync(unfinished)
    made = read_backup(unfinished)
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    target = directory / f"backup-{stamp}"
    if target.exists():
        target = directory / f"backup-{stamp}-{uuid.uuid4().hex[:8]}"
    os.rename(unfinished, target)
    sync(directory)
    if keep is not None:
        mine = [backup for backup in list_backups(directory) if backup.store == identity]
        for older in mine[:-keep]:
            _discard(older.path)
    return made._replace(path=target)


def renew_backups(store: Path, now: int) -> None:
    """Replace the backups beside a store by one of the newest snapshot, where there are any.

    What was forgotten is then in none of them, and there is no time without a backup. Whatever bears a
    backup's name goes, an archive of one, too: it may hold what was forgotten.
    """
    directory = backups_of(store)
    if not directory.is_dir():
        return
    with _alone(directory):
        older = [path for pattern in ("backup-*", f"{UNFINISHED}*") for path in directory.glob(pattern)]
        if older:
            _make(store, directory, now)
        for path in older:
            _discard(path)


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def list_backups(directory: Path) -> list[Backup]:
    """The readable ones of a directory, the oldest first."""
    found = []
    for path in directory.glob("backup-*"):
        with contextlib.suppress(StoreError):  # half copied, or none of ours
            found.append(read_backup(path))
    return sorted(found, key=lambda backup: (backup.taken, backup.path.name))


def read_backup(path: Path) -> Backup:
    """A backup by its manifest; raises ``StoreError`` where a file is missing or another size."""
    return _read_manifest(path).backup


class _Manifest(NamedTuple):
    """``hashes`` by table, ``migrations`` by version; the format is that of whoever wrote it."""

    backup: Backup
    format: Any
    hashes: dict[str, str]
    migrations: dict[int, str]


def _read_manifest(path: Path) -> _Manifest:
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        files = manifest["tables"]
        rows = {table: int(about["rows"]) for table, about in files.items()}
        whole = all((path / f"{table}.parquet").stat().st_size == files[table]["bytes"] for table in files)
        size = sum(int(about["bytes"]) for about in files.values())
        backup = Backup(path, int(manifest["taken_ms"]), rows, size, str(manifest["store"]))
        hashes = {table: str(about["sha256"]) for table, about in files.items()}
        versions = {int(version): str(sha256) for version, sha256 in manifest["migrations"].items()}
    except KeyError as error:
        raise StoreError(f"{path} is no backup that can be read: {file} has no {error}") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{path} is no backup that can be read: {error}") from None
    if not whole:
        raise StoreError(f"{path}: a file has another size than its manifest says")
    return _Manifest(backup, manifest.get("format"), hashes, versions)


def restore(backup: Path, store: Path) -> Backup:
    """Make a new store from a backup; it is compared with the files before it gets its name.

    Its owner's lock is held meanwhile. Raises ``StoreBusy`` where a process owns ``store``, even if its file
    was moved away; ``StoreError`` where the file or its log is there already, a file is not what the manifest
    says, or the restored rows are not those of the files; ``StoreMismatch`` where a newer Gleaner made it.
    """
    found, version, hashes, versions = _read_manifest(backup)
    if version != FORMAT:
        raise StoreMismatch(f"{backup} has format {version}: a newer Gleaner made it")
    for table, sha256 in hashes.items():
        if _digest(backup / f"{table}.parquet") != sha256:
            raise StoreError(f"{backup}: {table}.parquet is not what was written")
    check(versions, migrations())
    store.parent.mkdir(parents=True, exist_ok=True)
    lock = OwnerLock.acquire(store)
    try:
        # The log of an owner that was killed would be replayed into the restored file.
        for there in (store, store.with_name(store.name + ".wal")):
            if there.exists():
                raise StoreError(
                    f"{there} is there already: move it away with its store, or restore to a new name"
                )
        _fill(backup, found, versions, store)
    finally:
        lock.release()
    return found


def _fill(backup: Path, found: Backup, versions: Collection[int], store: Path) -> None:
    unfinished = store.with_name(f"{store.name}{UNFINISHED}{uuid.uuid4().hex}")
    try:
        with _database(unfinished, write=True) as con:
            migrate(con, [step for step in migrations() if step.version in versions])
            for table in found.rows:
                source = f"read_parquet('{_quoted(backup / f'{table}.parquet')}')"
                con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {source}")  # noqa: S608
            _compare(con, backup, found)
            con.execute("CHECKPOINT store")
        sync(unfinished)
        os.rename(unfinished, store)
        sync(store.parent)
    finally:
        for left in (unfinished, unfinished.with_name(unfinished.name + ".wal")):
            left.unlink(missing_ok=True)


def _compare(con: DuckDBPyConnection, backup: Path, found: Backup) -> None:
    """Every row of the files is in the store as often as there, and nothing else is."""
    for table in _tables(con):
        rows = _count(con, f"SELECT count(*) FROM {table}")  # noqa: S608
        if rows != found.rows.get(table, 0):
            raise StoreError(
                f"{backup}: {table} has {rows:,} rows after all, not {found.rows.get(table, 0):,}"
            )
        if not rows:
            continue
        columns = ", ".join(f"{name}::VARCHAR" for name in _columns(con, table))
        source = f"read_parquet('{_quoted(backup / f'{table}.parquet')}')"
        differing = _count(
            con,
            f"""SELECT count(*) FROM (SELECT {columns} FROM {table}
            EXCEPT ALL SELECT {columns} FROM {source})""",  # noqa: S608
        )
        if differing:
            raise StoreError(f"{backup}: {differing:,} rows of {table} are not as they were")


@contextlib.contextmanager
def _database(path: Path, write: bool = False) -> Iterator[DuckDBPyConnection]:
    """A file in a database instance of its own: other connections of this process to it go on undisturbed."""
    options = f"STORAGE_VERSION '{STORAGE_VERSION}'" if write else "READ_ONLY"
    with duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"}) as con:
        con.execute("SET memory_limit = '1GB'")
        con.execute("SET threads = 1")  # a nightly chore, beside everything else
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH '{_quoted(path)}' AS store (TYPE duckdb, {options})")
        con.execute("USE store")
        yield con


def _identity(con: DuckDBPyConnection) -> str:
    """When the store was made, to the microsecond: it never changes, and a restored store is another one."""
    return str(_count(con, f"SELECT epoch_us(min(applied)) FROM {MIGRATIONS}"))  # noqa: S608


def _tables(con: DuckDBPyConnection) -> list[str]:
    query = (
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'store' AND NOT temporary ORDER BY 1"
    )
    return [str(row[0]) for row in con.execute(query).fetchall() if row[0] != MIGRATIONS]


def _columns(con: DuckDBPyConnection, table: str) -> list[str]:
    return [str(row[0]) for row in con.execute(f"DESCRIBE {table}").fetchall()]


def _count(con: DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
