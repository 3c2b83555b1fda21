"""``gleaner cases``. What only reads, reads snapshots: nobody waits for anybody."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.base import EARLIEST_MS, parse_time
from schemas.case import CaseReason
from sinks.numbers import count
from streams.commands.annotate import assign, expect, label, must, must_not
from streams.commands.fail import Failed
from streams.commands.forget import forget
from streams.commands.printable import json_line, printable
from streams.commands.reader import Store, reader, say_what_waits
from streams.commands.regroup import agreement, merge, split, undo
from streams.commands.review import review
from streams.commands.sql import sql
from streams.wall import now_ms

if TYPE_CHECKING:
    from sinks.evalstore import CaseFilter, CaseSummary

ROWS = 50
"""Cases in a table unless told otherwise; ``--json`` has no such limit, programs want all."""
UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

app = typer.Typer(
    no_args_is_help=True, help="Harvested failures: list, show, search, review, annotate, regroup, forget."
)

App = Annotated[str | None, typer.Option("--app", help="only this application")]
Reason = Annotated[str | None, typer.Option(help="only cases with this reason, such as low_score")]
Since = Annotated[str | None, typer.Option(help="not before: 90m, 24h, 7d, 2026-03-01 or RFC 3339")]
Limit = Annotated[int | None, typer.Option(min=1, help=f"at most so many; default {ROWS}, with --json all")]
Ranked = Annotated[bool, typer.Option("--by-rank", help="the gravest, most frequent, newest failures first")]
Label = Annotated[str | None, typer.Option(help="only with this label")]
Assigned = Annotated[str | None, typer.Option(help="only assigned to this reviewer; none: to nobody")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object per line")]


@app.command("list")
def list_command(
    store: Store = None,
    app_name: App = None,
    reason: Reason = None,
    since: Since = None,
    label: Label = None,
    assigned: Assigned = None,
    limit: Limit = None,
    ranked: Ranked = False,
    clusters: Annotated[
        bool,
        typer.Option("--clusters", help="one line per cluster of near-duplicates, the highest rank first"),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List failing cases, the newest first. "same": near-duplicates, itself included; "!": not replayable.

    A rank is severity x frequency x novelty: docs/evalstore.md says how each is reckoned.

    Example: gleaner cases list --reason low_score --since 7d --clusters
    """
    wanted = _filter(app_name, reason, since, None)
    wanted = wanted._replace(ranked=ranked, label=label and label.lower(), assigned=assigned)
    if clusters:
        _list_clusters(store, wanted, limit, as_json)
    else:
        _list(store, wanted, limit, as_json)


@app.command("search")
def search(
    text: Annotated[str, typer.Argument(help="looked for in question, answer, contexts, correction and ids")],
    store: Store = None,
    app_name: App = None,
    reason: Reason = None,
    since: Since = None,
    limit: Limit = None,
    as_json: AsJson = False,
) -> None:
    """List the cases that contain a text, in whatever case it is written.

    Example: gleaner cases search "refund policy" --app shop
    """
    _list(store, _filter(app_name, reason, since, text), limit, as_json)


@app.command("show")
def show(
    case: Annotated[str, typer.Argument(help="case_id, the beginning of one, or a trace_id")],
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="the whole case as one JSON object")] = False,
) -> None:
    """Show one case whole: asked, retrieved, answered, and why it is a case.

    Example: gleaner cases show 3f2a91c0
    """
    from sinks.evalstore import find_case

    with reader(store) as con:
        found = find_case(con, case)
    if as_json:
        typer.echo(json_line(found))
        return
    from streams.commands.case_view import case_view, console

    console().print(case_view(found))


def parse_since(text: str, now: int, option: str = "--since") -> int:
    """An age such as ``7d``, a date or a time, as epoch ms; a date begins at midnight UTC.

    >>> parse_since("2h", 7_200_005), parse_since("1970-01-02", 0), parse_since("1970-01-01T00:00:01Z", 0)
    (5, 86400000, 1000)
    """
    if age := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        since = now - int(age[1]) * UNITS[age[2]]
        if since < EARLIEST_MS:
            raise Failed(f"{option} {text}: is older than time: say an age such as 7d, or a date")
        return since
    try:
        day = date.fromisoformat(text)
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        pass
    try:
        return parse_time(text)
    except ValueError as error:
        raise Failed(f"{option} {printable(text)}: {error}; or an age such as 7d, or a date") from error


def _filter(app_name: str | None, reason: str | None, since: str | None, text: str | None) -> CaseFilter:
    from sinks.evalstore import CaseFilter

    if reason is not None and reason not in list(CaseReason):
        raise Failed(f"--reason {printable(reason)}: is one of {', '.join(CaseReason)}")
    begin = None if since is None else parse_since(since, now_ms())
    return CaseFilter(app_name, reason, begin, text)


def _list(store: Path | None, wanted: CaseFilter, limit: int | None, as_json: bool) -> None:
    from sinks.evalstore import list_cases, totals

    with reader(store) as con:
        if as_json:
            for case in list_cases(con, wanted._replace(limit=limit)):
                typer.echo(json_line(case._asdict()))
            return
        shown = limit or ROWS
        cases = list(list_cases(con, wanted._replace(limit=shown + 1)))
        kept = totals(con)
    _print(cases, shown, kept.cases, kept.distinct_cases)
    say_what_waits(store)


def _list_clusters(store: Path | None, wanted: CaseFilter, limit: int | None, as_json: bool) -> None:
    from sinks.evalstore import list_clusters, totals

    with reader(store) as con:
        if as_json:
            for cluster in list_clusters(con, wanted._replace(limit=limit)):
                typer.echo(json_line(cluster._asdict()))
            return
        shown = limit or ROWS
        found = list_clusters(con, wanted._replace(limit=shown + 1))
        kept = totals(con)
    if not found:
        typer.echo(f"no case matches; the store holds {kept.cases:,}")
        say_what_waits(store)
        return
    from streams.commands.case_view import cluster_list, console

    screen = console()
    screen.print(cluster_list(found[:shown], screen.width))
    typer.echo(
        f"{_listed(len(found), shown)}; {kept.cases:,} cases are {kept.distinct_cases:,} clusters. "
        "Next: gleaner cases show REPRESENTATIVE"
    )
    say_what_waits(store)


def _listed(found: int, shown: int) -> str:
    return f"the first {shown:,}, there are more: --limit N" if found > shown else f"{found:,} listed"


def _print(cases: list[CaseSummary], shown: int, kept: int, distinct: int) -> None:
    from streams.commands.case_view import case_list, console

    if not cases:
        typer.echo(f"no case matches; the store holds {kept:,}" if kept else "the store holds no case yet")
        return
    screen = console()
    screen.print(case_list(cases[:shown], screen.width))
    typer.echo(
        f"{_listed(len(cases), shown)}; the store holds {count(kept, 'case')}, {distinct:,} distinct."
        " Next: gleaner cases show CASE"
    )


app.command("review")(review)
app.command("label")(label)
app.command("expect")(expect)
app.command("must")(must)
app.command("must-not")(must_not)
app.command("assign")(assign)
app.command("split")(split)
app.command("merge")(merge)
app.command("undo")(undo)
app.command("agreement")(agreement)
app.command("forget")(forget)

COMMANDS = (sql,)
