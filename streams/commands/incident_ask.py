"""``gleaner incidents ack|snooze|…``: a person's command, published, and what notify made of it."""

from __future__ import annotations

import asyncio
import getpass
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from pydantic import ValidationError

from schemas.base import LATEST_MS, parse_time, rfc3339
from schemas.codec import encode
from schemas.command import Command, Verb
from schemas.identity import derive
from schemas.topics import COMMANDS
from sinks.asked import SAYS
from sinks.clean import clean
from streams.commands.broker import silence_clients
from streams.commands.fail import Failed
from streams.commands.incident_file import State, file_of, named, rows
from streams.settings import Settings
from streams.wall import now_ms

LOOK_SECONDS = 0.1
DAY_MS = 86_400_000
DURATION = re.compile(r"(\d{1,18})\s*([mhd])")
UNITS = {"m": 60_000, "h": 3_600_000, "d": DAY_MS}

Id = Annotated[str, typer.Argument(help="its id, or enough of its beginning; a storm's is all of it")]
By = Annotated[str | None, typer.Option("--by", help="who asks; default: your user name here")]
Why = Annotated[str, typer.Option("--note", help="why, in your words: it is kept in the history")]
Wait = Annotated[float, typer.Option(min=0, help="wait so many seconds for notify's answer")]


def ack(incident_id: Id, by: By = None, note: Why = "", wait: Wait = 5, state: State = None) -> None:
    """Acknowledge an incident: it is yours, and no longer escalates.

    Example: gleaner incidents ack 0b1f6c2e --by dana
    """
    _ask(Verb.ACK, incident_id, by, note, wait, state)


def unack(incident_id: Id, by: By = None, note: Why = "", wait: Wait = 5, state: State = None) -> None:
    """Take an acknowledgement back.

    Example: gleaner incidents unack 0b1f6c2e
    """
    _ask(Verb.UNACK, incident_id, by, note, wait, state)


def snooze(
    incident_id: Id,
    for_: Annotated[str | None, typer.Option("--for", help="a time such as 30m, 2h or 1d")] = None,
    until: Annotated[str | None, typer.Option(help="RFC 3339 with a zone")] = None,
    until_deploy: Annotated[
        bool, typer.Option("--until-deploy", help="until the next release, prompt, index or model")
    ] = False,
    by: By = None,
    note: Why = "",
    wait: Wait = 5,
    state: State = None,
) -> None:
    """Silence an incident for a while; it stays open, and says when the silence is over.

    Example: gleaner incidents snooze 0b1f6c2e --for 2h --until-deploy
    """
    end = _end(for_, until)
    if end is None and not until_deploy:
        raise Failed("snooze: says until when: --for 2h, --until TIME or --until-deploy; mute has no end")
    _ask(Verb.SNOOZE, incident_id, by, note, wait, state, until=end, until_deploy=until_deploy)


def assign(
    incident_id: Id,
    assignee: Annotated[str, typer.Argument(help='to whom; "" takes it from everybody')],
    by: By = None,
    note: Why = "",
    wait: Wait = 5,
    state: State = None,
) -> None:
    """Say whose an incident is.

    Example: gleaner incidents assign 0b1f6c2e dana
    """
    _ask(Verb.ASSIGN, incident_id, by, note, wait, state, assignee=assignee or None)


def resolve(incident_id: Id, by: By = None, note: Why = "", wait: Wait = 5, state: State = None) -> None:
    """Call an incident over; an alarm soon after reopens it.

    Example: gleaner incidents resolve 0b1f6c2e --note 'rolled back to v6'
    """
    _ask(Verb.RESOLVE, incident_id, by, note, wait, state)


def not_a_problem(
    incident_id: Id, by: By = None, note: Why = "", wait: Wait = 5, state: State = None
) -> None:
    """Resolve an incident as a false positive, keep that as a label, and learn what is as normal.

    Example: gleaner incidents not-a-problem 0b1f6c2e --note 'the new prompt is longer'
    """
    _ask(Verb.NOT_A_PROBLEM, incident_id, by, note, wait, state)


def mute(incident_id: Id, by: By = None, note: Why = "", wait: Wait = 5, state: State = None) -> None:
    """Silence an incident without an end; it stays open and listed.

    Example: gleaner incidents mute 0b1f6c2e
    """
    _ask(Verb.MUTE, incident_id, by, note, wait, state)


def unmute(incident_id: Id, by: By = None, note: Why = "", wait: Wait = 5, state: State = None) -> None:
    """End a mute.

    Example: gleaner incidents unmute 0b1f6c2e
    """
    _ask(Verb.UNMUTE, incident_id, by, note, wait, state)


COMMANDS_OF_PEOPLE = (ack, unack, snooze, assign, resolve, not_a_problem, mute, unmute)


def _ask(
    verb: Verb,
    incident_id: str,
    by: str | None,
    note: str,
    wait: float,
    state: Path | None,
    *,
    until: int | None = None,
    until_deploy: bool = False,
    assignee: str | None = None,
) -> None:
    settings, actor, now = Settings(), by or getpass.getuser(), now_ms()
    here = file_of(state).is_file()
    whole = [one.id for one in named(state, incident_id)] if here else [_whole(incident_id, state)]
    try:
        commands = [
            Command(
                id=derive("command", each, verb.value, actor, now),
                incident_id=each,
                verb=verb,
                actor=actor,
                time=now,
                until=until,
                until_deploy=until_deploy,
                assignee=assignee,
                note=note,
            )
            for each in whole
        ]
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Failed(f"{first['loc'][0]}: {first['msg']}") from None
    from aiokafka.errors import KafkaError

    try:
        asyncio.run(_publish(settings, commands))
    except (KafkaError, OSError) as error:
        env = settings.state_dir / "env"
        hint = f"`. {env}` takes the one that runs here" if env.is_file() else "start `gleaner up`"
        raise Failed(
            f"{settings.brokers}: no broker takes the command ({type(error).__name__}); nothing was changed."
            f" It goes by the topic `commands` to a running notify: {hint}, or set"
            " GLEANER_BROKERS",
            status=1,
        ) from None
    if len(commands) == 1:
        _answer(commands[0], wait if here else 0.0, state)
    else:
        _answers(commands, wait, state)


async def _publish(settings: Settings, commands: Sequence[Command]) -> None:
    from streams.batches import producer

    silence_clients()
    out = producer(settings, request_timeout_ms=10_000)
    try:
        await out.start()
        topic = settings.topic(COMMANDS)
        sent = [
            await out.send(topic, encode(command), key=command.incident_id.encode()) for command in commands
        ]
        await asyncio.gather(*sent)
    finally:
        await out.stop()


def _answer(command: Command, wait: float, state: Path | None) -> None:
    """What notify made of it, from its file; it may take a moment, or run elsewhere."""
    deadline = time.monotonic() + wait
    while True:
        found = wait and rows(state, "select verdict, done from commands where id = ?", [command.id])
        if found:
            (row,) = found
            says = SAYS.get(row["verdict"], row["verdict"])
            if not row["done"]:
                raise Failed(f"{command.incident_id}: {says}", status=1)
            typer.echo(f"{command.incident_id}: {says}{_detail(command)}")
            return
        if time.monotonic() >= deadline:
            typer.echo(
                f"{command.incident_id}: sent; notify has not answered yet: see gleaner incidents explain"
            )
            return
        time.sleep(LOOK_SECONDS)


def _answers(commands: Sequence[Command], wait: float, state: Path | None) -> None:
    """What notify made of a storm's: how many of each, and status 1 where none was done."""
    deadline = time.monotonic() + wait
    asked = {command.id for command in commands}
    while True:
        found = [
            row
            for row in rows(
                state,
                "select id, verdict, done from commands where stored_at >= ?",
                [commands[0].time - DAY_MS],
            )
            if row["id"] in asked
        ]
        if len(found) == len(asked) or time.monotonic() >= deadline:
            break
        time.sleep(LOOK_SECONDS)
    says = Counter(SAYS.get(row["verdict"], row["verdict"]) for row in found)
    if silent := len(asked) - len(found):
        says["sent; notify has not answered yet"] = silent
    told = f"{len(commands)} incidents of the storm: " + "; ".join(f"{n} {what}" for what, n in says.items())
    if found and not any(row["done"] for row in found):
        raise Failed(told, status=1)
    typer.echo(told + _detail(commands[0]))


def _detail(command: Command) -> str:
    if command.verb is Verb.ASSIGN:
        return f" to {clean(command.assignee, 60)}" if command.assignee else " to nobody"
    if command.verb is Verb.SNOOZE:
        ends = [rfc3339(command.until)] if command.until is not None else []
        return " until " + " or ".join([*ends, *(["the next deploy"] if command.until_deploy else [])])
    return ""


def _whole(incident_id: str, state: Path | None) -> str:
    """Without notify's file only a whole id will do."""
    try:
        return str(UUID(incident_id))
    except ValueError:
        raise Failed(
            f"{clean(incident_id, 60)}: is no whole id, and {file_of(state)} is not here to look it up in"
        ) from None


def _end(for_: str | None, until: str | None) -> int | None:
    if for_ is not None and until is not None:
        raise Failed("--for and --until: one of them")
    if for_ is not None:
        found = DURATION.fullmatch(for_.strip())
        if found is None:
            raise Failed(f"--for: is a time such as 30m, 2h or 1d, not {clean(for_, 40)}")
        end = now_ms() + int(found[1]) * UNITS[found[2]]
        if end > LATEST_MS:
            raise Failed("--for: is longer than time; mute has no end")
        return end
    if until is None:
        return None
    try:
        return parse_time(until)
    except ValueError as error:
        raise Failed(f"--until: {error}") from None
