"""``gleaner cases forget``: done here where nobody owns the store, else asked of its owner."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.fail import Failed
from streams.commands.printable import json_line, printable
from streams.settings import Settings

if TYPE_CHECKING:
    from sinks.evalstore import Forget

POLL = 0.1


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
    from sinks.evalstore import Forget, Kind, StoreBusy, StoreError, StoreOwner

    if (user is None) == (trace is None) or "" in (user, trace):
        raise Failed("one of --user ID and --trace ID says what to forget")
    path = (store or Settings().store_file()).absolute()
    if not path.is_file():
        raise Failed(f"no eval store at {printable(path)}: name its file with --store")
    what = (
        Forget(Kind.USER, user, app_name) if user is not None else Forget(Kind.TRACE, trace or "", app_name)
    )
    try:
        with StoreOwner.open(path) as owner:
            done = owner.forget(what, time.time_ns() // 1_000_000)._asdict()
    except StoreBusy:
        done = _ask(path, what, timeout)
    except StoreError as error:
        raise Failed(printable(error)) from error
    if as_json:
        typer.echo(json_line(done))
        return
    typer.echo(
        f"forgotten: {done['cases']:,} cases with {done['case_events']:,} events, {done['dead_letters']:,} "
        f"refused events, {done['mentions']:,} mentions; snapshots from before are deleted. Kafka keeps its "
        "topics for as long as you told it to"
    )


def _ask(path: Path, what: Forget, timeout: float) -> dict[str, Any]:
    from sinks.evalstore.requests import answer_to, ask

    where = ask(path, {"forget": what._asdict()})
    deadline = time.monotonic() + timeout
    while (reply := answer_to(where)) is None:
        if time.monotonic() > deadline:
            raise Failed(
                f"the owner of {printable(path)} did not answer within {timeout:g} s. The request waits "
                "for it, or for the next `gleaner store`; nothing is forgotten before that",
                status=1,
            )
        time.sleep(POLL)
    if "error" in reply:
        raise Failed(f"the store's owner could not do it: {printable(reply['error'])}", status=1)
    return reply
