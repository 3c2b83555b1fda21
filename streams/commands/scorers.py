"""``gleaner scorers``: how far each scorer's low scores can be trusted, by what reviewers said."""

from __future__ import annotations

from typing import Annotated

import typer

from schemas.calibration import LEAST
from streams.commands.printable import json_line, printable
from streams.commands.reader import Store, reader


def scorers(
    app_name: Annotated[str | None, typer.Option("--app", help="of this application alone")] = None,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per app and scorer")] = False,
) -> None:
    """Print how far each scorer's low scores can be trusted, by what reviewers said of them.

    Of the failures that it called low: how many are reviewed, and how many of those were confirmed, with a
    95 % interval. Near-duplicates are one failure; only the scorer's newest version counts. It is precision
    among what was reviewed: of failures that the scorer called good it says nothing.

    Example: gleaner scorers --app shop
    """
    from sinks.evalstore.calibration import reviewed_lows

    with reader(store) as con:
        found = reviewed_lows(con, app_name)
    if as_json:
        for one in found:
            typer.echo(json_line(one._asdict()))
        return
    if not found:
        whose = f" of {printable(app_name)}" if app_name else ""
        typer.echo(f"no answer{whose} has been called low yet")
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sinks.calibration_words import share
    from streams.commands.case_view import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("app", "scorer", "version"):
        table.add_column(name, overflow="fold")
    for name in ("lows", "reviewed", "confirmed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("share", overflow="fold")
    for one in found:
        figure = one.calibration
        said = share(figure) if figure.known else f"under {LEAST} reviewed" if one.reviewed else ""
        named = (printable(name) for name in (one.app, one.scorer, one.version or "–"))
        counts = (f"{number:,}" for number in (one.lows, one.reviewed, one.confirmed))
        table.add_row(*(Text(cell) for cell in (*named, *counts, said or "nobody has looked")))
    console().print(table)
    if not any(one.reviewed for one in found):
        typer.echo("\nstart here: gleaner cases list --reason low_score --by-rank, then gleaner cases review")


COMMANDS = (scorers,)
