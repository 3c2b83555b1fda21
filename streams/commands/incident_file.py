"""notify's file, read beside its running owner."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.incident import Incident
from sinks.clean import clean
from sinks.outbox_schema import connect_read_only
from streams.commands.fail import Failed
from streams.settings import Settings

State = Annotated[Path | None, typer.Option("--state", help="notify's folder; default GLEANER_STATE_DIR")]


def rows(state: Path | None, query: str, values: list[Any]) -> list[sqlite3.Row]:
    """The rows of a query; what is wrong with the file ends the command in one line."""
    path = file_of(state)
    try:
        with closing(connect_read_only(path)) as db:
            return db.execute(query, values).fetchall()
    except FileNotFoundError as error:
        raise Failed(str(error)) from None
    except sqlite3.Error as error:
        raise Failed(f"{path}: {error}") from None


def incidents(state: Path | None, query: str, values: list[Any]) -> list[Incident]:
    """The incidents whose bodies a query answers."""
    return [Incident.model_validate_json(row["body"]) for row in rows(state, query, values)]


def one(state: Path | None, incident_id: str) -> Incident:
    """The incident of this id, or of this beginning of one."""
    pattern = incident_id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    found = incidents(
        state, "select body from incidents where id like ? escape '\\' order by id limit 3", [pattern]
    )
    if not found:
        raise Failed(f"{clean(incident_id, 60)}: no such incident", status=1)
    if len(found) > 1:
        raise Failed(f"{clean(incident_id, 60)}: begins more than one id: {', '.join(o.id for o in found)}")
    return found[0]


def file_of(state: Path | None) -> Path:
    return (state or Settings().state_dir) / "notify.sqlite"
