"""What a person says of a case: a failure indeed, or none. Append-only; what was said last stands."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from sinks.evalstore.errors import BadRequest
from sinks.evalstore.fields import moment
from sinks.evalstore.saying import next_said, said_id

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
    """``cases``: how many of the case's cluster the verdict counts for. ``id`` is what undoes it, None where
    it stood already."""

    id: str | None
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


def review(con: DuckDBPyConnection, said: Review, now: int, request: str | None = None) -> Reviewed:
    """Write a verdict, and say for how many cases of the cluster it counts. ``now`` in epoch ms.

    The verdict that stands is not written again where the same person says the same of the same case. Asked
    again under the same ``request`` it is there once. Raises ``BadRequest`` where there is no such case.
    """
    query = "SELECT cluster_size, cluster_id FROM case_list_of([$case_id])"
    found = con.execute(query, {"case_id": said.case_id}).fetchone()
    if found is None:
        raise BadRequest(f"no such case: {said.case_id}")
    cases, cluster_id = int(found[0]), str(found[1])
    said_seq = next_said(con)
    review_id = said_id("case-review", *said, now=now, request=request, said_seq=said_seq)
    if con.execute("SELECT 1 FROM case_reviews WHERE review_id = ?", [review_id]).fetchone():
        return Reviewed(review_id, cases)
    if con.execute(_STANDS, [cluster_id]).fetchone() == (said.case_id, said.verdict, said.actor, said.note):
        return Reviewed(None, cases)
    con.execute(
        "INSERT INTO case_reviews VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            review_id,
            said.case_id,
            moment(now),
            said.verdict.value,
            said.actor,
            said.note,
            said_seq,
        ],
    )
    return Reviewed(review_id, cases)


_STANDS = """
    SELECT case_id, verdict, actor, note FROM case_reviews JOIN cluster_of USING (case_id)
    WHERE cluster_id = ? AND review_id NOT IN (SELECT id FROM undone)
    ORDER BY said_seq DESC NULLS LAST, reviewed_at DESC, review_id DESC LIMIT 1"""
