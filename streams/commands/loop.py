"""``gleaner loop``: of the harvested failures, what a release fixed, and what came back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.base import rfc3339
from streams.commands.cases import parse_since
from streams.commands.fail import Failed
from streams.commands.gate_view import run_in_words
from streams.commands.printable import json_line, one_line
from streams.commands.reader import Store, reader
from streams.wall import now_ms

if TYPE_CHECKING:
    from sinks.evalstore.releases.exact import Interval
    from sinks.evalstore.releases.loop import Failure, Group

SHOWN = 10
WORTH_A_LINE = ("regressed", "still_failing", "flaky")


def loop(
    earlier: Annotated[str, typer.Argument(help="the release before")],
    later: Annotated[str, typer.Argument(help="the release that was to fix its failures")],
    live: Annotated[
        str | None,
        typer.Option(help="when LATER went live: 7d, 2026-03-01 or RFC 3339; default: as the store knows"),
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--since", help="when EARLIER went live; default: likewise")
    ] = None,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Show what a release did: failures fixed, still failing, regressed, flaky, and back in production.

    Example: gleaner loop 2026.10 2026.11 --live 2026-11-03T09:00:00Z
    """
    from sinks.evalstore.releases.kept import latest, standing, unstable
    from sinks.evalstore.releases.live import Span, first_seen, live_cases, live_since, live_traces, owners
    from sinks.evalstore.releases.loop import GROUPS, failures, groups
    from streams.commands.release import find

    now = now_ms()
    with reader(store) as con:
        sets = find(con, earlier), find(con, later)
        known = [live_since(con, one.frozen.release, one.frozen.frozen_at) for one in sets]
        span = Span(
            known[0] if begin is None else parse_since(begin, now),
            known[1] if live is None else parse_since(live, now, "--live"),
        )
        if span.begin >= span.live:
            raise Failed(
                f"{earlier} went live at {rfc3339(span.begin)}, not before {later} at {rfc3339(span.live)}: "
                "say when with --since and --live"
            )
        runs = standing(con, earlier), latest(con, later)
        ids = sorted({case["case_id"] for one in sets for case in one.cases})
        seen = first_seen(con, ids)
        traces = live_traces(con, span)
        found = failures(
            sets[0].cases,
            sets[1].cases,
            (runs[0].results if runs[0] else {}, runs[1].results if runs[1] else {}),
            {case_id for case_id, first in seen.items() if first > sets[0].frozen.frozen_at},
            unstable(con, runs),
            live_cases(con, ids, span),
            owners(con),
        )
    counted = {by: groups(found, by, traces) for by in GROUPS}
    if as_json:
        shown = [run and run.about() for run in runs]
        data = {"runs": dict(zip(("earlier", "later"), shown, strict=True))}
        typer.echo(json_line(_as_json(earlier, later, span, found, counted) | data))
        return
    _print(earlier, later, span, found, counted)
    if known_runs := [run_in_words(run) for run in runs if run is not None]:
        typer.echo(f"results of {one_line(' and of '.join(known_runs))}")
    for name, mine in ((earlier, runs[0]), (later, runs[1])):
        if mine is None:
            typer.echo(
                f"no results of {name} are kept: gleaner gate --release {name} --results FILE", err=True
            )


def _as_json(
    earlier: str, later: str, span: Any, found: list[Failure], counted: dict[str, list[Group]]
) -> dict[str, Any]:
    whole = {name: count for group in counted["all"] for name, count in group.fates.items()}
    return {
        "earlier": earlier,
        "later": later,
        "since": rfc3339(span.begin),
        "live": rfc3339(span.live),
        "failures": len(found),
        "harvested_since": sum(one.new for one in found),
        "before_unknown": sum(one.before is None for one in found),
        **whole,
        "recurring": sum(group.recurring for group in counted["all"]),
        "groups": {by: [_group(one) for one in rows] for by, rows in counted.items()},
        "cases": [one._asdict() | {"live": one.live._asdict()} for one in found],
    }


def _group(group: Group) -> dict[str, Any]:
    whole = group._asdict() | {"traces": group.traces._asdict(), "trend": group.trend}
    for name in ("rate_before_interval", "rate_after_interval", "ratio"):
        interval = whole[name]
        # JSON has no infinity: an open end is null.
        whole[name] = None if interval is None else [end if math.isfinite(end) else None for end in interval]
    return whole


def _print(
    earlier: str, later: str, span: Any, found: list[Failure], counted: dict[str, list[Group]]
) -> None:
    from rich import box
    from rich.table import Table

    from sinks.evalstore.releases.loop import Fate
    from streams.commands.case_view import console

    since, when = sum(one.new for one in found), rfc3339(span.live)[:16].replace("T", " ")
    typer.echo(
        f"{earlier} → {later}: {len(found):,} failures, {since:,} of them harvested since; "
        f"{later} live since {when}"
    )
    # Nine columns on 80: nothing between them but the table's own space.
    tested = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 0, 0, 0))
    tested.add_column("in the tests", overflow="fold", min_width=13)
    for name in (*(fate.value.replace("_", " ") for fate in Fate), "recurring"):
        tested.add_column(name, justify="right", overflow="fold", min_width=max(map(len, name.split())))
    live = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    live.add_column("in production", overflow="fold", min_width=13)
    for name in ("before", "per 1,000", "after", "per 1,000"):
        live.add_column(name, justify="right", overflow="fold")
    for name in ("ratio (95 %)", ""):  # what it comes to is whole on the narrowest screen
        live.add_column(name, justify="right", no_wrap=True)
    for by, rows in counted.items():
        for group in rows:
            label = "all" if by == "all" else f"{by} {one_line(group.name)}"
            counts = (*group.fates.values(), group.recurring)
            tested.add_row(label, *(str(count) if count else "" for count in counts))
            before = _rate(group.rate_before, group.rate_before_interval)
            after = _rate(group.rate_after, group.rate_after_interval)
            live.add_row(label, str(group.before), before, str(group.after), after, *_ratio(group))
    screen = console()
    screen.print(tested)
    screen.print(live)
    if unknown := sum(one.before is None for one in found):
        passing = sum(one.fate is Fate.UNKNOWN for one in found)
        typer.echo(f"{unknown:,} are from before {earlier} was frozen, and have no result under it:")
        typer.echo(f"  of the {passing:,} that pass now nobody knows whether {later} fixed them")
    lines = [one for one in found if one.fate in WORTH_A_LINE or one.recurring]
    for one in lines[:SHOWN]:
        word = one.fate.value.replace("_", " ")
        back = f", {one.live.after} in production, last {one.live.last_seen}" if one.recurring else ""
        typer.echo(f"  {one.case_id[:8]}  {word}{back}: {one_line(one.question or '(no question)')[:80]}")
    if len(lines) > SHOWN:
        typer.echo(f"  … and {len(lines) - SHOWN:,} more: --json names them")


def _rate(rate: float | None, interval: Interval | None) -> str:
    if rate is None or interval is None:
        return "traces unknown"
    return f"{rate:.2f} ({interval.low:.2f}–{interval.high:.2f})"


def _ratio(group: Group) -> tuple[str, str]:
    if group.ratio is None:
        return "", ""
    high = f"{group.ratio.high:.2f}" if math.isfinite(group.ratio.high) else "∞"
    return f"{group.ratio.low:.2f}–{high}", group.trend


COMMANDS = (loop,)
