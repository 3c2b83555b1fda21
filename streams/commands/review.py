"""``gleaner cases review``: a person's verdict on a case, or the whole queue, a key at a time."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.fail import Failed
from streams.commands.owner import TIMEOUT, StoreFile, Timeout, by_the_owner, see_what_waits, store_file
from streams.commands.printable import json_line
from streams.commands.reader import reader


def review(
    case: Annotated[
        str | None,
        typer.Argument(
            help="case_id, the beginning of one, or a trace_id; default: the queue, on this terminal"
        ),
    ] = None,
    dismiss: Annotated[bool, typer.Option("--dismiss", help="no failure: in no frozen set")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="a failure after all")] = False,
    note: Annotated[str | None, typer.Option(help="why")] = None,
    actor: Annotated[str | None, typer.Option(help="who says so; default: you")] = None,
    app_name: Annotated[str | None, typer.Option("--app", help="queue: only this application")] = None,
    reason: Annotated[str | None, typer.Option(help="queue: only with this reason")] = None,
    label: Annotated[str | None, typer.Option(help="queue: only with this label")] = None,
    assigned: Annotated[
        str | None, typer.Option(help="queue: only assigned to this reviewer; none: to nobody")
    ] = None,
    second: Annotated[
        bool,
        typer.Option(
            "--second-opinion", help="queue: also failures that others have a verdict on, and you not"
        ),
    ] = False,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Review failures: a verdict on one case, or without a case the queue, by single keys.

    A verdict counts for all cases of the case's cluster. The queue has the failures without a verdict, those
    of the highest rank first; ? lists the keys: verdict, labels, the right answer, what it must and must not
    do, undo.

    Example: gleaner cases review 3f2a91c0 --dismiss --note "the policy changed in March"
    """
    narrowed = {"app": app_name, "reason": reason, "label": label, "assigned": assigned}
    who = actor or getpass.getuser()
    if case is None:
        if dismiss or accept or note or as_json:
            raise Failed("--dismiss, --accept, --note and --json are for one case: name it")
        wanted = narrowed | ({"not_by": who} if second else {"verdict": "none"})
        _queue(store_file(store), wanted, who, timeout)
        return
    if second or any(narrowed.values()):
        raise Failed(
            "--app, --reason, --label, --assigned and --second-opinion are for the queue: name no case"
        )
    _one(store_file(store), case, dismiss, accept, note, who, timeout, as_json)


def _one(
    path: Path,
    case: str,
    dismiss: bool,
    accept: bool,
    note: str | None,
    who: str,
    timeout: float,
    as_json: bool,
) -> None:
    from sinks.evalstore import find_case

    if dismiss == accept:
        raise Failed("one of --dismiss and --accept is the verdict")
    with reader(path) as con:
        case_id = str(find_case(con, case)["case_id"])
    verdict = "dismissed" if dismiss else "accepted"
    said = {"case_id": case_id, "verdict": verdict, "actor": who, "note": note}
    done = by_the_owner(path, {"review": said}, timeout)
    if as_json:
        typer.echo(json_line(said | done))
    else:
        typer.echo(f"{verdict}: {case_id}, and so its cluster of {done['cases']:,}")


def _queue(path: Path, wanted: dict[str, str | None], who: str, timeout: float) -> None:
    from streams.review.desk import Desk, unstored
    from streams.review.item import Batch, read_batch
    from streams.review.terminal import RealTerminal, is_there

    if not is_there():
        raise Failed(
            "the review queue needs a terminal: name a case with --accept or --dismiss, or see "
            "`gleaner cases list --clusters`"
        )

    def queue(cursor: str | None) -> Batch:
        with reader(path) as con:
            return read_batch(con, wanted, cursor)

    terminal = RealTerminal()
    tally = Desk(terminal, queue, lambda request: by_the_owner(path, request, timeout), who).run()
    terminal.say(
        f"{tally.accepted:,} accepted, {tally.dismissed:,} dismissed, {tally.skipped:,} skipped. "
        "Undo: gleaner cases undo"
    )
    try:
        see_what_waits(path, timeout)
    finally:
        if tally.left:
            raise Failed(unstored(tally.left), status=1)
