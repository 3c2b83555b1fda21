"""Write the store's file anew, without what was deleted from it.

DuckDB frees the blocks of deleted rows, it does not overwrite them: their bytes stay in the file, and in its
log, until something else takes their place. A copy of the live rows takes nothing along.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

from duckdb import DuckDBPyConnection

from sinks.evalstore.snapshots import sync

UNFINISHED = ".new-"


def rewrite(con: DuckDBPyConnection, path: Path, attach: Callable[[str, Path], None]) -> None:
    """Replace the file of the attached database ``store`` by a copy of its rows, on disk before this returns.

    ``attach`` attaches a file under a name. The owner's lock is on another file, and keeps others out while
    this one is closed. A crash leaves the old file or the new one, and at most an unfinished copy.
    """
    discard_unfinished(path)
    fresh = path.with_name(f"{path.name}{UNFINISHED}{uuid.uuid4().hex}")
    con.execute("CHECKPOINT store")
    attach("fresh", fresh)
    con.execute("COPY FROM DATABASE store TO fresh")
    con.execute("DETACH fresh")
    con.execute("USE memory")
    con.execute("DETACH store")
    try:
        sync(fresh)
        os.replace(fresh, path)
        path.with_name(path.name + ".wal").unlink(missing_ok=True)
        sync(path.parent)
    finally:
        attach("store", path)
        con.execute("USE store")


def discard_unfinished(path: Path) -> None:
    """Delete what a crash in the middle left."""
    for left in path.parent.glob(f"{path.name}{UNFINISHED}*"):
        left.unlink(missing_ok=True)
