"""In which order people said things, and the id of each thing said."""

from __future__ import annotations

from typing import Any

from duckdb import DuckDBPyConnection

from schemas.identity import derive


def next_said(con: DuckDBPyConnection) -> int:
    """The ``said_seq`` of what is said now; it counts verdicts, annotations, splits and merges alike.

    By it, and not by the clock, the latest stands: two things may be said within a millisecond, and a clock
    may be set back.
    """
    row = con.execute(
        """SELECT coalesce(max(said_seq), -1) + 1 FROM (
            SELECT said_seq FROM case_reviews UNION ALL SELECT said_seq FROM case_annotations
            UNION ALL SELECT said_seq FROM cluster_edits)"""
    ).fetchone()
    assert row is not None
    return int(row[0])


def said_id(kind: str, *said: Any, now: int, request: str | None, said_seq: int) -> str:
    """The id of a thing said. ``request`` is the name of the request for it, where that lies in a file until
    it is answered: done again after a crash it has the id of before. Without one it is never done again, and
    the same words are another thing said.
    """
    return derive(kind, *said, now, said_seq if request is None else request)
