"""``gleaner incidents`` and ``gleaner preview``: what notify knows, and what an alert looks like.

What people ask of an incident is in ``incident_ask``, why it fired in ``incident_explain``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from schemas.base import parse_time, rfc3339
from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState
from sinks import words
from sinks.base import Message
from sinks.clean import clean
from sinks.console import card
from sinks.samples import SAMPLES, series
from sinks.slack.buttons import Offer
from sinks.slack.picture import Picture, sparkline
from sinks.slack.render import render
from sinks.standing import standing
from streams.commands.fail import Failed
from streams.commands.incident_ask import COMMANDS_OF_PEOPLE
from streams.commands.incident_explain import explain, labels
from streams.commands.incident_file import State, incidents, one, rows, storm
from streams.commands.preview_page import preview_page

OFFER = Offer(clicks=True)
"""A preview shows the buttons, which do nothing there."""
app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What has been paged, and what became of it."
)


@app.command("list")
def list_(
    app_name: Annotated[str | None, typer.Option("--app", help="only this app")] = None,
    open_: Annotated[bool, typer.Option("--open", help="only what is not resolved")] = False,
    of_storm: Annotated[
        str | None,
        typer.Option("--storm", help="only what a storm's digest tells of: its id, or its beginning"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most so many, the newest first")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON array of incidents")] = False,
    state: State = None,
) -> None:
    """List the incidents, newest first.

    Example: gleaner incidents list --app support-bot
    """
    values = [app_name] if app_name else []
    parts = ["app = ?"] * len(values) + ["json_extract(body, '$.state') != 'resolved'"] * open_
    if of_storm is not None:
        parts.append("id in (select incident_id from storm_members where storm_id = ?)")
        values.append(storm(state, of_storm))
    where = f"where {' and '.join(parts)}" if parts else ""
    query = f"select body from incidents {where} order by last_at desc, id limit ?"  # noqa: S608 - no value in it
    found = incidents(state, query, [*values, limit])
    counted = rows(state, f"select count(*) as n from incidents {where}", values)  # noqa: S608 - no value in it
    if as_json:
        typer.echo(json.dumps([incident.summary() for incident in found]))
        return
    if not found:
        typer.echo("no incident")
        return
    for incident in found:
        typer.echo(words.headline(incident))
        members = f"{len(incident.members)} member{'s' if len(incident.members) > 1 else ''}"
        said = (standing(incident), f"detected {rfc3339(incident.detected_at)}", members, incident.id)
        typer.echo("    " + " · ".join(said))
    if (left := int(counted[0]["n"]) - len(found)) > 0:
        typer.echo(f"and {left:,} more: --limit {limit + left}")


@app.command()
def show(
    incident_id: Annotated[str, typer.Argument(help="its id, or enough of its beginning")],
    as_json: Annotated[bool, typer.Option("--json", help="the incident as JSON")] = False,
    state: State = None,
) -> None:
    """Show one incident as it was paged.

    Example: gleaner incidents show 0b1f6c2e
    """
    incident = one(state, incident_id)
    if as_json:
        typer.echo(json.dumps(incident.summary()))
    else:
        Console().print(card(incident))


def preview(
    alert: Annotated[str, typer.Argument(help=f"a file with an incident as JSON, or {', '.join(SAMPLES)}")],
    as_json: Annotated[bool, typer.Option("--json", help="the message that Slack would get")] = False,
    html: Annotated[Path | None, typer.Option(help="write the page that shows it as Slack would")] = None,
) -> None:
    """An alert as Slack would show it; nothing is sent.

    Example: gleaner preview faithfulness --html alert.html
    """
    incident = SAMPLES[alert] if alert in SAMPLES else _load(alert)
    message = Message("preview", EffectKind.POST, NotifyReason.FIRST, incident)
    # Of a file's incident the past is not known here; of a sample it is made up.
    points = series(incident) if alert in SAMPLES else []
    if html is not None:
        html.write_text(preview_page(message, points), encoding="utf-8")
        typer.echo(f"written: {html}", err=True)
    if as_json:
        picture = Picture(sparkline(points, incident))
        typer.echo(json.dumps(render(message, OFFER, picture), indent=2, ensure_ascii=False))
    elif html is None:
        Console().print(card(incident))


def _load(alert: str) -> Incident:
    """An incident from a file: as it is stored, as ``incidents explain --json`` prints it, or a summary, of
    which its state is not known: it is shown as firing (an array gives its first)."""
    path = Path(alert)
    if not path.is_file():
        raise Failed(f"{clean(alert, 200)}: no such file, and not one of {', '.join(SAMPLES)}")
    try:
        value = json.loads(path.read_bytes())
        if isinstance(value, dict):
            value = value.get("incident", value.get("incidents", value))
        value = value[0] if isinstance(value, list) and value else value
        return Incident.model_validate(_filled(value))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Failed(f"{path}: {where}: {first['msg']}") from None
    except (ValueError, TypeError, AttributeError, LookupError):
        raise Failed(f"{path}: holds no incident: see `gleaner incidents explain ID --json`") from None


def _filled(value: dict[str, Any]) -> dict[str, Any]:
    """A summary lacks what only the stored incident has; ids of members stand for themselves."""
    members = [
        {"severity": value.get("severity", "P3"), "signal_id": f"member-{number}", "last_at": 0}
        | member
        | {key: parse_time(member[key]) for key in ("onset", "detected_at")}
        for number, member in enumerate(value.get("members", ()))
    ]
    times = {key: parse_time(value[key]) for key in ("onset", "detected_at") if key in value}
    return {"state": IncidentState.FIRING} | value | times | {"members": members}


for command in (explain, labels, *COMMANDS_OF_PEOPLE):
    app.command()(command)

COMMANDS = (preview,)
"""Commands at the top of the command line; the sub-app is ``app``."""
