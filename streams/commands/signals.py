"""The command that prints the rolling figures of segments."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.commands.cases import parse_since
from streams.commands.printable import json_line, printable
from streams.commands.reader import Store, reader
from streams.wall import now_ms


def signals(
    app_name: Annotated[str | None, typer.Option("--app", help="of this application alone")] = None,
    environment: Annotated[str | None, typer.Option(help="of this environment alone")] = None,
    route: Annotated[str | None, typer.Option(help="of this route alone")] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="as it was then: a date, a time, or an age such as 2h; default: the newest windows"
        ),
    ] = None,
    store: Store = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="one JSON object per segment, signal and span")
    ] = False,
) -> None:
    """Print what each segment's signals were over the last 5 minutes, hour, 24 hours and 7 days.

    Example: gleaner signals --app shop
    """
    from sinks.evalstore import SegmentFilter, rolling

    until = None if at is None else parse_since(at, now_ms(), "--at")
    with reader(store) as con:
        figures = list(rolling(con, SegmentFilter(app_name, environment, route, until)))
    if as_json:
        for figure in figures:
            typer.echo(json_line(figure._asdict()))
        return
    if not figures:
        whose = f" of {printable(app_name)}" if app_name else ""
        typer.echo(
            f"no window{whose} in these seven days: the first comes five minutes after the first trace"
        )
        return
    from streams.commands.case_view import console
    from streams.commands.signals_view import signals_view

    console().print(signals_view(figures))


COMMANDS = (signals,)
