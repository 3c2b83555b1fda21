"""What a person says of a case: a failure indeed, or none. Append-only; the latest verdict stands."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.identity import derive
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.fields import moment

NOTE_LENGTH = 2_000


class Verdict(StrEnum):
    """``dismissed``: no failure, so in no frozen set; ``accepted``: one after all."""

    ACCEPTED = "accepted"
    DISMISSED = "dismissed"


class Review(NamedTuple):
    case_id: str
    verdict: Verdict
    actor: str
    note: str | None = None


class Reviewed(NamedTuple):
    """``cases``: how many of the case's cluster the verdict counts for. ``id`` is what undoes it."""

    id: str
    cases: int


def read_review(request: Any) -> Review:
    """A request that came as JSON; raises ``ValueError`` where it is none."""
    wanted = request.get("review") if isinstance(request, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError("no review")
    case_id, actor, note = wanted.get("case_id"), wanted.get("actor"), wanted.get("note")
    if not isinstance(case_id, str) or not isinstance(actor, str) or not isinstance(note, str | None):
        raise ValueError("no review of a case by somebody")
    return Review(case_id, Verdict(str(wanted.get("verdict"))), actor, note and note[:NOTE_LENGTH])


def review(con: DuckDBPyConnection, said: Review, now: int) -> Reviewed:
    """Write a verdict, and say for how many cases of the cluster it counts. ``now`` in epoch ms.

    Raises ``BadRequest`` where there is no such case.
    """
    query = "SELECT cluster_size FROM case_list WHERE case_id = ?"
    found = con.execute(query, [said.case_id]).fetchone()
    if found is None:
        raise BadRequest(f"no such case: {said.case_id}")
    review_id = derive("case-review", *said, now)
    con.execute(
        "INSERT INTO case_reviews VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [
            review_id,
            said.case_id,
            moment(now),
            said.verdict.value,
            said.actor,
            said.note,
        ],
    )
    return Reviewed(review_id, int(found[0]))
