"""Refused events, as plain values, from any connection to a store."""

from __future__ import annotations

from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from sinks.evalstore.errors import NoSuchLetter


class LetterFilter(NamedTuple):
    """What to list; None does not narrow. ``since`` is epoch ms of the broker, ``topic`` without prefix.

    ``own``: records of Gleaner's own that could not be read or stored, instead of applications' events.
    """

    reason: str | None = None
    topic: str | None = None
    since: int | None = None
    own: bool = False
    limit: int | None = None


class Letter(NamedTuple):
    """A refused event, as in ``schemas.dead_letter.DeadLetter``; times are epoch ms.

    Where it stood is None of what a store refused, which came from no topic.
    """

    id: str
    own: bool
    reason: str
    message: str
    field: str | None
    stream: str | None
    topic: str | None
    partition: int | None
    offset: int | None
    element: int | None
    broker_time: int | None
    size: int
    sha256: str
    original: str
    original_encoding: str


def letters(con: DuckDBPyConnection, wanted: LetterFilter) -> list[Letter]:
    """Refused events, the newest first."""
    rows = con.execute(
        f"""SELECT {_COLUMNS} FROM dead_letters WHERE {_WANTED}
        ORDER BY broker_time DESC NULLS LAST, id LIMIT $limit""",  # noqa: S608
        wanted._asdict(),
    )
    return [Letter(*row) for row in rows.fetchall()]


def letter_counts(con: DuckDBPyConnection, wanted: LetterFilter) -> list[tuple[str, str | None, int]]:
    """(reason, field, how many), the most frequent first."""
    values: dict[str, Any] = wanted._asdict()
    del values["limit"]
    rows = con.execute(
        f"""SELECT reason, field, count(*) FROM dead_letters WHERE {_WANTED}
        GROUP BY ALL ORDER BY count(*) DESC, reason, field NULLS FIRST""",  # noqa: S608
        values,
    )
    return [(reason, field, n) for reason, field, n in rows.fetchall()]


def find_letter(con: DuckDBPyConnection, wanted: str) -> Letter:
    """One refused event by its id, or a prefix that only its id has. Raises ``NoSuchLetter``."""
    rows = con.execute(
        f"""SELECT {_COLUMNS} FROM dead_letters WHERE starts_with(id, $id)
        ORDER BY id <> $id, id LIMIT 2""",  # noqa: S608
        {"id": wanted},
    ).fetchall()
    if not rows or not wanted:
        raise NoSuchLetter(f"no refused event {wanted or '(an empty id)'}")
    if len(rows) > 1 and rows[0][0] != wanted:
        raise NoSuchLetter(f"{wanted} fits several refused events: give more of the id")
    return Letter(*rows[0])


_COLUMNS = """id, own, reason, message, field, log_stream, log_topic, log_partition, log_offset, log_index,
    epoch_ms(broker_time), size, sha256, original, original_encoding"""
_WANTED = """own = $own AND ($reason IS NULL OR reason = $reason)
    AND ($topic IS NULL OR log_topic = $topic)
    AND ($since IS NULL OR epoch_ms(broker_time) >= $since)"""
