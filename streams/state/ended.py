"""The files of streams that have ended, ledgers and states of a topic's earlier life, are removed."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from rocksdict import Rdict

log = logging.getLogger(__name__)


def name_of(topic: str, stream: str, partition: int) -> str:
    """What a partition's files are called. ``topic`` has its deployment's prefix, and no topic's name can
    hold an @: deployments that share a folder never take each other's files for their own."""
    return f"{topic}@{stream}-{partition}"


def remove_ended(state_dir: Path, topic: str, stream: str) -> list[str]:
    """Remove the files of this topic's other streams; returns their names.

    A topic has one life at a time, so they are over: it was made again, or it was an embedded broker's. What
    a process holds open (a frozen predecessor) is left for the next start.
    """
    removed = []
    for path in sorted([*(state_dir / "ledger").glob("*@*"), *(state_dir / "rolling").glob("*@*.sqlite")]):
        of, _, life = path.name.removesuffix(".sqlite").partition("@")
        if of != topic or life.rpartition("-")[0] == stream:
            continue
        if _remove_ledger(path) if path.is_dir() else _remove_state(path):
            removed.append(path.name)
        else:
            log.warning("%s is of a stream that has ended, and a process holds it: left there", path)
    return removed


def _remove_ledger(path: Path) -> bool:
    for slot in sorted(path.iterdir()):
        try:
            Rdict.destroy(str(slot))
        except Exception as error:
            if "lock" not in str(error).lower():
                raise
            return False
        if slot.exists():
            slot.rmdir()
    path.rmdir()
    return True


def _remove_state(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as db:
        try:
            # Only the one connection of a file can leave its write-ahead log.
            db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return False
    path.unlink()
    return True
