"""Cases and totals as plain values, from any connection to a store: a reader's or the owner's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.base import rfc3339
from sinks.evalstore.errors import NoSuchCase, UnclearCase
from sinks.evalstore.migrations import applied

CHUNK = 500
SOME_CASES = 11
"""The migration that made ``case_list_of``."""
ANNOTATED = 12
"""The migration that gave ``case_list`` what reviewers write."""
NUMBERED = 14
"""The migration that numbered the events of cases."""


class CaseFilter(NamedTuple):
    """What to list; None does not narrow. ``since`` in epoch ms is compared with the trace's time.

    ``ranked``: the cases of the cluster with the highest rank first, instead of the newest. ``assigned``: to
    this reviewer, or to nobody where it is ``none``.
    """

    app: str | None = None
    reason: str | None = None
    since: int | None = None
    text: str | None = None
    limit: int | None = None
    ranked: bool = False
    label: str | None = None
    assigned: str | None = None


class CaseSummary(NamedTuple):
    """A case in a list; ``ts`` is RFC 3339. ``score`` is the latest one, on its ``scorer``'s own scale."""

    case_id: str
    trace_id: str
    app: str
    environment: str
    route: str
    ts: str
    reasons: list[str]
    cluster_id: str
    cluster_size: int
    replayable: bool
    score: float | None
    scorer: str | None
    cost_usd: float | None
    question: str | None
    labels: list[str]
    assigned: str | None


class ClusterSummary(NamedTuple):
    """A cluster in a list: cases that fail alike. Times are RFC 3339, of the cases' traces.

    ``rank`` is severity x frequency x novelty (see the view ``cluster_list``); ``representative`` is the
    case to look at: a replayable one before others, one with a correction before others, then the gravest
    and oldest. Which one that is may change as the cluster grows; ``cluster_id`` does not.
    """

    cluster_id: str
    app: str
    cases: int
    first_seen: str
    last_seen: str
    representative: str
    reasons: list[str]
    severity: float
    frequency: float
    novelty: float
    rank: float
    question: str | None
    labels: list[str]
    assigned: str | None


class Totals(NamedTuple):
    """Rows of the store. ``distinct_cases`` counts clusters; ``own_faults`` are no application's events."""

    cases: int
    distinct_cases: int
    not_replayable: int
    case_events: int
    signals: int
    windows: int
    incidents: int
    dead_letters: int
    own_faults: int


def list_cases(con: DuckDBPyConnection, wanted: CaseFilter | None = None) -> Iterator[CaseSummary]:
    """The newest first; ``text`` is looked for in question, answer, contexts, correction and ids."""
    wanted = wanted or CaseFilter()
    if wanted.ranked:
        source = (
            "case_list JOIN (SELECT cluster_id, rank, representative FROM cluster_list) USING (cluster_id)"
        )
        order = "rank DESC, cluster_id, case_id <> representative, ts DESC, case_id"
    else:
        source, order = "case_list", "ts DESC, case_id"
    told = {"ts": "epoch_ms(ts)"} | _untold(con)
    query = f"""
        SELECT {", ".join(told.get(name, name) for name in CaseSummary._fields)}
        FROM {source} WHERE {_wanted(con)} ORDER BY {order} LIMIT $limit"""  # noqa: S608
    cursor = con.execute(query, _values(wanted))
    while rows := cursor.fetchmany(CHUNK):
        for row in rows:
            summary = CaseSummary(*row)
            yield summary._replace(ts=rfc3339(int(summary.ts)))


def list_clusters(con: DuckDBPyConnection, wanted: CaseFilter | None = None) -> list[ClusterSummary]:
    """The clusters with a case that fits, the highest rank first; their figures are of all their cases."""
    wanted = wanted or CaseFilter()
    query = f"""SELECT {_columns(con)} FROM cluster_list
        WHERE cluster_id IN (SELECT cluster_id FROM case_list WHERE {_wanted(con)})
        ORDER BY rank DESC, cluster_id LIMIT $limit"""  # noqa: S608
    return [_cluster(row) for row in con.execute(query, _values(wanted)).fetchall()]


def new_clusters(
    con: DuckDBPyConnection, start: int, end: int, limit: int
) -> tuple[list[ClusterSummary], int]:
    """The clusters whose first trace is of ``[start, end)`` (epoch ms), the highest rank first, ``limit`` of
    them at most; and how many there are."""
    query = f"""SELECT {_columns(con)}, count(*) OVER () FROM cluster_list
        WHERE epoch_ms(first_seen) >= $start AND epoch_ms(first_seen) < $end
        ORDER BY rank DESC, cluster_id LIMIT $limit"""  # noqa: S608
    rows = con.execute(query, {"start": start, "end": end, "limit": limit}).fetchall()
    return [_cluster(row[:-1]) for row in rows], int(rows[0][-1]) if rows else 0


def _columns(con: DuckDBPyConnection) -> str:
    """Those of ``cluster_list`` that make a ``ClusterSummary``."""
    told = {name: f"epoch_ms({name})" for name in ("first_seen", "last_seen")} | _untold(con)
    return ", ".join(told.get(name, name) for name in ClusterSummary._fields)


def _cluster(row: tuple[Any, ...]) -> ClusterSummary:
    one = ClusterSummary(*row)
    return one._replace(first_seen=rfc3339(int(one.first_seen)), last_seen=rfc3339(int(one.last_seen)))


def _values(wanted: CaseFilter) -> dict[str, Any]:
    values = wanted._asdict()
    del values["ranked"]
    return values


_FOUND = """
    SELECT case_id FROM case_list JOIN (SELECT case_id, contexts FROM cases) USING (case_id)
    WHERE contains(lower(concat_ws(chr(10), case_id, trace_id, conversation_id, user_id, question, answer,
        expected_answer, array_to_string(list_transform(contexts, lambda c: c.text), chr(10)))), lower($text))
"""


_WANTED = f"""($app IS NULL OR app = $app)
    AND ($reason IS NULL OR list_contains(reasons, $reason))
    AND ($since IS NULL OR epoch_ms(ts) >= $since)
    AND ($text IS NULL OR case_id IN ({_FOUND}))
    AND ($label IS NULL OR list_contains({{labels}}, $label))
    AND ($assigned IS NULL OR coalesce({{assigned}}, 'none') = $assigned)"""
_BEFORE_ANNOTATIONS = {"labels": "[]::VARCHAR[]", "assigned": "NULL::VARCHAR"}


def _untold(con: DuckDBPyConnection) -> dict[str, str]:
    """Columns that a snapshot of an earlier Gleaner lacks, and what stands for them: nobody wrote any."""
    return {} if ANNOTATED in applied(con) else _BEFORE_ANNOTATIONS


def _wanted(con: DuckDBPyConnection) -> str:
    return _WANTED.format(**({"labels": "labels", "assigned": "assigned"} | _untold(con)))


def find_case(con: DuckDBPyConnection, wanted: str) -> dict[str, Any]:
    """One case whole, by its id, a prefix that only its id has, or its trace_id.

    Raises ``NoSuchCase``, or ``UnclearCase`` naming some of the ids that would fit.
    """
    case_id = _resolve(con, wanted)
    # A snapshot of an earlier Gleaner has no case_list_of.
    quick = SOME_CASES in applied(con)
    listed = "case_list_of([$case_id])" if quick else "(SELECT * FROM case_list WHERE case_id = $case_id)"
    cursor = con.execute(
        f"""SELECT l.* EXCLUDE (ts, first_seen, last_event_ts, events), epoch_ms(l.ts) AS ts,
            epoch_ms(l.first_seen) AS first_seen, c.contexts, c.provider, c.scores, c.trace, c.log_stream,
            c.log_topic, c.log_partition, c.log_offset, c.log_index, c.content_hash, c.redactions,
            c.replaced_characters
        FROM {listed} l JOIN (SELECT * FROM cases WHERE case_id = $case_id) c USING (case_id)""",  # noqa: S608
        {"case_id": case_id},
    )
    (found,) = _dicts(cursor)
    found = _UNWRITTEN | found
    coordinates = {name: found.pop(f"log_{name}") for name in _COORDINATES}
    found["ts"], found["first_seen"] = rfc3339(found["ts"]), rfc3339(found["first_seen"])
    found["trace"] = _parsed(found["trace"])
    found["coordinates"] = None if coordinates["topic"] is None else coordinates
    found["events"] = _events(con, case_id)
    return found


_UNWRITTEN: dict[str, Any] = {
    "expected_from": None,
    "labels": [],
    "must": [],
    "must_not": [],
    "assigned": None,
}
"""What reviewers write, of a snapshot of an earlier Gleaner."""
_COORDINATES = ("stream", "topic", "partition", "offset", "index")


def _resolve(con: DuckDBPyConnection, wanted: str) -> str:
    ids = con.execute(
        """SELECT case_id FROM cases WHERE starts_with(case_id, $id) OR trace_id = $id
        ORDER BY case_id <> $id, case_id LIMIT 4""",
        {"id": wanted},
    ).fetchall()
    if not ids or not wanted:
        raise NoSuchCase(f"no such case: {wanted or '(an empty id)'}")
    if len(ids) > 1 and ids[0][0] != wanted:
        several = ", ".join(str(row[0]) for row in ids[:3]) + (", …" if len(ids) > 3 else "")
        raise UnclearCase(f"{wanted} fits several cases ({several}): give more of the id")
    return str(ids[0][0])


def _events(con: DuckDBPyConnection, case_id: str) -> list[dict[str, Any]]:
    # A snapshot of an earlier Gleaner does not know in which order they came.
    came = "seq NULLS FIRST, " if NUMBERED in applied(con) else ""
    cursor = con.execute(
        f"""SELECT event_id, epoch_ms(ts) AS ts, reasons, score, feedback, expected_answer
        FROM case_events WHERE case_id = ? ORDER BY case_events.ts, {came}event_id""",  # noqa: S608
        [case_id],
    )
    events = _dicts(cursor)
    for event in events:
        event["ts"] = rfc3339(event["ts"])
        event["score"], event["feedback"] = _parsed(event["score"]), _parsed(event["feedback"])
    return events


def totals(con: DuckDBPyConnection) -> Totals:
    row = con.execute(
        """SELECT (SELECT count(*) FROM cases), (SELECT count(DISTINCT cluster_id) FROM cluster_of),
            (SELECT count(*) FROM cases WHERE NOT replayable), (SELECT count(*) FROM case_events),
            (SELECT count(*) FROM signals), (SELECT count(*) FROM windows),
            (SELECT count(*) FROM incidents), (SELECT count(*) FROM dead_letters WHERE NOT own),
            (SELECT count(*) FROM dead_letters WHERE own)"""
    ).fetchone()
    assert row is not None
    return Totals(*row)


def event_counters(con: DuckDBPyConnection) -> dict[str, dict[str, int]]:
    """What the rolling stage has counted, by app and counter (see ``schemas.signal.RollingReport``)."""
    counters: dict[str, dict[str, int]] = {}
    for app, counter, n in con.execute("SELECT app, counter, n FROM event_totals ORDER BY ALL").fetchall():
        counters.setdefault(app, {})[counter] = n
    return counters


def window_spans(con: DuckDBPyConnection) -> dict[str, int]:
    """By app the event time, in ms, from the beginning of its first window that has closed to the end of its
    last."""
    query = "SELECT app, max(end_ms) - min(start_ms) FROM parts_of_windows GROUP BY app"
    return dict(con.execute(query).fetchall())


def _dicts(cursor: DuckDBPyConnection) -> list[dict[str, Any]]:
    columns = [column[0] for column in cursor.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


def _parsed(text: str | None) -> Any:
    # The standard library keeps integers of any size, which the faster reader does not.
    return None if text is None else json.loads(text)
