"""``gleaner backtest``: what a rules file would have paged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.fail import Failed
from streams.commands.progress import progress
from streams.rules_file import load_rules
from streams.settings import Settings

if TYPE_CHECKING:
    from schemas.incident import Incident
    from streams.backtest import Backtested


def backtest(
    given: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RULES]", help="a rules file (.yaml, .yml); the default rules without one"),
    ] = None,
    events: Annotated[list[Path] | None, typer.Option(help="JSONL files of events")] = None,
    against: Annotated[Path | None, typer.Option(help="another rules file to compare with")] = None,
    score: Annotated[bool, typer.Option(help="score unscored answers with the offline scorer")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print every alarm as JSON")] = False,
) -> None:
    """Replay recorded events through rules, detectors and grouping: what would have paged, when, how often.

    The same code as production, in event-time order, without Kafka, store or Slack.

    Example: gleaner backtest rules.yaml --events traces.jsonl feedback.jsonl
    """
    from streams.backtest import alarm_data, policy_with
    from streams.backtest import backtest as run

    # An option takes one value: what follows it is told apart by its name.
    books = [path for path in given or [] if path.suffix in (".yaml", ".yml")]
    files = [*(events or []), *[path for path in given or [] if path not in books]]
    if len(books) > 1:
        raise Failed(f"{books[1]}: one rules file at a time; compare two with --against")
    if not files:
        raise Failed("--events: is needed: the files whose events are replayed")
    for path in files:
        if not path.is_file():
            raise Failed(f"{path}: no such file")
    settings = Settings()
    mine = load_rules(books[0] if books else settings.rules)
    theirs = load_rules(against) if against is not None else None
    with progress("replaying") as bar:
        done = run(files, policy_with(settings, mine), score, bar)
    other = None
    if theirs is not None:
        with progress("replaying the other rules") as bar:
            other = run(files, policy_with(settings, theirs), score, bar)
    if as_json:
        data = {
            "events": done.events,
            "span_days": round(done.span_days, 3),
            "seconds": round(done.seconds, 3),
            "alarms": [alarm_data(alarm, incident) for alarm, incident in done.alarms],
        }
        if other is not None:
            data["against"] = {"alarms": [alarm_data(alarm, incident) for alarm, incident in other.alarms]}
        typer.echo(json.dumps(data))
        return
    _print(done)
    if other is not None:
        _difference(done, other)


def _print(done: Backtested) -> None:
    typer.echo(f"{done.events:,} events over {done.span_days:.1f} days, replayed in {done.seconds:.1f} s")
    weekly = done.pages_a_week()
    rate = "" if weekly is None else f", {weekly:.1f} a week"
    typer.echo(f"{len(done.alarms)} alarms in {len(done.incidents)} incidents{rate}")
    by_rule: dict[str, int] = {}
    for alarm, _ in done.alarms:
        by_rule[alarm.rule] = by_rule.get(alarm.rule, 0) + 1
    for rule, count in sorted(by_rule.items()):
        typer.echo(f"  {rule}: {count}")
    for incident in done.incidents:
        typer.echo(_line(incident))


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
    from sinks.words import headline

    return headline(incident)


COMMANDS = (backtest,)
