"""Publish the store under a new name; open the newest, hardened.

A directory of snapshots holds ``snap-NNNNNNNNNN-xxxxxxxx.duckdb`` files, of which ``manifest.json`` names
the one to read. Names are never used twice: a process that still holds an old file of a name would get
the old one again. A reader keeps what it has opened, even after it was pruned.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import duckdb
from duckdb import DuckDBPyConnection

from sinks.evalstore.errors import NoStore, StoreError
from sinks.evalstore.migrations import applied, check, migrations

MANIFEST = "manifest.json"
SUFFIX = ".snapshots"
STORAGE_VERSION = "v1.5.0"
"""Format of every file that Gleaner writes: both DuckDB 1.5 and 2.x read and write it."""
ATTEMPTS = 5

HARDENED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "autoload_known_extensions": "false",
    "autoinstall_known_extensions": "false",
    "allow_community_extensions": "false",
    "memory_limit": "1GB",
    "threads": "2",
}
SPILL = ".spill-"
"""Begins the name of the directory beside the snapshots in which a reader puts what its memory does not hold;
the reader's process id ends it."""
MOST_SPILLED = "8GB"


def snapshots_of(store: Path) -> Path:
    """The directory beside the store that its snapshots are published to."""
    return store.with_name(store.name + SUFFIX)


def publish(store: Path, directory: Path, now: int, keep: int = 3) -> Path:
    """Copy the store to a new file, make it the one to read, delete all but the newest ``keep``.

    Its owner calls this, right after a checkpoint and with no write under way: the file alone is then all
    of it. ``now`` in epoch ms is written to the manifest. A crash leaves the former snapshot in force.
    """
    directory.mkdir(parents=True, exist_ok=True)
    sequence = int(_manifest(directory).get("sequence", 0)) + 1
    unfinished = directory / f".new-{uuid.uuid4().hex}.duckdb"
    _copy(store, unfinished)
    path = directory / f"snap-{sequence:010d}-{uuid.uuid4().hex[:8]}.duckdb"
    os.rename(unfinished, path)
    sync(path)
    manifest = directory / f".new-{uuid.uuid4().hex}.json"
    manifest.write_text(json.dumps({"file": path.name, "sequence": sequence, "published": now}))
    sync(manifest)
    os.replace(manifest, directory / MANIFEST)
    sync(directory)
    _prune(directory, path.name, keep)
    return path


def newest_snapshot(store: Path) -> Path:
    """The file of the newest snapshot of a store, or of a directory of snapshots. Raises ``NoStore``."""
    directory = store if (store / MANIFEST).exists() else snapshots_of(store)
    name = _manifest(directory).get("file")
    if not isinstance(name, str) or not (directory / name).exists():
        raise NoStore(f"{directory} holds no snapshot: `gleaner store` publishes one")
    return directory / name


def published_at(directory: Path) -> int:
    """When the newest snapshot was published, epoch ms; 0 where none was."""
    return int(_manifest(directory).get("published", 0))


def open_reader(directory: Path, spill: bool = True) -> DuckDBPyConnection:
    """A read-only connection to the newest snapshot: no files, no network, no settings, UTC.

    ``spill``: what a query's memory does not hold goes to disk, up to 8 GB; else such a query is refused. One
    process takes one or the other. Raises ``NoStore`` where nothing was published, ``StoreMismatch`` where a
    newer Gleaner published it.
    """
    for _ in range(ATTEMPTS):
        name = _manifest(directory).get("file")
        if not isinstance(name, str):
            break
        try:
            con = _connect(directory / name, spill)
        except duckdb.IOException as error:
            # Pruned between the manifest and here: the manifest names a newer one by now.
            if (directory / name).exists():
                why = str(error).splitlines()[0]
                raise StoreError(f"{directory / name} cannot be opened: {why}") from None
            continue
        check(applied(con), migrations())
        return con
    raise NoStore(f"{directory} holds no snapshot: `gleaner store` publishes one")


_OPENING = threading.Lock()


def _connect(path: Path, spill: bool) -> DuckDBPyConnection:
    """Hardened, in UTC, and its settings locked.

    Connections of one process to one file are to one database: they share its settings, and the lock on them.
    """
    target = str(path.parent.absolute() / f"{SPILL}{os.getpid()}") if spill else ""
    config = HARDENED | {"temp_directory": target, "max_temp_directory_size": MOST_SPILLED}
    with _OPENING:
        con = duckdb.connect(str(path), read_only=True, config=config)
        if con.execute("SELECT current_setting('lock_configuration')").fetchone() == (False,):
            no_progress_bar(con)
            con.execute("SET GLOBAL TimeZone = 'UTC'")
            con.execute("SET lock_configuration = true")
    return con


def no_progress_bar(con: DuckDBPyConnection) -> None:
    """After 2 s it would stand between the lines of a command's output."""
    try:
        con.execute("SET enable_progress_bar = false")
    except duckdb.InvalidInputException as error:
        # In a notebook without ipywidgets there is none, and DuckDB refuses to set it either way.
        if "ipywidgets" not in str(error):
            raise


def _copy(store: Path, target: Path) -> None:
    """In a process of its own: were this one to open and close the live file, its lock would be gone."""
    program = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
    command = [sys.executable, "-I", "-S", "-c", program, str(store), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        raise StoreError(f"{store} cannot be copied to {target.parent}: {why}")


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        found = json.loads((directory / MANIFEST).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{directory / MANIFEST} cannot be read: {error}") from None
    return found if isinstance(found, dict) else {}


def sync(path: Path) -> None:
    """Wait until a file, or a directory's names, are on disk. Never the live file: see ``lock``."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prune(directory: Path, newest: str, keep: int) -> None:
    """Delete older snapshots and what a crash left; only the owner publishes, so nobody is in the middle."""
    older = sorted(path for path in directory.glob("snap-*.duckdb") if path.name != newest)
    for path in [*older[: len(older) - keep + 1], *directory.glob(".new-*")]:
        path.unlink(missing_ok=True)
    # Earlier versions let DuckDB choose the name.
    for path in [*directory.glob(f"{SPILL}*"), *directory.glob("snap-*.tmp")]:
        if not _reads(path.name.removeprefix(SPILL)):
            shutil.rmtree(path, ignore_errors=True)


def _reads(process: str) -> bool:
    """Whether the process that a directory of spilled rows is of may be there still."""
    try:
        os.kill(int(process), 0)
    except (ValueError, ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
