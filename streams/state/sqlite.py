"""State in one SQLite file per partition: for the embedded broker, which has no transactions.

Exact on one machine. The file doesn't follow the partition, so the stage has one owner there.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from streams.state.base import Fenced, Opened, Output

Send = Callable[[Sequence[Output]], Awaitable[None]]

SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reached (
    id INTEGER PRIMARY KEY CHECK (id = 1), upto INTEGER NOT NULL, epoch INTEGER NOT NULL
);
INSERT OR IGNORE INTO reached VALUES (1, 0, 0);
"""


class SqliteState:
    """The state of one partition in ``path``; ``send`` delivers outputs and returns after their acks.

    The fence is an epoch that ``open`` raises, and the position itself: a commit updates the row of
    its own epoch and expected position or, finding none, raises ``Fenced``. Outputs go first: a crash
    in between repeats them with the same ids, while the other order would lose an alarm for ever.
    """

    def __init__(self, path: Path, send: Send) -> None:
        self.path, self.send = path, send
        self._db: sqlite3.Connection | None = None
        self._epoch = 0
        self._upto = 0

    async def open(self) -> Opened:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # One commit at a time, each in a worker thread: the connection is never used by two at once.
        db = sqlite3.connect(self.path, isolation_level=None, timeout=10, check_same_thread=False)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(SCHEMA)
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE reached SET epoch = epoch + 1")
        self._upto, self._epoch = db.execute("SELECT upto, epoch FROM reached").fetchone()
        entries = dict(db.execute("SELECT key, value FROM entries").fetchall())
        db.execute("COMMIT")
        self._db = db
        return Opened(self._upto, entries)

    async def commit(
        self, position: int, changes: Mapping[str, bytes | None], outputs: Sequence[Output]
    ) -> None:
        await self.send(outputs)
        await asyncio.to_thread(self._write, position, dict(changes))

    def _write(self, position: int, changes: dict[str, bytes | None]) -> None:
        db = self._db
        assert db is not None, "open() comes first"
        db.execute("BEGIN IMMEDIATE")
        try:
            done = db.execute(
                "UPDATE reached SET upto = ? WHERE upto = ? AND epoch = ?",
                (position, self._upto, self._epoch),
            )
            if done.rowcount != 1:
                raise Fenced(f"{self.path.name}: another process holds it")
            db.executemany(
                "INSERT OR REPLACE INTO entries VALUES (?, ?)",
                [(key, value) for key, value in changes.items() if value is not None],
            )
            db.executemany(
                "DELETE FROM entries WHERE key = ?",
                [(key,) for key, value in changes.items() if value is None],
            )
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        self._upto = position

    async def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None
