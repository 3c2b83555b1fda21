"""How detectors stood: every record of the last day, one an hour of the last two weeks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from schemas.signal import Standing

HOUR_MS = 3_600_000
WHOLE_MS = 26 * HOUR_MS
KEEP_MS = 14 * 24 * HOUR_MS


def keep(db: sqlite3.Connection, standings: Iterable[Standing]) -> None:
    """Adds records; each thins out the hour of its segment that is a day old now, and ends what is two weeks
    old. One that comes twice is kept once."""
    for one in standings:
        of = one.app, one.environment, one.route
        db.execute(
            "insert or replace into standings values (?, ?, ?, ?, ?)",
            (*of, one.at, one.model_dump_json(exclude_defaults=True)),
        )
        old = (one.at - WHOLE_MS) // HOUR_MS * HOUR_MS
        where = "app = ? and environment = ? and route = ?"
        db.execute(
            f"delete from standings where {where} and (at < ? or at >= ? and at < ? and at > ("  # noqa: S608 - no value in it
            f" select min(at) from standings where {where} and at >= ?))",
            (*of, one.at - KEEP_MS, old - HOUR_MS, old, *of, old - HOUR_MS),
        )
