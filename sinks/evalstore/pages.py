"""Lists in pages: filtered, in a fixed order, each page beginning behind the last row of the one before.

A cursor holds that row's place in the order, not a number of rows: what is stored meanwhile neither repeats
nor skips a row that was there (keyset pagination).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.base import rfc3339
from sinks.evalstore.bounded import fetch
from sinks.evalstore.errors import BadCursor

MOST = 500
"""Rows of a page at most."""
MOST_INTEGER = 2**63 - 1


class Key(NamedTuple):
    """A part of an order: an expression over the source, and a column of the same value in each row."""

    sql: str
    column: str
    kind: type[int] | type[float] | type[str]
    descending: bool = False


class Listing(NamedTuple):
    """What is listed, under a name of its own. ``times`` are columns that come out as RFC 3339.

    ``filters`` are SQL with ``$name``. The keys together tell any two rows apart. ``rest``: what has all
    columns of the rows that ``source`` found, by ``$ids`` of the last key; None: the source itself.
    """

    name: str
    source: str
    columns: tuple[str, ...]
    keys: tuple[Key, ...]
    filters: Mapping[str, str]
    times: tuple[str, ...] = ()
    parsed: tuple[str, ...] = ()
    rest: str | None = None


class Page(NamedTuple):
    """``next``: where the following page begins, None behind the last."""

    items: list[dict[str, Any]]
    next: str | None


TIMES = {"since": "epoch_ms({0}) >= $since", "until": "epoch_ms({0}) < $until"}


def _times(column: str) -> dict[str, str]:
    return {name: sql.format(column) for name, sql in TIMES.items()}


def _same(*names: str) -> dict[str, str]:
    return {name: f"{name} = ${name}" for name in names}


CASES = Listing(
    "cases",
    "cases",
    (
        *(
            "case_id",
            "trace_id",
            "app",
            "environment",
            "route",
            "ts",
            "reasons",
            "cluster_id",
            "cluster_size",
        ),
        *("verdict", "replayable", "missing", "score", "scorer", "cost_usd", "question", "answer"),
        *("expected_answer", "expected_from", "labels", "must", "must_not", "assigned"),
        *("model", "served_model", "prompt_version", "index_version", "release"),
    ),
    (Key("epoch_ms(ts)", "ts", int, True), Key("case_id", "case_id", str)),
    _same("app", "environment", "route", "release", "replayable", "prompt_version")
    | _times("ts")
    | {
        "cluster_id": "case_id IN (SELECT case_id FROM cluster_of WHERE cluster_of.cluster_id = $cluster_id)",
        "reason": "case_id IN (SELECT case_id FROM case_events WHERE list_contains(reasons, $reason))",
        "verdict": """case_id IN (SELECT case_id FROM cluster_of LEFT JOIN cluster_reviews USING (cluster_id)
            WHERE coalesce(verdict, 'none') = $verdict)""",
        "label": """case_id IN (SELECT case_id FROM cluster_of WHERE cluster_of.cluster_id IN (
            SELECT cluster_id FROM cluster_annotations WHERE kind = 'label' AND "text" = $label))""",
        "assigned": """case_id IN (SELECT case_id FROM cluster_of LEFT JOIN (
                SELECT cluster_id, "text" AS reviewer FROM cluster_annotations WHERE kind = 'assigned'
            ) USING (cluster_id) WHERE coalesce(reviewer, 'none') = $assigned)""",
        "q": """(case_id IN (SELECT case_id FROM cases LEFT JOIN case_events USING (case_id)
            WHERE contains(lower(concat_ws(chr(10), case_id, trace_id, question, answer, expected_answer,
                array_to_string(list_transform(contexts, lambda c: c.text), chr(10)))), lower($q)))
            OR case_id IN (SELECT case_id FROM expected_answers
                WHERE contains(lower(expected_answer), lower($q))))""",
    },
    ("ts",),
    rest="""case_list_of($ids)
        LEFT JOIN (SELECT cluster_id, verdict FROM cluster_reviews) USING (cluster_id)""",
)
CLUSTERS = Listing(
    "clusters",
    "cluster_list LEFT JOIN (SELECT cluster_id, verdict FROM cluster_reviews) USING (cluster_id)",
    (
        *("cluster_id", "app", "cases", "first_seen", "last_seen", "representative", "reasons", "verdict"),
        *("severity", "frequency", "novelty", "rank", "question"),
        *("labels", "must", "must_not", "assigned"),
    ),
    (Key("rank", "rank", float, True), Key("cluster_id", "cluster_id", str)),
    _same("app")
    | {
        "reason": "list_contains(reasons, $reason)",
        "verdict": "coalesce(verdict, 'none') = $verdict",
        "not_by": "cluster_id NOT IN (SELECT cluster_id FROM cluster_verdicts WHERE actor = $not_by)",
        "label": "list_contains(labels, $label)",
        "assigned": "coalesce(assigned, 'none') = $assigned",
    },
    ("first_seen", "last_seen"),
)
SIGNALS = Listing(
    "signals",
    """(SELECT s.*, r.ended_at FROM signals s LEFT JOIN (
        SELECT alarm_id, min(detected_at) AS ended_at FROM recoveries GROUP BY alarm_id
    ) r ON r.alarm_id = s.id)""",
    (
        *("id", "app", "environment", "route", "signal", "rule", "severity", "pages", "direction", "onset"),
        *("detected_at", "ended_at", "baseline", "value", "n", "reason"),
    ),
    (Key("epoch_ms(detected_at)", "detected_at", int, True), Key("id", "id", str)),
    _same("app", "environment", "route", "signal", "rule", "severity") | _times("detected_at"),
    ("onset", "detected_at", "ended_at"),
)
INCIDENTS = Listing(
    "incidents",
    "incidents",
    (
        *("id", "revision", "app", "environment", "route", "signal", "rule", "severity", "state", "onset"),
        *("detected_at", "updated_at", "baseline", "value", "n", "body"),
    ),
    (Key("epoch_ms(detected_at)", "detected_at", int, True), Key("id", "id", str)),
    _same("id", "app", "environment", "route", "signal", "severity", "state") | _times("detected_at"),
    ("onset", "detected_at", "updated_at"),
    ("body",),
)
RELEASES = Listing(
    "releases",
    "releases",
    ("release", "frozen_at", "cases", "forgotten", "sha256", "options"),
    (Key("epoch_ms(frozen_at)", "frozen_at", int, True), Key("release", "release", str)),
    _same("release"),
    ("frozen_at",),
    ("options",),
)
RELEASE_CASES = Listing(
    "release_cases",
    "release_cases",
    ("position", "case_id", "cluster_id", "record"),
    (Key("position", "position", int), Key("case_id", "case_id", str)),
    _same("release"),
    (),
    ("record",),
)


def page(
    con: DuckDBPyConnection,
    listing: Listing,
    wanted: Mapping[str, Any],
    limit: int,
    cursor: str | None = None,
) -> Page:
    """The rows for which all of ``wanted`` (filters by name; None does not narrow) hold, ``limit`` at most.

    A page of much text ends sooner (see ``bounded``), and has a next one.

    Misleads where the order itself changes between two pages, as ranks do while cases come: a cluster that
    moved may then be in both, or in none. Raises ``BadCursor`` where ``cursor`` is none of this list.
    """
    values: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    where = [f"({listing.filters[name]})" for name in values]
    if cursor is not None:
        places = {f"at_{number}": value for number, value in enumerate(_place(listing, cursor))}
        where.append(_behind(listing))
        values |= places
    columns = [f"epoch_ms({name})" if name in listing.times else name for name in listing.columns]
    order = ", ".join(f"{key.sql} {'DESC' if key.descending else 'ASC'}" for key in listing.keys)
    limit = min(limit, MOST)
    shown = ", ".join(columns if listing.rest is None else [listing.keys[-1].column])
    # No aliases: ORDER BY would take them before the source's columns.
    query = f"""SELECT {shown} FROM {listing.source} WHERE {" AND ".join(where) or "true"}
        ORDER BY {order} LIMIT {limit + 1}"""  # noqa: S608 - names are from the tables above
    result = con.execute(query, values)
    if listing.rest is not None:
        ids = [row[0] for row in result.fetchall()]
        query = f"SELECT {', '.join(columns)} FROM {listing.rest} ORDER BY {order}"  # noqa: S608
        result = con.execute(query, {"ids": ids})
    found, full = fetch(result, limit + 1)
    rows = [dict(zip(listing.columns, row, strict=True)) for row in found[:limit]]
    more = full or len(found) > limit
    after = _cursor(listing, [rows[-1][key.column] for key in listing.keys]) if more else None
    return Page([_plain(listing, row) for row in rows], after)


def _behind(listing: Listing) -> str:
    """True of the rows behind the cursor's: the first key further, or equal and the next one further."""
    ways = []
    for number, key in enumerate(listing.keys):
        equal = [f"{before.sql} = $at_{place}" for place, before in enumerate(listing.keys[:number])]
        ways.append(" AND ".join([*equal, f"{key.sql} {'<' if key.descending else '>'} $at_{number}"]))
    return "(" + " OR ".join(f"({way})" for way in ways) + ")"


def _plain(listing: Listing, row: dict[str, Any]) -> dict[str, Any]:
    times = {name: rfc3339(row[name]) for name in listing.times if row[name] is not None}
    return row | times | {name: json.loads(row[name]) for name in listing.parsed if row[name] is not None}


def _cursor(listing: Listing, place: list[Any]) -> str:
    text = json.dumps([listing.name, *place], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(listing: Listing, cursor: str) -> list[Any]:
    try:
        name, *place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        raise BadCursor("the cursor is none: take `next` of the page before, as it is") from None
    sound = len(place) == len(listing.keys) and all(map(_sound, listing.keys, place))
    if name != listing.name or not sound:
        raise BadCursor("the cursor is of another list: take `next` of the page before, as it is")
    return list(place)


def _sound(key: Key, value: Any) -> bool:
    """Whether the database can compare it with the key's column."""
    if type(value) is int:
        return key.kind is not str and abs(value) <= MOST_INTEGER
    if type(value) is float:
        return key.kind is float and math.isfinite(value)
    return type(value) is str and key.kind is str and not any("\ud800" <= char <= "\udfff" for char in value)
