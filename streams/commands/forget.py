"""``gleaner cases forget``: done here where nobody owns the store, else asked of its owner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.commands.fail import Failed
from streams.commands.owner import by_the_owner, store_file
from streams.commands.printable import json_line


def forget(
    user: Annotated[str | None, typer.Option("--user", help="everything of this user_id")] = None,
    trace: Annotated[str | None, typer.Option("--trace", help="everything of this trace_id")] = None,
    app_name: Annotated[str | None, typer.Option("--app", help="only in this application")] = None,
    store: Annotated[
        Path | None, typer.Option(help="the store's file; default: the configured store")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="seconds to wait for the store's owner")] = 120,
    as_json: Annotated[bool, typer.Option("--json", help="what was removed, as one JSON object")] = False,
) -> None:
    """Remove a user's or a trace's cases from every file of the store, for good; a replay brings none back.

    Older snapshots are deleted, too. What Kafka still holds, copies and exports are not the store's: see
    docs/evalstore.md.

    Example: gleaner cases forget --user u-4711
    """
    from sinks.evalstore import Forget, Kind

    if (user is None) == (trace is None) or "" in (user, trace):
        raise Failed("one of --user ID and --trace ID says what to forget")
    path = store_file(store)
    what = (
        Forget(Kind.USER, user, app_name) if user is not None else Forget(Kind.TRACE, trace or "", app_name)
    )
    done = by_the_owner(path, {"forget": what._asdict()}, timeout)
    if as_json:
        typer.echo(json_line(done))
        return
    typer.echo(
        f"forgotten: {done['cases']:,} cases with {done['case_events']:,} events, {done['dead_letters']:,} "
        f"refused events, {done['mentions']:,} mentions; snapshots from before are deleted. Kafka keeps its "
        "topics for as long as you told it to"
    )
