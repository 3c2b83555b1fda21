"""Labelled incidents: what really went wrong, and when, as a file says it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from schemas.base import EventTime, Id, Name
from schemas.signal import SignalName
from streams.lines import read_lines


class LabelsError(ValueError):
    """The file of labels cannot be used; the message names file, line and field."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    app: Id
    environment: Id
    route: Id
    start: EventTime
    end: EventTime
    signal: SignalName | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _in_order(self) -> _Line:
        if self.end <= self.start:
            raise ValueError("end: is not after start")
        return self


class Label(NamedTuple):
    """An incident in one segment, ``[start, end)`` in epoch ms; ``signal`` None: whatever shows it."""

    name: str
    app: str
    environment: str
    route: str
    signal: SignalName | None
    start: int
    end: int

    def about(self, app: str, environment: str, route: str, signal: SignalName) -> bool:
        """Whether this signal of this segment would show it."""
        here = (self.app, self.environment, self.route) == (app, environment, route)
        return here and self.signal in (None, signal)


def load_labels(path: Path) -> list[Label]:
    """The labels of a JSONL file: app, environment, route, start, end, and optionally signal and name.

    Times are RFC 3339 with a zone, or epoch milliseconds; a label without a name is called by its line.
    Raises ``LabelsError`` for what cannot be read.
    """
    labels = []
    try:
        for line in read_lines(path):
            try:
                said = _Line.model_validate_json(line.data)
            except ValidationError as error:
                raise LabelsError(f"{path}: line {line.number}: {_why(error)}") from None
            name = said.name or f"line {line.number}"
            labels.append(
                Label(name, said.app, said.environment, said.route, said.signal, said.start, said.end)
            )
    except OSError as error:
        raise LabelsError(f"{path}: {error.strerror or error}") from error
    if not labels:
        raise LabelsError(f"{path}: holds no label: one JSON object per line")
    return labels


def _why(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    field = ".".join(map(str, first["loc"]))
    text = first["msg"].removeprefix("Value error, ")
    return f"{field}: {text[:1].lower()}{text[1:]}" if field else text
