"""``gleaner cases label|expect|must|must-not|assign``: what a reviewer writes of a case."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.fail import Failed
from streams.commands.owner import TIMEOUT, StoreFile, Timeout, by_the_owner, store_file
from streams.commands.printable import json_line, one_line, printable
from streams.commands.reader import reader

if TYPE_CHECKING:
    from sinks.evalstore.annotations import Kind

Case = Annotated[str, typer.Argument(help="case_id, the beginning of one, or a trace_id")]
Actor = Annotated[str | None, typer.Option(help="who says so; default: you")]
Remove = Annotated[bool, typer.Option("--remove", help="take them away")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object")]


def label(
    case: Case,
    labels: Annotated[list[str], typer.Argument(help="words of letters, digits and . _ / : -")],
    remove: Remove = False,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Put labels on a case's cluster, or take them away.

    Example: gleaner cases label 3f2a91c0 billing needs-docs
    """
    from sinks.evalstore.annotations import Kind

    _annotate(store, case, Kind.LABEL, labels, remove, actor, timeout, as_json)


def must(
    case: Case,
    sentences: Annotated[list[str], typer.Argument(help="what a right answer does, a sentence each")],
    remove: Remove = False,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Say what a right answer to this failure must do; it counts for the case's cluster.

    Example: gleaner cases must 3f2a91c0 "names the 30 days"
    """
    from sinks.evalstore.annotations import Kind

    _annotate(store, case, Kind.MUST, sentences, remove, actor, timeout, as_json)


def must_not(
    case: Case,
    sentences: Annotated[list[str], typer.Argument(help="what a right answer does not, a sentence each")],
    remove: Remove = False,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Say what a right answer to this failure must not do; it counts for the case's cluster.

    Example: gleaner cases must-not 3f2a91c0 "promises a refund"
    """
    from sinks.evalstore.annotations import Kind

    _annotate(store, case, Kind.MUST_NOT, sentences, remove, actor, timeout, as_json)


def expect(
    case: Case,
    text: Annotated[str | None, typer.Argument(help="the right answer")] = None,
    file: Annotated[Path | None, typer.Option(help="it is in this file; -: standard input")] = None,
    withdraw: Annotated[
        bool,
        typer.Option("--withdraw", help="no reviewer's answer: a user's correction stands, if there is one"),
    ] = False,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Write the right answer to a case's question; it stands before a user's correction.

    Example: gleaner cases expect 3f2a91c0 "Within 30 days of delivery."
    """
    from sinks.evalstore.annotations import Kind

    if (text is not None) + (file is not None) + withdraw != 1:
        raise Failed("one of TEXT, --file and --withdraw says what is expected")
    if file is not None:
        text = _read(file)
    _annotate(store, case, Kind.EXPECTED, [text], withdraw, actor, timeout, as_json)


def assign(
    case: Case,
    reviewer: Annotated[str | None, typer.Argument(help="whose turn it is; default: you")] = None,
    nobody: Annotated[bool, typer.Option("--nobody", help="nobody's turn")] = False,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Say whose turn it is to review a case's cluster.

    Example: gleaner cases assign 3f2a91c0 ben
    """
    from sinks.evalstore.annotations import Kind

    if nobody and reviewer is not None:
        raise Failed("one of REVIEWER and --nobody says whose turn it is")
    who = None if nobody else reviewer or actor or getpass.getuser()
    _annotate(store, case, Kind.ASSIGNED, [who], nobody, actor, timeout, as_json)


def _annotate(
    store: Path | None,
    case: str,
    kind: Kind,
    texts: Sequence[str | None],
    remove: bool,
    actor: str | None,
    timeout: float,
    as_json: bool,
) -> None:
    from sinks.evalstore import find_case
    from sinks.evalstore.annotations import Kind, change

    try:
        changes = [list(change(kind, text, remove)) for text in texts]
    except ValueError as error:
        raise Failed(printable(error)) from None
    path = store_file(store)
    with reader(path) as con:
        case_id = str(find_case(con, case)["case_id"])
    said = {"case_id": case_id, "actor": actor or getpass.getuser(), "changes": changes}
    done = by_the_owner(path, {"annotate": said}, timeout)
    if as_json:
        typer.echo(json_line({"case_id": case_id, **done}))
        return
    if not done["changed"]:
        typer.echo(f"{case_id}: nothing to change, it stands like that already")
        return
    where = "" if kind is Kind.EXPECTED else f", and so its cluster of {done['cases']:,}"
    less = "; the app's privacy policy took something out" if done["redacted"] else ""
    what = one_line(kind.replace("_", " "))
    typer.echo(f"{what} {'taken from' if remove else 'of'} {case_id}{where}{less}. Undo: gleaner cases undo")


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Failed(
            f"--file {printable(file)}: {printable(getattr(error, 'strerror', None) or error)}"
        ) from error
