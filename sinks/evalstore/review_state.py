"""What reviewers have said of a case's failure by now: verdicts, labels, criteria, the right answer."""

from __future__ import annotations

from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.base import rfc3339
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.migrations import applied

SAID = 14
"""Since this version the store knows the order in which verdicts were said."""


class ReviewState(NamedTuple):
    """``cases`` is the size of the cluster; ``expected_from`` is reviewer, correction or None.

    ``verdicts`` are the latest of each reviewer, the latest last: actor, verdict, note, reviewed_at (RFC
    3339), review_id.
    """

    cluster_id: str
    cases: int
    labels: list[str]
    must: list[str]
    must_not: list[str]
    assigned: str | None
    expected_answer: str | None
    expected_from: str | None
    verdicts: list[dict[str, Any]]


def review_state(con: DuckDBPyConnection, case_id: str) -> ReviewState:
    """Raises ``BadRequest`` where there is no such case."""
    found = con.execute(
        """SELECT cluster_id, cluster_size, labels, must, must_not, assigned, expected_answer, expected_from
        FROM case_list_of([$case_id])""",
        {"case_id": case_id},
    ).fetchone()
    if found is None:
        raise BadRequest(f"no such case: {case_id}")
    said = dict(zip(ReviewState._fields, found, strict=False))
    return ReviewState(**said, verdicts=verdicts_on(con, str(found[0])))


def verdicts_on(con: DuckDBPyConnection, cluster_id: str) -> list[dict[str, Any]]:
    """The latest verdict of each reviewer on a cluster, the latest last."""
    # A snapshot of an earlier Gleaner knows but the time.
    said = "said_seq NULLS FIRST, " if SAID in applied(con) else ""
    rows = con.execute(
        f"""SELECT actor, verdict, note, epoch_ms(reviewed_at), review_id FROM cluster_verdicts
        WHERE cluster_id = ? ORDER BY {said}cluster_verdicts.reviewed_at, review_id""",  # noqa: S608
        [cluster_id],
    ).fetchall()
    names = ("actor", "verdict", "note", "reviewed_at", "review_id")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [each | {"reviewed_at": rfc3339(each["reviewed_at"])} for each in found]


def annotations_on(con: DuckDBPyConnection, cluster_id: str) -> list[dict[str, Any]]:
    """The labels, criteria and the assignment of a cluster, in the order in which they were said."""
    rows = con.execute(
        """SELECT kind, "text", case_id, actor, epoch_ms(annotated_at), annotation_id FROM cluster_annotations
        WHERE cluster_id = ? ORDER BY seq, place""",
        [cluster_id],
    ).fetchall()
    names = ("kind", "text", "case_id", "actor", "annotated_at", "annotation_id")
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [each | {"annotated_at": rfc3339(each["annotated_at"])} for each in found]
