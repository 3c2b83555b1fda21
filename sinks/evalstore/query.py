"""Somebody's own SQL: one SELECT, in bounded time, a bounded number of rows.

The reader's connection is what makes it safe: it is read-only and knows no files, network or settings.
The check here gives the better message, and refuses what would only confuse.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import duckdb
from duckdb import DuckDBPyConnection

from sinks.evalstore.bounded import fetch
from sinks.evalstore.errors import BadQuery

SECONDS = 30.0
ROWS = 1000


class Answer(NamedTuple):
    """``more``: there are further rows than were asked for."""

    columns: list[str]
    rows: list[tuple[Any, ...]]
    more: bool


def run_query(
    con: DuckDBPyConnection,
    sql: str,
    *,
    seconds: float = SECONDS,
    limit: int = ROWS,
    most: int | None = None,
    slow: str = "narrow it, or raise --timeout",
) -> Answer:
    """At most ``limit`` rows of one SELECT, or ``BadQuery`` with the reason in one line.

    ``most``: characters of text in the answer, more of which are refused; None: as many as there are.
    ``slow``: what to do about a query that took too long.

    Misleads when the rows are counted: ``more`` says that there would be others.
    """
    checked(con, sql)
    timer = threading.Timer(seconds, con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        cursor = con.execute(sql)
        if most is None:
            rows, full = cursor.fetchmany(limit + 1), False
        else:
            rows, full = fetch(cursor, limit + 1, most)
        columns = [column[0] for column in cursor.description or ()]
    except duckdb.InterruptException:
        raise BadQuery(f"the query took longer than {seconds:g} s: {slow}") from None
    except duckdb.OutOfMemoryException:
        raise BadQuery("the query needs more memory than a reader may take: narrow it") from None
    except duckdb.Error as error:
        raise BadQuery(short(error)) from None
    finally:
        timer.cancel()
    if full:
        raise BadQuery(f"the answer has more than {most:,} characters: select less")
    return Answer(columns, rows[:limit], len(rows) > limit)


def checked(con: DuckDBPyConnection, sql: str) -> None:
    """Raise ``BadQuery`` unless this is one SELECT."""
    try:
        statements = con.extract_statements(sql)
    except duckdb.Error as error:
        raise BadQuery(short(error)) from None
    if len(statements) != 1:
        raise BadQuery(f"one statement at a time, not {len(statements)}: send a single SELECT")
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        raise BadQuery(f"snapshots are read-only: send a SELECT, not {kind.name}")


def short(error: duckdb.Error) -> str:
    """DuckDB's first lines on what is wrong, as one; the rest draws arrows under the query."""
    lines = (line.strip() for line in str(error).split("\n\n")[0].splitlines())
    return " ".join(line for line in lines if line)
