"""``gleaner release``: frozen sets of failures, for the tests of the next release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.base import rfc3339
from schemas.case import CaseReason
from streams.commands.cases import App, Label, Reason, Since, parse_since
from streams.commands.fail import Failed
from streams.commands.owner import TIMEOUT, StoreFile, Timeout, by_the_owner, see_what_waits, store_file
from streams.commands.printable import json_line, one_line, printable
from streams.commands.reader import Store, reader
from streams.wall import now_ms

if TYPE_CHECKING:
    from sinks.evalstore.releases.bundle import Release
    from sinks.evalstore.releases.freezing import Choice, LeftOut

SHOWN = 10
"""Failures that are left out, as a person sees them; ``--json`` has them all."""

app = typer.Typer(no_args_is_help=True, help="Frozen sets of failures: freeze, list, diff, export.")

AsJson = Annotated[bool, typer.Option("--json", help="one JSON object")]
Name = Annotated[str, typer.Argument(help="a release")]


@app.command("freeze")
def freeze(
    release: Annotated[str, typer.Argument(help="its name: letters, digits, . _ + -")],
    store: StoreFile = None,
    app_name: App = None,
    reason: Reason = None,
    since: Since = None,
    label: Label = None,
    where: Annotated[
        str | None,
        typer.Option(help="SQL condition over case_list: \"'unsafe' IN reasons AND route = 'chat'\""),
    ] = None,
    tier: Annotated[
        str, typer.Option(help="smoke (15-20 cases), golden (25-50) or full (200 or more)")
    ] = "golden",
    size: Annotated[
        int | None, typer.Option(min=1, help="cases at most; default: the most of the tier")
    ] = None,
    keep: Annotated[str | None, typer.Option(help="an earlier release, whose failures come first")] = None,
    timeout: Timeout = TIMEOUT,
    as_json: AsJson = False,
) -> None:
    """Freeze the failures that the next release is tested with: one case of each, the gravest first.

    Example: gleaner release freeze 2026.11 --tier golden --app shop
    """
    from sinks.evalstore.releases.freezing import NAME, Wanted, choose_from
    from sinks.evalstore.releases.selection import SIZES, Tier, select, size_of

    if not NAME.fullmatch(release):
        raise Failed(f"release {printable(release)}: letters, digits and . _ + -, at most 64")
    if tier not in list(Tier):
        raise Failed(f"--tier {printable(tier)}: is one of {', '.join(Tier)}")
    if reason is not None and reason not in list(CaseReason):
        raise Failed(f"--reason {printable(reason)}: is one of {', '.join(CaseReason)}")
    try:
        most = size_of(Tier(tier), size)
    except ValueError as error:
        raise Failed(f"--size {size}: {error}") from None
    path = store_file(store)
    begin = None if since is None else parse_since(since, now_ms())
    see_what_waits(path, timeout)  # verdicts, merges and labels of a moment ago count, too
    with reader(path) as con:
        kept = _clusters_of(con, keep) if keep is not None else set()
        choice = choose_from(con, Wanted(app_name, reason, begin, where, label and label.lower()), kept)
    chosen = select(choice.candidates, most, kept)
    if not chosen:
        raise Failed(f"no failure to freeze: {_why_none(choice)}", status=1)
    given = {"app": app_name, "reason": reason, "since": since, "where": where, "keep": keep}
    given["label"] = label
    options = {"tier": tier, "size": size} | {
        name: value for name, value in given.items() if value is not None
    }
    ids = [case.case_id for case in chosen]
    frozen = by_the_owner(
        path, {"freeze": {"release": release, "case_ids": ids, "options": options}}, timeout
    )
    if as_json:
        left = [out._asdict() for out in choice.left_out]
        counts = {"candidates": len(choice.candidates), "dismissed": choice.dismissed}
        typer.echo(json_line(frozen | counts | {"not_replayable": left}))
        return
    more = len(choice.candidates) - len(chosen)
    typer.echo(
        f"release {release}: {frozen['cases']:,} failures frozen, {more:,} of lower rank left out, "
        f"{choice.dismissed:,} dismissed, {len(choice.left_out):,} not replayable; "
        f"sha256 {frozen['sha256'][:12]}"
    )
    _say_left_out(choice.left_out)
    least = SIZES[Tier(tier)][0]
    if frozen["cases"] < least:
        typer.echo(
            f"a {tier} set has {least:,} cases or more: the store has no more failures to give", err=True
        )
    from sinks.evalstore.releases.bundle import releases_of

    typer.echo(
        f"files: {printable(releases_of(path) / release)}. "
        f"Next: gleaner release export {release} --to jsonl --out DIR"
    )


def _clusters_of(con: Any, release: str) -> set[str]:
    """The clusters that a release's cases are in by now."""
    ids = [case["case_id"] for case in find(con, release).cases]
    query = "SELECT DISTINCT cluster_id FROM cluster_of WHERE case_id IN (SELECT unnest(?::VARCHAR[]))"
    return {str(row[0]) for row in con.execute(query, [ids]).fetchall()}


def _why_none(choice: Choice) -> str:
    if choice.left_out or choice.dismissed:
        return (
            f"{len(choice.left_out):,} match and cannot be replayed, {choice.dismissed:,} are dismissed "
            "(gleaner cases list says what is missing)"
        )
    return "none matches"


def _say_left_out(left_out: list[LeftOut]) -> None:
    for out in left_out[:SHOWN]:
        typer.echo(f"  not replayable: {out.case_id} lacks {one_line('; '.join(out.missing))}")
    if len(left_out) > SHOWN:
        typer.echo(f"  … and {len(left_out) - SHOWN:,} more: --json names them")


@app.command("list")
def list_command(
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per line")] = False,
) -> None:
    """List the frozen releases, the oldest first.

    Example: gleaner release list
    """
    from sinks.evalstore.releases.freezing import list_releases

    with reader(store) as con:
        releases = list_releases(con)
    for frozen in releases:
        if as_json:
            typer.echo(json_line(frozen._asdict() | {"frozen_at": rfc3339(frozen.frozen_at)}))
            continue
        gone = f", {frozen.forgotten:,} forgotten" if frozen.forgotten else ""
        how = " ".join(
            f"{name}={one_line(value)}" for name, value in frozen.options.items() if value is not None
        )
        when = rfc3339(frozen.frozen_at)[:16].replace("T", " ")
        typer.echo(
            f"{frozen.release:<20} {when}  {frozen.cases:>5,} cases{gone}  {frozen.sha256[:12]}  {how}"
        )
    if not releases and not as_json:
        typer.echo("no release is frozen yet: gleaner release freeze NAME")


@app.command("diff")
def diff(earlier: Name, later: Name, store: Store = None, as_json: AsJson = False) -> None:
    """Show which failures came into a set, and which left it.

    Example: gleaner release diff 2026.10 2026.11
    """
    from sinks.evalstore.releases.changes import changes

    with reader(store) as con:
        before, after = find(con, earlier), find(con, later)
    found = changes(before.cases, after.cases)
    if as_json:
        typer.echo(json_line(found._asdict()))
        return
    cases = {case["case_id"]: case for case in [*before.cases, *after.cases]}
    for mark, ids in (("+", found.added), ("-", found.removed), ("~", found.edited)):
        for case_id in ids:
            typer.echo(f"{mark} {_brief(cases[case_id])}")
    for old, new in found.replaced:
        typer.echo(f"= {_brief(cases[new])}  (was {old[:8]})")
    typer.echo(
        f"{len(found.added):,} added, {len(found.removed):,} removed, "
        f"{len(found.replaced):,} by another case of the same failure, "
        f"{len(found.edited):,} edited, {found.unchanged:,} unchanged"
    )


def _brief(case: dict[str, Any]) -> str:
    question = one_line(case["question"]) if case["question"] else "(no question)"
    return f"{case['case_id'][:8]}  {one_line(case['app'])}  {', '.join(case['reasons'])}: {question[:80]}"


def find(con: Any, name: str) -> Release:
    """A frozen release by its name; one whose lines were touched is refused."""
    release = known(con, name)
    if not release.intact:
        raise Failed(f"release {name}: its cases no longer have the hash that they were frozen with")
    return release


def known(con: Any, name: str) -> Release:
    """A frozen release by its name, as it is now."""
    from sinks.evalstore.releases.bundle import load
    from sinks.evalstore.releases.freezing import list_releases, release_lines

    releases = list_releases(con)
    frozen = next((frozen for frozen in releases if frozen.release == name), None)
    if frozen is None:
        names = ", ".join(one.release for one in releases[-5:]) or "none is frozen yet"
        raise Failed(f"no such release: {printable(name)} (there is: {names})")
    return load(frozen, release_lines(con, name))


@app.command("export")
def export(
    name: Annotated[str, typer.Argument(metavar="RELEASE", help="a release")],
    to: Annotated[str, typer.Option("--to", help="jsonl, csv, parquet, ragas, promptfoo, deepeval, …")],
    out: Annotated[Path, typer.Option("--out", help="a directory; made if it is not there")],
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Write a frozen release as a file for the tool that runs your tests.

    Example: gleaner release export 2026.11 --to promptfoo --out evals
    """
    from sinks.evalstore.releases.export import TARGETS
    from sinks.evalstore.releases.export import export as write

    if to not in TARGETS:
        raise Failed(f"--to {printable(to)}: is one of {', '.join(TARGETS)}")
    with reader(store) as con:
        release = find(con, name)
    path = write(release.cases, name, to, out)
    if as_json:
        typer.echo(
            json_line({"file": str(path), "cases": len(release.cases), "sha256": release.frozen.sha256})
        )
        return
    typer.echo(f"{len(release.cases):,} cases of release {name}: {printable(path)}")
