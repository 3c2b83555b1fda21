"""``gleaner backtest``: what a rules file would have paged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sinks.numbers import count
from streams.commands.fail import Failed
from streams.commands.printable import one_line, printable
from streams.commands.progress import progress
from streams.commands.summary import say_dead_letters
from streams.rules_file import load_rules
from streams.settings import Settings

if TYPE_CHECKING:
    from schemas.incident import Incident
    from schemas.lifecycle import LabelRecord
    from streams.backtest import Backtested
    from streams.disowned import Held
    from streams.labelled import Found
    from streams.labels import Label

BOOKS, RECORDS = (".yaml", ".yml"), (".jsonl", ".ndjson", ".json")
"""What tells a rules file from events where both are arguments."""


def backtest(
    given: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RULES]", help="a rules file (.yaml, .yml); the default rules without one"),
    ] = None,
    events: Annotated[list[Path] | None, typer.Option(help="JSONL files of events")] = None,
    against: Annotated[Path | None, typer.Option(help="another rules file to compare with")] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="JSONL of incidents that are known: app, environment, route, start, end"),
    ] = None,
    no_problem: Annotated[
        Path | None,
        typer.Option(help="JSONL of what people called no problem: gleaner incidents labels --json"),
    ] = None,
    charts: Annotated[
        Path | None, typer.Option(help="folder for a chart, SVG and PNG, of every rule and segment with data")
    ] = None,
    score: Annotated[bool, typer.Option(help="score unscored answers with the offline scorer")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print every alarm as JSON")] = False,
) -> None:
    """Replay recorded events through rules, detectors and grouping: what would have paged, when, how often.

    The same code as production, in event-time order, without Kafka, store or Slack. No scorer runs unless
    --score says so: without it, answers count as scored only where their application scored them.

    With --labels it says how soon each known incident was paged, what was missed, and how many pages were
    false; with --no-problem which of the pages that people called no problem would come again, and what each
    rule's precision is at most; with --charts it draws what each rule saw.

    Example: gleaner backtest rules.yaml --events traces.jsonl feedback.jsonl --charts charts
    """
    from streams.backtest import alarm_data, policy_with
    from streams.backtest import backtest as run
    from streams.backtest_charts import Baselines, write_charts
    from streams.backtest_charts import charts as charts_of
    from streams.disowned import hold

    # An option takes one value: what follows it is told apart by its name.
    books = [path for path in given or [] if path.suffix in BOOKS]
    for path in given or []:
        if path.suffix not in (*BOOKS, *RECORDS):
            raise Failed(
                f"{printable(path)}: by its name neither a rules file ({', '.join(BOOKS)}) nor events "
                f"({', '.join(RECORDS)}): rename the rules, or name the events with --events"
            )
    files = [*(events or []), *[path for path in given or [] if path not in books]]
    if len(books) > 1:
        raise Failed(f"{books[1]}: one rules file at a time; compare two with --against")
    if not files:
        raise Failed("--events: is needed: the files whose events are replayed")
    for path in files:
        if not path.is_file():
            raise Failed(f"{path}: no such file")
    known = _labels(labels) if labels is not None else []
    disowned = _disowned(no_problem) if no_problem is not None else []
    settings = Settings()
    mine = load_rules(books[0] if books else settings.rules)
    theirs = load_rules(against) if against is not None else None
    baselines = Baselines()
    watch = baselines.look if charts is not None else None
    with progress("replaying") as bar:
        done = run(files, policy_with(settings, mine), score, bar, watch)
    dead = len(done.dead_letters)
    if dead == done.events:
        why = (
            f"all {dead:,} were refused, the first: {done.dead_letters[0].message}"
            if dead
            else "they are empty"
        )
        raise Failed(f"no event could be read of {printable(', '.join(map(str, files)))}: {one_line(why)}")
    other = None
    if theirs is not None:
        with progress("replaying the other rules") as bar:
            other = run(files, policy_with(settings, theirs), score, bar)
    drawn = charts_of(done, baselines, known) if charts is not None else []
    written = write_charts(charts, drawn) if charts is not None else []
    if as_json:
        data: dict[str, Any] = {
            "events": done.events,
            "dead_lettered": dead,
            "traces": done.traces,
            "unscored_traces": done.unscored,
            "span_days": round(done.span_days, 3),
            "seconds": round(done.seconds, 3),
            "alarms": [alarm_data(alarm, incident) for alarm, incident in done.alarms],
        }
        if labels is not None:
            data |= _labelled_data(done, known)
        if no_problem is not None:
            data["no_problem"] = hold(disowned, done.incidents).data()
        if charts is not None:
            data["charts"] = [str(path) for path in written]
        if other is not None:
            data["against"] = {"alarms": [alarm_data(alarm, incident) for alarm, incident in other.alarms]}
            if labels is not None:
                data["against"] |= _labelled_data(other, known)
            if no_problem is not None:
                data["against"]["no_problem"] = hold(disowned, other.incidents).data()
        typer.echo(json.dumps(data))
        return
    _print(done, score)
    say_dead_letters(done.dead_letters, "gleaner replay keeps them in its store")
    if labels is not None:
        _print_labels(done, known)
    if no_problem is not None:
        _print_held(hold(disowned, done.incidents))
    if charts is not None:
        fired = [path for chart, path in zip(drawn, written, strict=True) if chart.alarms]
        typer.echo(
            f"{count(len(written), 'chart')}, each as PNG and SVG, in {charts};"
            f" {len(fired) or 'none'} with an alarm (declared rules have no chart)"
        )
        for path in fired:
            typer.echo(f"  {path}")
    if other is not None:
        _difference(done, other)
        if labels is not None:
            typer.echo("the other rules:")
            _print_labels(other, known)
        if no_problem is not None:
            typer.echo("the other rules:")
            _print_held(hold(disowned, other.incidents))


def _labels(path: Path) -> list[Label]:
    from streams.labels import LabelsError, load_labels

    try:
        return load_labels(path)
    except LabelsError as error:
        raise Failed(str(error)) from error


def _disowned(path: Path) -> list[LabelRecord]:
    from streams.disowned import load
    from streams.labels import LabelsError

    try:
        return load(path)
    except LabelsError as error:
        raise Failed(str(error)) from error


def _print_held(held: Held) -> None:
    labelled = len(held.again) + len(held.spared)
    typer.echo(f"{len(held.again)} of {labelled} incidents that people called no problem would come again")
    for one in held.rules:
        if one.false:
            typer.echo(
                f"  {one.rule}: {one.false} of {one.incidents} incidents; precision at most {one.at_most:.0%}"
            )


def _print(done: Backtested, score: bool) -> None:
    dead = f", {len(done.dead_letters):,} of them dead-lettered," if done.dead_letters else ""
    read = f"{count(done.events, 'event')}{dead} over {done.span_days:.1f} days"
    typer.echo(f"{read}, replayed in {done.seconds:.1f} s")
    if done.unscored:
        unscored = f"{done.unscored:,} of {done.traces:,} traces"
        blind = "rules on faithfulness, grounded rate and unscored rate saw nothing of them"
        if score:
            typer.echo(f"{unscored} could not be scored (no question, contexts or answer): {blind}")
        else:
            typer.echo(f"{unscored} without a score: {blind}; --score scores them offline")
    rate = _weekly(done, len(done.incidents))
    typer.echo(f"{count(len(done.alarms), 'alarm')} in {count(len(done.incidents), 'incident')}{rate}")
    by_rule: dict[str, int] = {}
    for alarm, _ in done.alarms:
        by_rule[alarm.rule] = by_rule.get(alarm.rule, 0) + 1
    for rule, fired in sorted(by_rule.items()):
        typer.echo(f"  {rule}: {fired}")
    for incident in done.incidents:
        typer.echo(_line(incident))


def _weekly(done: Backtested, incidents: int) -> str:
    weekly = done.a_week(incidents)
    return "" if weekly is None else f", {weekly:.1f} a week"


def _labelled_data(done: Backtested, known: list[Label]) -> dict[str, Any]:
    from streams.labelled import false_pages, find

    wrong = false_pages(known, done.incidents)
    weekly = done.a_week(len(wrong))
    return {
        "labels": [one.data() for one in find(known, done.alarms, done.incidents, done.windows)],
        "false_pages": [incident.id for incident in wrong],
        "false_pages_per_week": None if weekly is None else round(weekly, 3),
    }


def _print_labels(done: Backtested, known: list[Label]) -> None:
    from streams.labelled import Outcome, false_pages, find

    found = find(known, done.alarms, done.incidents, done.windows)
    wrong = false_pages(known, done.incidents)
    paged = sum(one.outcome is Outcome.PAGED for one in found)
    typer.echo(f"{paged} of {len(found)} labelled incidents paged")
    for one in found:
        typer.echo(f"  {one_line(one.label.name)}: {_found(one)}")
    typer.echo(f"{count(len(wrong), 'false page')}{_weekly(done, len(wrong))}")
    for incident in wrong:
        typer.echo("  " + _line(incident))


def _found(one: Found) -> str:
    from schemas.catalog import CATALOG
    from sinks.numbers import duration
    from streams.labelled import Outcome

    if one.alarm is None or one.delay_ms is None:
        return "missed" if one.outcome is Outcome.MISSED else "no data: no event of its segment lies in it"
    units = ""
    if one.delay_units is not None:
        units = f", about {one.delay_units:,} {CATALOG[one.alarm.signal].units}"
    before = "; its incident had paged before it began" if one.already_open else ""
    return f"{one.alarm.rule} after {duration(one.delay_ms)}{units}{before}"


def _difference(done: Backtested, other: Backtested) -> None:
    from streams.backtest import compare

    difference = compare(done.incidents, other.incidents)
    typer.echo(
        f"both {difference.both}, only these rules {len(difference.only_first)},"
        f" only the others {len(difference.only_second)}"
    )
    for incident in difference.only_first:
        typer.echo("only these rules: " + _line(incident))
    for incident in difference.only_second:
        typer.echo("only the others: " + _line(incident))


def _line(incident: Incident) -> str:
    """When it would have paged, and what: the page itself names a day only where its onset is on another."""
    from schemas.base import rfc3339
    from sinks.words import headline

    return f"{rfc3339(incident.detected_at)[:16].replace('T', ' ')}  {headline(incident)}"


COMMANDS = (backtest,)
