"""What people have accepted as normal, until the topic `changes` has it: rows of notify's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from schemas.acceptance import Acceptance
from schemas.codec import encode
from schemas.identity import derive


def keep(db: sqlite3.Connection, acceptances: Iterable[Acceptance]) -> None:
    """Owe the topic these; part of the caller's transaction. To owe one twice is to owe it once."""
    db.executemany(
        "insert or ignore into acceptances (id, body) values (?, ?)",
        [(_id(one), encode(one).decode()) for one in acceptances],
    )


def owed(db: sqlite3.Connection) -> list[Acceptance]:
    """Those that the topic may not have; what it has after all, the app's owner drops the second time."""
    rows = db.execute("select body from acceptances order by rowid")
    return [Acceptance.model_validate_json(row["body"]) for row in rows]


def told(db: sqlite3.Connection, acceptances: Iterable[Acceptance]) -> None:
    """The topic has these."""
    db.executemany("delete from acceptances where id = ?", [(_id(one),) for one in acceptances])


def _id(one: Acceptance) -> str:
    named = (one.app, one.environment, one.route, one.signal, one.rule)
    return derive("acceptance", *named, one.timestamp)
