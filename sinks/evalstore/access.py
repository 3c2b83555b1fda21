"""From a ``--store`` path to a reader's connection."""

from __future__ import annotations

from pathlib import Path

from duckdb import DuckDBPyConnection

from sinks.evalstore.errors import NoStore, StoreBusy
from sinks.evalstore.lock import owned
from sinks.evalstore.owner import StoreOwner
from sinks.evalstore.snapshots import MANIFEST, open_reader, published_at, snapshots_of


def open_for_reading(store: Path, now: int) -> DuckDBPyConnection:
    """The newest snapshot of a store; ``store`` is its file, or a directory of snapshots.

    Where no process owns the store and its file is newer than its snapshots (its owner was killed, or
    never published), this becomes the owner for as long as it takes to publish one; ``now`` in epoch ms
    goes into its manifest. Raises ``NoStore`` where there is nothing to read.
    """
    if (store / MANIFEST).exists():
        return open_reader(store)
    if not store.name:  # "." and "/" have no file beside them
        raise NoStore(f"no eval store at {store}: name its file with --store")
    directory = snapshots_of(store)
    published = (directory / MANIFEST).exists()
    if not store.exists() and not published:
        raise NoStore(f"no eval store at {store}: `gleaner store` makes one; name another with --store")
    if _behind(store, directory):
        try:
            with StoreOwner.open(store) as owner:
                owner.publish(now)
        except (StoreBusy, PermissionError):
            # Its owner publishes when it is due; until then the former snapshot is the truth for readers.
            if not published:
                raise
    return open_reader(directory)


def waiting_since(store: Path) -> int | None:
    """When the newest snapshot was published (epoch ms; 0: none was), where its owner has stored more since.

    None where a reader sees all there is: nothing newer, nobody who owns it (who reads publishes first), or
    ``store`` is a directory of snapshots. It looks at times of files only.
    """
    directory = snapshots_of(store)
    if not store.is_file() or not _behind(store, directory) or not owned(store):
        return None
    return published_at(directory)


def _behind(store: Path, directory: Path) -> bool:
    """Whether something was written after the newest snapshot. Looks at times only: see ``lock``."""
    written = max(_changed(store), _changed(store.with_name(store.name + ".wal")))
    return written >= _changed(directory / MANIFEST) if written else False


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
