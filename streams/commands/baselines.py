"""``gleaner baselines accept``: what is, is normal now. For deploy jobs, and changes that were meant."""

from __future__ import annotations

import asyncio
import getpass
import logging
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from detectors.acceptance import LEARNS
from schemas.acceptance import WITHOUT_BASELINE, Acceptance
from schemas.base import parse_time, rfc3339
from schemas.codec import encode
from schemas.signal import SignalName
from schemas.topics import CHANGES
from sinks.clean import clean
from sinks.outbox_schema import connect_read_only
from streams.commands.fail import Failed
from streams.commands.incident_file import State, file_of
from streams.event_clock import EventClock
from streams.rules_file import load_rules
from streams.settings import Settings
from streams.wall import now_ms

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="What is normal, as far as people have a say in it."
)


@app.callback()
def _group() -> None:
    """Keeps ``accept`` a command of its own while it is the only one."""


@app.command()
def accept(
    app_name: Annotated[str, typer.Option("--app", help="whose baselines")],
    environment: Annotated[str | None, typer.Option(help="only this environment")] = None,
    route: Annotated[
        str | None, typer.Option(help="only this route; * is the routes of little traffic together")
    ] = None,
    signal: Annotated[SignalName | None, typer.Option(help="only this signal")] = None,
    rule: Annotated[str | None, typer.Option(help="only this rule")] = None,
    at: Annotated[str | None, typer.Option(help="from when on, RFC 3339 with a zone; default: now")] = None,
    by: Annotated[str | None, typer.Option("--by", help="who says so; default: your user name here")] = None,
    state: State = None,
) -> None:
    """Say that what an app does from now on is normal: it is learned anew, and alarms end.

    Rules that declare a level (a threshold, an objective, a bound) have no baseline; they stay as they are.

    Example: gleaner baselines accept --app support-bot --environment production --signal cost_per_success
    """
    settings, now = Settings(), now_ms()
    _has_baselines(settings, app_name, signal, rule)
    try:
        time = _said(app_name, now, state) if at is None else parse_time(at)
        acceptance = Acceptance(
            app=app_name,
            environment=environment,
            route=route,
            signal=signal,
            rule=rule,
            timestamp=time,
            author=by or getpass.getuser(),
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Failed(f"--{first['loc'][0]}: {first['msg']}") from None
    except ValueError as error:
        raise Failed(f"--at: {error}") from None
    from aiokafka.errors import KafkaError

    try:
        asyncio.run(_publish(settings, acceptance))
    except (KafkaError, OSError) as error:
        raise Failed(
            f"{settings.brokers}: no broker takes it ({type(error).__name__}); nothing was changed: start"
            " `gleaner up`, or set GLEANER_BROKERS",
            status=1,
        ) from None
    typer.echo(f"sent: what {_named(acceptance)} brings from {rfc3339(time)} on is normal, and learned anew")


def _has_baselines(settings: Settings, app_name: str, signal: SignalName | None, rule: str | None) -> None:
    """Raises :class:`Failed` where the rules here learn nothing of what is named."""
    if signal in WITHOUT_BASELINE:
        raise Failed(f"--signal: nothing is learned of {signal}: there is no baseline to accept")
    rules = load_rules(settings.rules)
    if rule is not None and all(one.name != rule for one in rules):
        raise Failed(f"--rule: there is no rule {clean(rule, 80)}: see gleaner rules check")
    named = [
        one
        for one in rules
        if one.signal is (signal or one.signal)
        and one.name == (rule or one.name)
        and fnmatchcase(app_name, one.app)
    ]
    if any(one.kind in LEARNS for one in named):
        return
    if not named:
        raise Failed(
            f"--signal, --rule: no rule of {clean(app_name, 80)} is of these: see gleaner rules check"
        )
    declared = ", ".join(f"{one.name} ({one.kind.value})" for one in named)
    raise Failed(f"{declared}: has no baseline: its level is declared in the rules file, change it there")


def _said(app_name: str, now: int, state: Path | None) -> int:
    """Now, in event time: notify's file knows where old traffic is replayed, if it is here."""
    path = file_of(state)
    if not path.is_file():
        return now
    with closing(connect_read_only(path)) as db:
        rows = db.execute("select app, watermark, wall from clocks").fetchall()
    return EventClock({row["app"]: (row["watermark"], row["wall"]) for row in rows}).said(app_name, now)


def _named(acceptance: Acceptance) -> str:
    parts = [acceptance.app, acceptance.environment, acceptance.route]
    what = [one for one in (acceptance.signal, acceptance.rule) if one]
    where = "/".join(clean(part, 80) if part else "(any)" for part in parts)
    return f"{', '.join(clean(one, 80) for one in what)} of {where}" if what else where


async def _publish(settings: Settings, acceptance: Acceptance) -> None:
    from streams.batches import producer

    # What it would log of a missing broker is said in one line by the caller.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    out = producer(settings, request_timeout_ms=10_000)
    try:
        await out.start()
        topic = settings.topic(CHANGES)
        await out.send_and_wait(topic, encode(acceptance), key=(acceptance.app or "").encode())
    finally:
        await out.stop()
