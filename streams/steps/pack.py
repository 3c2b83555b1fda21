"""Observations on the wire: one JSON message per app and flush, rows as arrays, profiles listed once."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from schemas.base import WIRE_VERSION
from schemas.observation import (
    ROW_TYPES,
    Kind,
    ObservationBatch,
    Profile,
    Progress,
    Row,
    Source,
    SourceProgress,
    TraceRow,
    profile_of,
)
from schemas.topics import OWN_MESSAGE_BYTES

MAX_ROWS = 2000
"""Rows in one message."""


class Packer:
    """Collects the rows of one flush by app. The order of rows within an app is the order of ``add``."""

    def __init__(self) -> None:
        self._apps: dict[str, _AppPack] = {}

    def add(self, app: str, source: Source, profile: Profile | None, row: tuple[Any, ...]) -> None:
        """``row`` as its row type, with any ``source`` and ``profile``: both are filled in here."""
        pack = self._apps.get(app)
        if pack is None:
            pack = self._apps[app] = _AppPack()
        if source is not pack.source:  # a record's events come together
            pack.source, pack.where = source, pack.sources.setdefault(source, len(pack.sources))
        cells = list(row)
        cells[3] = pack.where
        if profile is not None:
            profiles = pack.profiles
            which = profiles.get(profile)
            if which is None:
                which = profiles[profile] = len(profiles)
            cells[6] = which
        pack.rows.append(cells)

    def messages(self, max_bytes: int = OWN_MESSAGE_BYTES) -> list[tuple[str, bytes]]:
        """(app, message) in the order in which the apps first appeared; no message over ``max_bytes``.

        A single row whose message is larger all the same is sent alone: an event's limit is well below.
        """
        return [
            (app, message)
            for app, pack in self._apps.items()
            for message in _encode(app, list(pack.sources), list(pack.profiles), pack.rows, max_bytes)
        ]


class _AppPack:
    __slots__ = ("profiles", "rows", "source", "sources", "where")

    def __init__(self) -> None:
        self.source: Source | None = None
        self.where = 0
        self.sources: dict[Source, int] = {}
        self.profiles: dict[Profile, int] = {}
        self.rows: list[list[Any]] = []


def _encode(
    app: str, sources: list[Source], profiles: list[Profile], rows: list[list[Any]], max_bytes: int
) -> list[bytes]:
    size = MAX_ROWS
    if len(rows) <= size:
        message = orjson.dumps(
            {
                "v": WIRE_VERSION,
                "app": app,
                "sources": [list(source) for source in sources],
                "profiles": [list(profile) for profile in profiles],
                "rows": rows,
            }
        )
        if len(message) <= max_bytes or len(rows) == 1:
            return [message]
        size = (len(rows) + 1) // 2
    return [
        message
        for start in range(0, len(rows), size)
        for message in _encode(app, *_named(sources, profiles, rows[start : start + size]), max_bytes)
    ]


def _named(
    sources: list[Source], profiles: list[Profile], rows: list[list[Any]]
) -> tuple[list[Source], list[Profile], list[list[Any]]]:
    """A part of the rows with only the sources and profiles that it names: what is split gets smaller."""
    places: dict[int, int] = {}
    kinds: dict[int, int] = {}
    part = []
    for row in rows:
        where = places.setdefault(row[3], len(places))
        if row[2] == Kind.TRACE:
            which = kinds.setdefault(row[6], len(kinds))
            part.append([*row[:3], where, *row[4:6], which, *row[7:]])
        else:
            part.append([*row[:3], where, *row[4:]])
    return [sources[at] for at in places], [profiles[at] for at in kinds], part


def encode_progress(progress: Progress) -> bytes:
    sources = [[*entry.source, entry.offset, entry.max_time, entry.at_end] for entry in progress.sources]
    return orjson.dumps(
        {"v": WIRE_VERSION, "at": progress.at, "partitions": progress.partitions, "progress": sources}
    )


def decode(data: bytes) -> ObservationBatch | Progress:
    """A message of the observations topic. Raises ``ValueError`` where it is none of this version."""
    message = orjson.loads(data)
    if not isinstance(message, dict) or message.get("v") != WIRE_VERSION:
        raise ValueError(
            f"v: is not {WIRE_VERSION}: written by another version of Gleaner, or by something else"
        )
    try:
        if "progress" in message:
            return Progress(
                message["at"],
                message["partitions"],
                [
                    SourceProgress(Source(stream, topic, partition), offset, max_time, at_end)
                    for stream, topic, partition, offset, max_time, at_end in message["progress"]
                ],
            )
        return ObservationBatch(
            message["app"],
            [Source(*source) for source in message["sources"]],
            [profile_of(fields) for fields in message["profiles"]],
            rows_of(message["rows"]),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no observations in this message: {error!r}") from error


def rows_of(rows: list[list[Any]]) -> list[Row]:
    """Rows as JSON gave them back. Traces are the many: where there is nothing else, all go at once."""
    if {(fields[2], len(fields)) for fields in rows} == _ONLY_TRACES:
        return list(map(_trace_row, rows))
    return [row_of(fields) for fields in rows]


_trace_row = partial(tuple.__new__, TraceRow)
_ONLY_TRACES = {(Kind.TRACE.value, len(TraceRow._fields))}
_BEFORE_FIRST_TOKENS = 16
"""Fields of a trace's row as it was written before there was a time to first token: still in the log."""
_WIDTHS = tuple(len(kind._fields) for kind in ROW_TYPES)


def row_of(fields: list[Any]) -> Row:
    kind = fields[2]
    if kind == Kind.TRACE and len(fields) == _BEFORE_FIRST_TOKENS:
        fields = [*fields, None]
    if len(fields) != _WIDTHS[kind]:
        raise TypeError(f"a row of kind {kind} has {_WIDTHS[kind]} fields, not {len(fields)}")
    # As its constructor would, which is a function in Python: for the many.
    return tuple.__new__(ROW_TYPES[kind], fields)
