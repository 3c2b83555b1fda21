"""``gleaner schema``: what an event may look like, for producers in any language."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel

app = typer.Typer(no_args_is_help=True, help="JSON Schema of every event.")


@app.callback()
def _group() -> None:
    """Keeps ``export`` a command of its own while it is the only one."""


@app.command("export")
def export(
    folder: Annotated[
        Path, typer.Argument(metavar="dir", help="gets trace.json, feedback.json, change.json")
    ],
) -> None:
    """Write the JSON Schema (draft 2020-12) of what applications publish, one file per event.

    A message is one such object or an array of them; fields that no schema names are kept.

    Example: gleaner schema export schemas
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in event_schemas().items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
        typer.echo(f"{path}: {len(schema['properties'])} fields, needs {', '.join(schema['required'])}")


def event_schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema by event, of what is taken in (not of what is kept)."""
    from schemas.change import ChangeEvent
    from schemas.feedback import FeedbackEvent
    from schemas.trace import TraceEvent

    models: dict[str, type[BaseModel]] = {
        "trace": TraceEvent,
        "feedback": FeedbackEvent,
        "change": ChangeEvent,
    }
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {name: draft | model.model_json_schema(mode="validation") for name, model in models.items()}
