"""Rolling figures of each segment and signal as plain values, from a reader's connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from duckdb import CatalogException, DuckDBPyConnection

from schemas.base import rfc3339
from sinks.evalstore.errors import StoreMismatch

CHUNK = 500


class SegmentFilter(NamedTuple):
    """Whose figures; None does not narrow. ``until`` in epoch ms: None is the end of the newest windows."""

    app: str | None = None
    environment: str | None = None
    route: str | None = None
    until: int | None = None


class RollingFigure(NamedTuple):
    """One signal of one segment over one span (``5m``, ``1h``, ``24h``, ``7d``).

    A row of ``signals_rolling``. Times are RFC 3339. ``n`` units had a value, ``unmeasured`` had none; a
    mean, share or quantile of nothing is None. Quantiles are of amounts alone.
    """

    app: str
    environment: str
    route: str
    signal: str
    rolling: str
    rolling_start: str
    rolling_end: str
    n: int
    mean: float | None
    total: float
    per_hour: float
    unmeasured: int
    unmeasured_share: float | None
    late: int
    low: int
    low_share: float | None
    min: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


_TIMES = ("rolling_start", "rolling_end")


def rolling(con: DuckDBPyConnection, wanted: SegmentFilter | None = None) -> Iterator[RollingFigure]:
    """By segment and signal, the shortest span first.

    Raises ``StoreMismatch`` where a Gleaner from before rolling figures published the snapshot.
    """
    wanted = wanted or SegmentFilter()
    columns = [f"epoch_ms({name})" if name in _TIMES else name for name in RollingFigure._fields]
    query = f"""
        SELECT {", ".join(columns)}
        FROM signals_rolling_at(make_timestamptz($until::BIGINT * 1000))
        WHERE ($app IS NULL OR app = $app) AND ($environment IS NULL OR environment = $environment)
          AND ($route IS NULL OR route = $route)
        ORDER BY app, environment, route, signal, rolling_end - rolling_start"""  # noqa: S608
    try:
        cursor = con.execute(query, wanted._asdict())
    except CatalogException:
        raise StoreMismatch(
            "the snapshot was published by an earlier Gleaner, which knew no rolling figures: "
            "`gleaner store` of this one publishes them"
        ) from None
    while rows := cursor.fetchmany(CHUNK):
        for row in rows:
            figure = RollingFigure(*row)
            start, end = int(figure.rolling_start), int(figure.rolling_end)
            yield figure._replace(rolling_start=rfc3339(start), rolling_end=rfc3339(end))
