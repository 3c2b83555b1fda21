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


def named(state: Path | None, name: str) -> list[Incident]:
    """The incident of this id or beginning of one; of a storm's, what is told there and open."""
    storms = _storms(state, name)
    if not storms or incidents(
        state, "select body from incidents where id like ? escape '\\' limit 1", [_pattern(name)]
    ):
        return [one(state, name)]
    if len(storms) > 1:
        raise Failed(f"{clean(name, 60)}: begins more than one id: {', '.join(storms)}")
    found = incidents(
        state,
        "select i.body from storm_members as m join incidents as i on i.id = m.incident_id"
        " where m.storm_id = ? and m.own = 0 and i.resolved = 0 order by i.id",
        storms,
    )
    if not found:
        why = "all of this storm is over, or has a message of its own"
        raise Failed(f"{clean(name, 60)}: {why}", status=1)
    return found


def storm(state: Path | None, name: str) -> str:
    """The id of the storm of this id or beginning of one."""
    found = _storms(state, name)
    if not found:
        raise Failed(f"{clean(name, 60)}: no such storm", status=1)
    if len(found) > 1:
        raise Failed(f"{clean(name, 60)}: begins more than one id: {', '.join(found)}")
    return found[0]


def _storms(state: Path | None, name: str) -> list[str]:
    """Two at most. A file from before there were storms has none."""
    if not rows(state, "select 1 from sqlite_master where type = 'table' and name = 'storms'", []):
        return []
    query = "select id from storms where id like ? escape '\\' order by id limit 2"
    return [str(row["id"]) for row in rows(state, query, [_pattern(name)])]


def one(state: Path | None, incident_id: str) -> Incident:
    """The incident of this id, or of this beginning of one."""
    pattern = _pattern(incident_id)
    found = incidents(
        state, "select body from incidents where id like ? escape '\\' order by id limit 3", [pattern]
    )
    if not found:
        raise Failed(f"{clean(incident_id, 60)}: no such incident", status=1)
    if len(found) > 1:
        raise Failed(f"{clean(incident_id, 60)}: begins more than one id: {', '.join(o.id for o in found)}")
    return found[0]


def _pattern(begins: str) -> str:
    if not begins.strip():
        raise Failed("no id, and no beginning of one, is given: gleaner incidents list has them")
    return begins.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


def file_of(state: Path | None) -> Path:
    return (state or Settings().state_dir) / "notify.sqlite"
