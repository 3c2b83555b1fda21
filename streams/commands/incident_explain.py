"""``gleaner incidents explain|labels``: why an incident fired, and all that has become of it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.base import rfc3339
from schemas.command import Command
from schemas.incident import Incident, Member
from schemas.lifecycle import Entry
from sinks import words
from sinks.asked import SAYS
from sinks.clean import clean
from sinks.phrases import SIGNALS, capital, numbers
from sinks.standing import held_back, standing
from streams.commands.fail import Failed
from streams.commands.incident_file import State, one, rows
from streams.commands.incident_silence import explain_silence


def explain(
    incident_id: Annotated[
        str | None, typer.Argument(help="its id, or enough of its beginning; or none, with --rule")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="why this rule fired, or why it did not")] = None,
    segment: Annotated[str | None, typer.Option(help="there: APP/ENVIRONMENT/ROUTE")] = None,
    at: Annotated[
        str | None, typer.Option(help="then: a time, a date, or an age such as 2h; default: now")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the whole of it, as JSON")] = False,
    state: State = None,
) -> None:
    """Why an incident fired, what was ruled out, who held it back, and its history; or, with --rule and
    --segment, why a rule fired there at a time, or why it did not.

    Example: gleaner incidents explain --rule faithfulness_drop --segment support-bot/production/chat --at 2h
    """
    if rule is not None or segment is not None:
        if incident_id is not None or rule is None or segment is None:
            raise Failed("--rule and --segment belong together, without an incident's id")
        explain_silence(rule, segment, at, as_json, state)
        return
    if incident_id is None:
        raise Failed("names an incident, or a rule and a segment: see gleaner incidents explain --help")
    incident = one(state, incident_id)
    asked = rows(
        state,
        "select body, verdict, done from commands where incident_id = ? order by stored_at, id",
        [incident.id],
    )
    commands = [
        (Command.model_validate_json(row["body"]), row["verdict"], bool(row["done"])) for row in asked
    ]
    if as_json:
        typer.echo(json.dumps(_data(incident, commands)))
        return
    console = Console()
    console.print(Text(words.headline(incident), style="bold"))
    console.print(Text(standing(incident)))
    _section(console, "Why it fired", [_fired(member) for member in incident.members])
    _section(console, "What explains it", words.why(incident, len(incident.evidence)))
    _section(console, "Held back", held_back(incident))
    if incident.recurs:
        _section(console, "Seen before", [f"{incident.recurs} incidents of this rule and signal here"])
    _section(console, "History", [_entry(entry) for entry in incident.history])
    refused = [(command, verdict) for command, verdict, done in commands if not done]
    _section(console, "Asked, and not done", [_refused(*each) for each in refused])


def labels(
    rule: Annotated[str | None, typer.Option(help="only this rule")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False,
    state: State = None,
) -> None:
    """List the alarms that people have called no problem: false positives, one line a member.

    Example: gleaner incidents labels --rule faithfulness_drop --json
    """
    where, values = ("where rule = ?", [rule]) if rule else ("", [])
    query = f"select body from labels {where} order by time, incident_id, rule, route, body"  # noqa: S608 - no value in it
    found = [json.loads(row["body"]) for row in rows(state, query, values)]
    if as_json:
        for label in found:
            typer.echo(json.dumps(label))
        return
    if not found:
        typer.echo("no label")
        return
    table = Table("rule", "app", "route", "alarms", "from", "to", "by", "note", box=None)
    for label in found:
        of = f" of user {label['user']}" if label.get("user") else ""
        who = (clean(each, 60) for each in (label["rule"] + of, label["app"], label["route"]))
        times = (rfc3339(label[name]) for name in ("onset", "last_at"))
        said = (clean(label[name], 80) for name in ("actor", "note"))
        table.add_row(*(Text(each) for each in (*who, str(label["alarms"]), *times, *said)))
    Console().print(table)


def _data(incident: Incident, commands: list[tuple[Command, str, bool]]) -> dict[str, Any]:
    asked = [
        command.model_dump(mode="json", exclude_none=True) | {"verdict": verdict, "done": done}
        for command, verdict, done in commands
    ]
    return {"incident": incident.model_dump(mode="json", by_alias=True), "commands": asked}


def _fired(member: Member) -> str:
    moved = numbers(member) if member.value is not None and member.baseline is not None else "changed"
    where = f" on route {clean(member.route, 40)}" if member.route else ""
    said = f": {clean(member.reason, 320)}" if member.reason else ""
    times = f", {member.alarms} alarms" if member.alarms > 1 else ""
    back = ""
    if member.recovered and member.recovered_at is not None:
        back = f"; recovered, shown at {rfc3339(member.recovered_at)}"
    return (
        f"{capital(SIGNALS[member.signal])}{where} {moved} since {rfc3339(member.onset)}"
        f" (rule {clean(member.rule, 60)}, detected {rfc3339(member.detected_at)}{times}){said}{back}"
    )


def _entry(entry: Entry) -> str:
    who = f" by {clean(entry.actor, 60)}" if entry.actor else ""
    detail = f": {clean(entry.detail, 200)}" if entry.detail else ""
    return f"{rfc3339(entry.at)}  {entry.what.value.replace('_', ' ')}{who}{detail}"


def _refused(command: Command, verdict: str) -> str:
    says = SAYS.get(verdict, verdict)
    return f"{rfc3339(command.time)}  {command.verb.value} by {clean(command.actor, 60)}: {says}"


def _section(console: Console, title: str, lines: list[str]) -> None:
    if lines:
        console.print(Text(f"\n{title}", style="bold"))
        for line in lines:
            console.print(Text(f"• {line}"))
