"""Freeze a release: what a reader may choose from, and the owner's rows once it is chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from sinks.evalstore.errors import BadRequest
from sinks.evalstore.fields import moment
from sinks.evalstore.query import run_query
from sinks.evalstore.releases.record import COLUMNS, content_hash, line, record
from sinks.evalstore.releases.selection import SEVERITY, UNKNOWN_SEVERITY, Candidate

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
"""A release names a directory, too."""
WHERE_SECONDS = 60.0


class Wanted(NamedTuple):
    """Which cases a set is chosen from; None does not narrow. ``since`` in epoch ms, of the trace.

    ``where`` is SQL over the columns of ``case_list``: it runs on a snapshot, which is read-only.
    """

    app: str | None = None
    reason: str | None = None
    since: int | None = None
    where: str | None = None
    label: str | None = None


class LeftOut(NamedTuple):
    """A failure of which no case can be replayed, and what its representative lacks."""

    case_id: str
    cluster_id: str
    missing: list[str]


class Choice(NamedTuple):
    """``dismissed``: failures that a reviewer dismissed, of those that were asked for."""

    candidates: list[Candidate]
    left_out: list[LeftOut]
    dismissed: int


class Freeze(NamedTuple):
    """A request to the owner: these cases, in this order, under this name, once and for all."""

    release: str
    case_ids: tuple[str, ...]
    options: dict[str, Any]


class Frozen(NamedTuple):
    """A frozen set. ``forgotten`` cases were taken out on request; ``sha256`` is of what is there."""

    release: str
    frozen_at: int
    cases: int
    forgotten: int
    sha256: str
    options: dict[str, Any]


def read_freeze(request: Any) -> Freeze:
    """A request that came as JSON; raises ``ValueError`` where it is none."""
    wanted = request.get("freeze") if isinstance(request, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError("no request to freeze")
    release, ids, options = wanted.get("release"), wanted.get("case_ids"), wanted.get("options")
    if not isinstance(release, str) or not NAME.fullmatch(release):
        raise ValueError("no name of a release")
    if not isinstance(ids, list | tuple) or not all(isinstance(one, str) for one in ids) or not ids:
        raise ValueError("no cases to freeze")
    if not isinstance(options, dict):
        raise ValueError("no options")
    return Freeze(release, tuple(ids), options)


def choose_from(con: DuckDBPyConnection, wanted: Wanted, kept: Collection[str] = ()) -> Choice:
    """One case of each failure that is asked for: one with a reviewer's answer before others, then one with a
    user's correction, then the gravest and oldest. Clusters in ``kept`` are asked for, whatever narrows the
    others. A candidate has the reasons of its failure, of which it may be a milder case.

    Raises ``BadQuery`` where ``where`` is no condition.
    """
    ids = None
    if wanted.where is not None:
        query = f"SELECT case_id FROM case_list WHERE (\n{wanted.where}\n)"  # noqa: S608 - a read-only snapshot
        ids = [str(row[0]) for row in run_query(con, query, seconds=WHERE_SECONDS, limit=10_000_000).rows]
    given = {"app": wanted.app, "reason": wanted.reason, "since": wanted.since, "ids": ids}
    given["label"] = wanted.label
    rows = con.execute(_CHOICE, given | {"kept": sorted(kept)}).fetchall()
    candidates, left_out, dismissed = [], [], 0
    for case_id, cluster_id, app, reasons, rank, replayable, missing, verdict in rows:
        if verdict == "dismissed":
            dismissed += 1
        elif replayable:
            candidates.append(Candidate(case_id, cluster_id, app, tuple(reasons), rank))
        else:
            left_out.append(LeftOut(case_id, cluster_id, missing))
    return Choice(candidates, left_out, dismissed)


_GRAVITY = ", ".join(f"'{reason}': {severity}" for reason, severity in SEVERITY.items())
_GRAVEST = (
    f"list_max(list_transform(l.reasons, lambda r: coalesce(MAP {{{_GRAVITY}}}[r], {UNKNOWN_SEVERITY})))"
)
_CHOICE = f"""
    SELECT l.case_id, l.cluster_id, l.app, k.reasons, k.rank, l.replayable, l.missing, r.verdict
    FROM case_list l JOIN cluster_list k USING (cluster_id) LEFT JOIN cluster_reviews r USING (cluster_id)
    WHERE list_contains($kept::VARCHAR[], cluster_id)
      OR ($app IS NULL OR l.app = $app)
      AND ($reason IS NULL OR list_contains(l.reasons, $reason))
      AND ($since IS NULL OR epoch_ms(l.ts) >= $since)
      AND ($label IS NULL OR list_contains(l.labels, $label))
      AND ($ids IS NULL OR l.case_id IN (SELECT unnest($ids::VARCHAR[])))
    QUALIFY row_number() OVER (PARTITION BY l.cluster_id ORDER BY l.replayable DESC,
        l.expected_from IS NOT DISTINCT FROM 'reviewer' DESC, l.expected_answer IS NOT NULL DESC,
        {_GRAVEST} DESC, l.ts, l.case_id) = 1
    ORDER BY k.rank DESC, l.case_id"""  # noqa: S608 - names are from the table of severities


def freeze(con: DuckDBPyConnection, wanted: Freeze, now: int) -> Frozen:
    """Write the set, within the caller's transaction; ``now`` in epoch ms.

    Asked twice for the same, it is there once. Raises ``BadRequest`` where the name is taken by another
    set, or a case has gone since it was chosen, was dismissed, or is by now of one cluster with another:
    cases are chosen from a snapshot, and a name is frozen once.
    """
    lines = _lines(con, wanted.case_ids)
    digest = content_hash(text for _, text in lines)
    earlier = [frozen for frozen in list_releases(con) if frozen.release == wanted.release]
    if earlier:
        if earlier[0].sha256 == digest and earlier[0].options == wanted.options:
            return earlier[0]
        raise BadRequest(
            f"release {wanted.release} is frozen already: a frozen set does not change, name another"
        )
    _check_still_chosen(con, wanted.case_ids)
    con.execute(
        "INSERT INTO releases VALUES (?, ?, ?, 0, ?, ?)",
        [wanted.release, moment(now), len(lines), digest, line(wanted.options)],
    )
    con.executemany(
        "INSERT INTO release_cases VALUES (?, ?, ?, ?, ?)",
        [
            [wanted.release, position, case_id, cluster_id, text]
            for position, (case_id, (cluster_id, text)) in enumerate(zip(wanted.case_ids, lines, strict=True))
        ],
    )
    return Frozen(wanted.release, now, len(lines), 0, digest, wanted.options)


def _check_still_chosen(con: DuckDBPyConnection, case_ids: Sequence[str]) -> None:
    """Raise ``BadRequest`` where a snapshot of now would have given another choice of failures."""
    rows = con.execute(
        """SELECT cluster_id, verdict FROM cluster_of LEFT JOIN cluster_reviews USING (cluster_id)
        WHERE case_id IN (SELECT unnest(?::VARCHAR[]))""",
        [list(case_ids)],
    ).fetchall()
    if dismissed := sum(verdict == "dismissed" for _, verdict in rows):
        raise BadRequest(f"{dismissed} of the chosen failures were dismissed meanwhile: choose again")
    if merged := len(rows) - len({cluster_id for cluster_id, _ in rows}):
        raise BadRequest(f"{merged} of the chosen failures are one with others by now: choose again")


def _lines(con: DuckDBPyConnection, case_ids: Sequence[str]) -> list[tuple[str, str]]:
    """(cluster_id, line) of each case, in the order of ``case_ids``."""
    columns = [_TOLD.get(name, f"{_TABLE.get(name, 'l')}.{name}") for name in COLUMNS]
    rows = con.execute(
        f"""SELECT {", ".join(columns)} FROM case_list l JOIN cases c USING (case_id)
            JOIN cluster_list k ON k.cluster_id = l.cluster_id
        WHERE case_id IN (SELECT unnest(?::VARCHAR[]))""",  # noqa: S608
        [list(case_ids)],
    ).fetchall()
    found = {row[0]: record(row) for row in rows}
    if gone := [case_id for case_id in case_ids if case_id not in found]:
        raise BadRequest(f"{len(gone)} of the chosen cases are no longer in the store: choose again")
    if len(found) < len(case_ids):
        raise BadRequest("a case was chosen twice")
    return [(found[case_id]["cluster_id"], line(found[case_id])) for case_id in case_ids]


_TOLD = {"ts": "epoch_ms(l.ts)", "cluster_reasons": "k.reasons"}
_TABLE = dict.fromkeys(("contexts", "provider", "content_hash", "trace"), "c")


def list_releases(con: DuckDBPyConnection) -> list[Frozen]:
    """All releases, in the order in which they were frozen."""
    rows = con.execute(
        """SELECT release, epoch_ms(frozen_at), cases, forgotten, sha256, options
        FROM releases ORDER BY frozen_at, release"""
    ).fetchall()
    return [
        Frozen(name, frozen_at, cases, forgotten, sha256, json.loads(options))
        for name, frozen_at, cases, forgotten, sha256, options in rows
    ]


def release_lines(con: DuckDBPyConnection, release: str) -> list[str]:
    """The frozen cases as they were written, in their order."""
    rows = con.execute(
        "SELECT record FROM release_cases WHERE release = ? ORDER BY position, case_id", [release]
    ).fetchall()
    return [str(row[0]) for row in rows]
