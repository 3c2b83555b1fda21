"""How much each segment brings, and what its signals are, from the windows of a store."""

from __future__ import annotations

from typing import NamedTuple

from duckdb import DuckDBPyConnection

DAY_MS = 86_400_000
RECENT_DAYS = 28
"""Days before the store's newest window that are looked at: volumes of last year plan nothing."""


class DayVolume(NamedTuple):
    """One signal of one segment on one day (UTC): the sum ``total`` over ``n`` units.

    ``unmeasured`` units had no value. ``start`` and ``end`` are those of its first and last window,
    epoch ms.
    """

    app: str
    environment: str
    route: str
    signal: str
    day: int
    n: int
    total: float
    unmeasured: int
    start: int
    end: int


def day_volumes(con: DuckDBPyConnection, days: int = RECENT_DAYS) -> list[DayVolume]:
    """Every signal of every segment, day by day, of the last so many days that the store knows."""
    rows = con.execute(
        """SELECT app, environment, route, signal, epoch_ms(window_start) // $day::BIGINT AS day,
            sum(n)::BIGINT, sum(total)::DOUBLE, sum(unmeasured)::BIGINT,
            min(epoch_ms(window_start)), max(epoch_ms(window_end))
        FROM windows
        WHERE epoch_ms(window_start) >= (SELECT max(epoch_ms(window_end)) FROM windows) - $days * $day::BIGINT
        GROUP BY ALL ORDER BY ALL""",
        {"day": DAY_MS, "days": days},
    ).fetchall()
    return [DayVolume(*row) for row in rows]
