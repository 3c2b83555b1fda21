"""How far each role is behind."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated

import typer

from streams.commands.broker import said_of, silence_clients
from streams.commands.fail import Failed
from streams.commands.reader import next_snapshot
from streams.settings import Settings
from streams.wall import now_ms


def status(
    wait: Annotated[
        float,
        typer.Option(help="wait up to so many seconds until nothing is left, and what is stored can be read"),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
) -> None:
    """Messages that each role has not done yet, by topic; exit 1 if there are any.

    With --wait it looks again until two looks in a row find nothing left, and nothing moved between them.
    Exit 1 also where the time is up before that, and where the eval store on this machine has what no
    snapshot has yet.

    Example: gleaner status --wait 60
    """
    from aiokafka.errors import KafkaError

    from streams.lag import Look, look, settle

    settings = Settings()
    silence_clients()
    deadline = time.monotonic() + wait

    async def ask() -> tuple[Look | None, bool]:
        if wait:
            return await settle(lambda: look(settings), wait)
        return await look(settings), True

    try:
        seen, quiet = asyncio.run(ask())
    except KafkaError as error:
        raise Failed(said_of(settings, error), status=1) from error
    if seen is None:
        raise Failed(f"{settings.brokers}: no answer within {wait:g} s", status=1)
    behind, left = seen.behind, seen.left
    stored = now_ms()
    waits = _waits(settings, stored)
    while wait and quiet and waits and time.monotonic() < deadline:
        time.sleep(0.2)
        waits = _waits(settings, stored)
    if as_json:
        typer.echo(json.dumps(behind))
    else:
        for role, topics in behind.items():
            parts = ", ".join(f"{count:,} in {name}" for name, count in topics.items() if count)
            typer.echo(f"{role:<8} {parts or 'nothing left'}{waits if role == 'store' else ''}")
    if not (left or quiet):
        typer.echo(f"nothing was left at the last look, but {wait:g} s were too short to be sure", err=True)
    if left or not quiet or (wait and waits):
        raise typer.Exit(1)


def _waits(settings: Settings, stored: int) -> str:
    """What is to be said where something stored by then (epoch ms) is in no snapshot yet, else nothing."""
    from sinks.evalstore import waiting_since

    published = waiting_since(settings.store_file())
    if published is None or published >= stored:
        return ""
    return f"; the newest can't be read yet: {next_snapshot(published, settings.snapshot_seconds)}"


COMMANDS = (status,)
