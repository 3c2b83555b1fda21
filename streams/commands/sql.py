"""The command that runs somebody's own SQL on the newest snapshot."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.commands.printable import json_line, one_line
from streams.commands.reader import Store, reader

ROWS = 1000


def sql(
    query: Annotated[str, typer.Argument(help="one SELECT; SHOW TABLES and DESCRIBE case_list work, too")],
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per row")] = False,
    limit: Annotated[
        int, typer.Option(min=1, help="rows at most; standard error says if there are more")
    ] = ROWS,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds after which the query is stopped")] = 30,
) -> None:
    """Run a read-only query on the latest snapshot. Begin with the view case_list.

    Example: gleaner sql "SELECT app, count(*) AS n FROM case_list GROUP BY app ORDER BY n DESC"
    """
    from sinks.evalstore import run_query
    from sinks.evalstore.plain import plain

    with reader(store) as con:
        answer = run_query(con, query, seconds=timeout, limit=limit)
    if as_json:
        for row in answer.rows:
            typer.echo(json_line(dict(zip(answer.columns, map(plain, row), strict=True))))
    else:
        _print(answer.columns, answer.rows)
    if answer.more:
        typer.echo(f"the first {limit:,} rows; there are more: --limit N, or a narrower query", err=True)


def _print(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    from rich import box
    from rich.table import Table

    from streams.commands.case_view import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for position, name in enumerate(columns):
        number = any(isinstance(row[position], int | float) for row in rows[:20])
        table.add_column(one_line(name), justify="right" if number else "left", overflow="ellipsis")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def _cell(value: Any) -> str:
    from sinks.evalstore.plain import plain

    return (
        ""
        if value is None
        else one_line(json_line(plain(value)) if isinstance(value, dict) else plain(value))
    )
