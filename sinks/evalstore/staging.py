"""Rows into a temporary table, then into their own: each at most once, the newest or the last one standing.

Two ways in, one per DuckDB generation, both without a further dependency: 2.x has an appender, 1.5
takes the batch as one JSON parameter. Both raise on a value of the wrong type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from sinks.evalstore.rows import (
    CaseEventRow,
    CaseRow,
    ClusterRow,
    DeadLetterRow,
    IncidentRow,
    MergeRow,
    RecoveryRow,
    ReportRow,
    Row,
    SignalRow,
    WindowRow,
)


class Fullest(NamedTuple):
    """Where ``column`` is 0 a row that says less than the one before it, by the sum of ``units``, changes
    nothing: a replay that begins in the middle of a window knows a part of it."""

    column: str
    units: tuple[str, ...]

    def stands(self, old: Row, new: Row) -> bool:
        """Whether the old row stands."""
        size = attrgetter(*self.units)
        return bool(getattr(new, self.column) == 0 and sum(size(new)) < sum(size(old)))

    def condition(self, table: str) -> str:
        """SQL that is true where the new row replaces the old one."""
        sizes = (" + ".join(f"{side}.{unit}" for unit in self.units) for side in ("excluded", table))
        return f"(excluded.{self.column} <> 0 OR {' >= '.join(sizes)})"


class Table(NamedTuple):
    """``key`` and ``newest``: only a row with a higher ``newest`` replaces one of the same key. ``key``
    alone: each row replaces what was written before it."""

    name: str
    row: type[Row]
    key: tuple[str, ...] = ()
    newest: str | None = None
    first: Fullest | None = None


WINDOW_PART = ("app", "environment", "route", "signal", "start_ms", "end_ms", "part")
TABLES: tuple[Table, ...] = (
    Table("cases", CaseRow),
    Table("case_events", CaseEventRow),
    Table("case_clusters", ClusterRow),
    Table("cluster_merges", MergeRow),
    Table("signals", SignalRow),
    Table("recoveries", RecoveryRow),
    Table("window_parts", WindowRow, WINDOW_PART, first=Fullest("part", ("n", "unmeasured"))),
    Table("reports", ReportRow, ("observations_partition",), "position"),
    Table("incident_revisions", IncidentRow),
    Table("dead_letters", DeadLetterRow),
)


class Inserted(NamedTuple):
    """Rows that each table really gained or replaced, by its name; the cases that were new."""

    counts: dict[str, int]
    new_cases: list[CaseRow]


def insert(con: DuckDBPyConnection, rows: Iterable[Row]) -> Inserted:
    """Write rows within the caller's transaction, which is to be rolled back if this raises.

    Raises what DuckDB raises.
    """
    by_type: dict[type[Row], list[Row]] = {}
    for row in rows:
        by_type.setdefault(type(row), []).append(row)
    counts, new = {}, []
    for table in TABLES:
        done = _fill(con, table, by_type.get(table.row, []))
        if table.row is CaseRow:
            new_ids = {str(case_id) for (case_id,) in done}
            # Of two rows of one case the database takes the first, too.
            cases = {
                row.case_id: row for row in reversed(by_type.get(CaseRow, [])) if isinstance(row, CaseRow)
            }
            new = [row for row in reversed(cases.values()) if row.case_id in new_ids]
            counts[table.name] = len(new)
        else:
            counts[table.name] = int(done[0][0]) if done else 0
    return Inserted(counts, new)


def _fill(con: DuckDBPyConnection, table: Table, rows: list[Row]) -> list[tuple[Any, ...]]:
    if not rows:
        return []
    staged = f"staged_{table.name}"
    con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {staged} AS FROM {table.name} LIMIT 0")
    con.execute(f"TRUNCATE {staged}")
    if table.key and table.newest is None:
        rows = _last(table, rows)
    if table.row is CaseEventRow:
        rows = _numbered(con, rows)
    _stage(con, staged, table, rows)
    done = con.execute(_statement(table, staged)).fetchall()
    con.execute(f"TRUNCATE {staged}")
    return done


def _numbered(con: DuckDBPyConnection, rows: list[Row]) -> list[Row]:
    """Events of cases with the next numbers: in which order they came the database does not keep. An event
    that is there already keeps the number it has.
    """
    ((first,),) = con.execute("SELECT coalesce(max(seq), -1) + 1 FROM case_events").fetchall()
    return [
        row._replace(seq=seq) if isinstance(row, CaseEventRow) else row for seq, row in enumerate(rows, first)
    ]


def _last(table: Table, rows: list[Row]) -> list[Row]:
    """The row of each key that stands: an upsert refuses to touch a row twice."""
    key, found = attrgetter(*table.key), dict[Any, Row]()
    for row in rows:
        old = found.get(key(row))
        if old is None or table.first is None or not table.first.stands(old, row):
            found[key(row)] = row
    return list(found.values())


def _stage(con: DuckDBPyConnection, staged: str, table: Table, rows: list[Row]) -> None:
    if hasattr(con, "appender"):
        with con.appender(staged) as appender:
            appender.append_rows(rows)
        return
    described = con.execute(f"DESCRIBE {staged}").fetchall()
    # JSON travels as text, so that not a digit of it changes on the way.
    shape = {name: "VARCHAR" if kind == "JSON" else kind for name, kind, *_ in described}
    batch = json.dumps([row._asdict() for row in rows], default=_text, allow_nan=False)
    query = f"INSERT INTO {staged} BY NAME SELECT unnest(from_json_strict(?::JSON, ?), max_depth := 2)"
    con.execute(query, [batch, json.dumps([shape])])


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no column's type")


@lru_cache
def _statement(table: Table, staged: str) -> str:
    if not table.key:
        which = " RETURNING case_id" if table.row is CaseRow else ""
        return f"INSERT INTO {table.name} FROM {staged} ON CONFLICT DO NOTHING{which}"
    key = ", ".join(table.key)
    changes = ", ".join(f"{name} = excluded.{name}" for name in table.row._fields if name not in table.key)
    if table.newest is None:
        others = [name for name in table.row._fields if name not in table.key]
        differs = " OR ".join(f"excluded.{name} IS DISTINCT FROM {table.name}.{name}" for name in others)
        fuller = "true" if table.first is None else table.first.condition(table.name)
        return f"""INSERT INTO {table.name} FROM {staged}
            ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE {fuller} AND ({differs})"""
    # One row per key, because an upsert refuses to touch a row twice.
    return f"""INSERT INTO {table.name} FROM {staged}
        QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {table.newest} DESC) = 1
        ON CONFLICT ({key}) DO UPDATE SET {changes}
        WHERE excluded.{table.newest} > {table.name}.{table.newest}"""
