"""What a store's owner does every night, by rows that say when: a process that was down catches up, once."""

from __future__ import annotations

from enum import StrEnum

from duckdb import DuckDBPyConnection

from sinks.evalstore.fields import moment

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Chore(StrEnum):
    BACKUP = "backup"
    WINDOWS = "windows"


def next_at(now: int, hour: int) -> int:
    """The next time that it is ``hour`` o'clock UTC, after ``now``; epoch ms.

    >>> next_at(0, 2) // HOUR_MS, next_at(2 * HOUR_MS, 2) // HOUR_MS
    (2, 26)
    """
    today = now - now % DAY_MS + hour * HOUR_MS
    return today if today > now else today + DAY_MS


def due(con: DuckDBPyConnection, now: int, hour: int) -> list[Chore]:
    """What is to be done now. What was never done is due the next time that it is ``hour`` o'clock."""
    for chore in Chore:
        con.execute(
            "INSERT INTO due VALUES (?, ?, NULL, NULL) ON CONFLICT DO NOTHING",
            [chore.value, moment(next_at(now, hour))],
        )
    query = "SELECT what FROM due WHERE due_at <= ? ORDER BY what"
    found = {str(row[0]) for row in con.execute(query, [moment(now)]).fetchall()}
    return [chore for chore in Chore if chore.value in found]


def done(con: DuckDBPyConnection, chore: Chore, now: int, hour: int, failed: str | None = None) -> None:
    """Move its row on: to the next night, or by an hour where it ``failed``."""
    again = next_at(now, hour) if failed is None else min(now + HOUR_MS, next_at(now, hour))
    con.execute(
        "UPDATE due SET due_at = ?, done_at = coalesce(?, done_at), failed = ? WHERE what = ?",
        [moment(again), moment(now) if failed is None else None, failed, chore.value],
    )


def drop_windows(con: DuckDBPyConnection, days: float) -> int:
    """Delete windows that end more than so many days before their app's newest one; how many rows went.

    Event time: a replayed past keeps its windows, and an app that fell silent its last ones.
    """
    gone = 0
    for table in ("window_parts", "signal_windows"):
        row = con.execute(
            f"""DELETE FROM {table} USING (SELECT app, max(end_ms) AS newest FROM {table} GROUP BY app) n
            WHERE {table}.app = n.app AND end_ms < newest - ?""",  # noqa: S608
            [int(days * DAY_MS)],
        ).fetchone()
        gone += int(row[0]) if row else 0
    return gone
