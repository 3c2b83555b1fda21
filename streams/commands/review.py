"""``gleaner cases review``: a person's verdict on a case."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from streams.commands.fail import Failed
from streams.commands.owner import TIMEOUT, StoreFile, Timeout, by_the_owner, store_file
from streams.commands.printable import json_line
from streams.commands.reader import reader


def review(
    case: Annotated[str, typer.Argument(help="case_id, the beginning of one, or a trace_id")],
    dismiss: Annotated[bool, typer.Option("--dismiss", help="no failure: in no frozen set")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="a failure after all")] = False,
    note: Annotated[str | None, typer.Option(help="why")] = None,
    actor: Annotated[str | None, typer.Option(help="who says so; default: you")] = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Say that a case is no failure, or is one after all. It counts for all cases of its cluster.

    Example: gleaner cases review 3f2a91c0 --dismiss --note "the policy changed in March"
    """
    from sinks.evalstore import find_case

    if dismiss == accept:
        raise Failed("one of --dismiss and --accept is the verdict")
    path = store_file(store)
    with reader(path) as con:
        case_id = str(find_case(con, case)["case_id"])
    verdict = "dismissed" if dismiss else "accepted"
    said = {"case_id": case_id, "verdict": verdict, "actor": actor or getpass.getuser(), "note": note}
    done = by_the_owner(path, {"review": said}, timeout)
    if as_json:
        typer.echo(json_line(said | done))
    else:
        typer.echo(f"{verdict}: {case_id}, and so its cluster of {done['cases']:,}")
