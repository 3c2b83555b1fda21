"""How far each role is behind."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated

import typer

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

    With --wait also exit 1 where the eval store on this machine has what no snapshot has yet.

    Example: gleaner status --wait 60
    """
    from aiokafka.errors import KafkaError

    from streams.lag import READS, lag

    settings = Settings()

    async def look() -> dict[str, dict[str, int]]:
        return {role: await lag(settings, role) for role in READS}

    deadline = time.monotonic() + wait
    try:
        behind = asyncio.run(look())
        while sum(sum(topics.values()) for topics in behind.values()) and time.monotonic() < deadline:
            time.sleep(0.5)
            behind = asyncio.run(look())
    except KafkaError as error:
        raise Failed(f"{settings.brokers}: {error}", status=1) from error
    left = sum(sum(topics.values()) for topics in behind.values())
    stored = now_ms()
    waits = _waits(settings, stored)
    while wait and not left and waits and time.monotonic() < deadline:
        time.sleep(0.2)
        waits = _waits(settings, stored)
    if as_json:
        typer.echo(json.dumps(behind))
    else:
        for role, topics in behind.items():
            parts = ", ".join(f"{count:,} in {name}" for name, count in topics.items() if count)
            typer.echo(f"{role:<8} {parts or 'nothing left'}{waits if role == 'store' else ''}")
    if left or (wait and waits):
        raise typer.Exit(1)


def _waits(settings: Settings, stored: int) -> str:
    """What is to be said where something stored by then (epoch ms) is in no snapshot yet, else nothing."""
    from sinks.evalstore import waiting_since

    published = waiting_since(settings.store_file())
    if published is None or published >= stored:
        return ""
    return f"; the newest can't be read yet: {next_snapshot(published, settings.snapshot_seconds)}"


COMMANDS = (status,)
