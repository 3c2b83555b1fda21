"""Reads files of events: bytes, split at 0x0A only, each line with where it stands."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from schemas.base import parse_event_time
from schemas.codec import EventKind, Refused, classify


class Line(NamedTuple):
    """One line that is not blank. ``offset`` is the byte at which it begins, ``number`` counts from 1."""

    file: int
    number: int
    offset: int
    data: bytes


def read_lines(path: Path, file: int = 0) -> Iterator[Line]:
    """The lines of a file. Raises ``OSError`` where it cannot be read."""
    offset = 0
    with path.open("rb") as handle:
        for number, raw in enumerate(handle, 1):
            data = raw.rstrip(b"\n")
            if data.strip():
                yield Line(file, number, offset, data)
            offset += len(raw)


def kind_of(value: object) -> EventKind:
    """The kind of event of a parsed line. What is no event goes where that is said of it: feedback of a kind
    that there is not the way of feedback, everything else that of a trace."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        value = value[0]
    if not isinstance(value, dict):
        return "trace"
    kind = classify(value)
    if isinstance(kind, Refused):
        return "feedback" if kind.field == "kind" else "trace"
    return kind


def time_of(value: object) -> int | None:
    """The event time of a parsed line, None where it has none that can be read."""
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict) or value.get("timestamp") is None:
        return None
    try:
        return parse_event_time(value["timestamp"])
    except ValueError:
        return None


class Timed(NamedTuple):
    """A line with its parsed value (None: not JSON) and time (without one: the line before's)."""

    time: int
    line: Line
    value: object


def timed_lines(path: Path, file: int = 0) -> Iterator[Timed]:
    previous = 0
    for line in read_lines(path, file):
        try:
            value = orjson.loads(line.data)
        except orjson.JSONDecodeError:
            value = None
        previous = time if (time := time_of(value)) is not None else previous
        yield Timed(previous, line, value)


def merged(paths: Sequence[Path]) -> Iterator[Timed]:
    """The lines of several files as one stream by event time; each file keeps its own order."""
    streams = [timed_lines(path, number) for number, path in enumerate(paths)]
    return heapq.merge(*streams, key=lambda timed: timed.time)
