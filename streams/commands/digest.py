"""``gleaner digest``: the last day or week of alerting, now."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from schemas.digest import Period
from sinks.console_digest import print_digest
from streams.commands.fail import Failed
from streams.commands.incident_file import State
from streams.settings import Settings
from streams.wall import now_ms


def digest(
    weekly: Annotated[bool, typer.Option("--weekly", help="the last seven days, not the last one")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the digest as JSON")] = False,
    state: State = None,
    store: Annotated[Path | None, typer.Option(help="the store's file; default: the configured one")] = None,
) -> None:
    """The last day, or week, of alerting: the worst signals, what was kept quiet and why, rules that fire
    falsely or never, spend with a forecast, and new kinds of failures. Nothing is posted.

    Example: gleaner digest --weekly
    """
    from streams.digests import made

    given = {"state_dir": state, "store_path": store}
    settings = Settings().model_copy(update={name: path for name, path in given.items() if path is not None})
    period = Period.WEEKLY if weekly else Period.DAILY
    try:
        found = made(settings, period, now_ms())
    except FileNotFoundError as error:
        raise Failed(str(error)) from None
    except sqlite3.Error as error:
        raise Failed(f"{settings.state_dir}: {error}") from None
    if as_json:
        typer.echo(json.dumps(found.model_dump(mode="json")))
    else:
        print_digest(found, Console(highlight=False))


COMMANDS = (digest,)
