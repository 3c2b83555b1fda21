"""``gleaner cases split|merge|undo|agreement``: what reviewers say of clusters, and how far they agree."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from streams.commands.fail import Failed
from streams.commands.owner import TIMEOUT, StoreFile, Timeout, by_the_owner, store_file
from streams.commands.printable import json_line, one_line, printable
from streams.commands.reader import Store, reader

Actor = Annotated[str | None, typer.Option(help="who says so; default: you")]
Note = Annotated[str | None, typer.Option(help="why")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object")]


def split(
    cases: Annotated[
        list[str], typer.Argument(help="case_ids, or the beginnings of some, all of one cluster")
    ],
    note: Note = None,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Make some cases of a cluster one of their own: another failure that only looks alike.

    Example: gleaner cases split 3f2a91c0 77e0c2aa --note "another invoice layout"
    """
    path = store_file(store)
    with reader(path) as con:
        ids = [_case(con, case)["case_id"] for case in cases]
    said = {"case_ids": ids, "actor": actor or getpass.getuser(), "note": note}
    done = by_the_owner(path, {"split": said}, timeout)
    if as_json:
        typer.echo(json_line(done))
    else:
        typer.echo(f"{done['cluster_id']}: {done['cases']:,} cases of their own. Undo: gleaner cases undo")


def merge(
    one: Annotated[str, typer.Argument(help="a cluster_id, or any case of the cluster")],
    other: Annotated[str, typer.Argument(help="likewise")],
    note: Note = None,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Make two clusters one: the same failure in other words. The older one's id stands.

    Example: gleaner cases merge 3f2a91c0 c-ee0ddfa5f41e3540
    """
    path = store_file(store)
    with reader(path) as con:
        pair = [each if each.startswith("c-") else _case(con, each)["cluster_id"] for each in (one, other)]
    said = {"cluster_id": pair[0], "target": pair[1], "actor": actor or getpass.getuser(), "note": note}
    done = by_the_owner(path, {"merge": said}, timeout)
    if as_json:
        typer.echo(json_line(done))
    else:
        typer.echo(f"{done['cluster_id']}: one cluster of {done['cases']:,}. Undo: gleaner cases undo")


def undo(
    what: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="an edit, a verdict or an annotation; default: your latest"),
    ] = None,
    actor: Actor = None,
    store: StoreFile = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Take back a verdict, an annotation, a split or a merge: your latest one, or any by its id.

    Example: gleaner cases undo
    """
    said = {"id": what, "actor": actor or getpass.getuser()}
    done = by_the_owner(store_file(store), {"undo": said}, timeout)
    typer.echo(json_line(done) if as_json else f"undone: {done['kind'].replace('_', ' ')} ({done['id']})")


def agreement(
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per two reviewers")] = False,
) -> None:
    """Say how far every two reviewers agree on the clusters that both have judged: Cohen's kappa, with its n.

    Example: gleaner cases agreement
    """
    from sinks.evalstore.releases.agreement import agreements

    with reader(store) as con:
        found = agreements(con)
    for each in found:
        if as_json:
            typer.echo(json_line(each._asdict()))
            continue
        kappa = "undefined: both gave one verdict throughout" if each.kappa is None else f"{each.kappa:.2f}"
        typer.echo(
            f"{one_line(each.one)} and {one_line(each.other)}: kappa {kappa}; n = {each.n:,}, "
            f"{each.same:,} the same"
        )
    if not found and not as_json:
        typer.echo("no two reviewers have a verdict on the same cluster yet: gleaner cases review")


def _case(con: Any, wanted: str) -> dict[str, Any]:
    from sinks.evalstore import UnclearCase, find_case

    try:
        return find_case(con, wanted)
    except UnclearCase as error:
        raise Failed(printable(error)) from error
