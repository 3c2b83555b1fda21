"""What people say of clusters: these cases are another failure, these two are one; and what they take back.

Append-only, and beside what was found: the index of texts does not know of it. A case that comes later joins
the cluster that its text belongs to, and with it whatever that was merged with.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from sinks.evalstore.clusters import cluster_name
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.fields import moment
from sinks.evalstore.saying import next_said, said_id

NOTE_LENGTH = 2_000


class Split(NamedTuple):
    """These cases, all of one cluster and not all of it, are a failure of their own."""

    case_ids: tuple[str, ...]
    actor: str
    note: str | None = None


class Merge(NamedTuple):
    """Two clusters of one app are one failure."""

    cluster_id: str
    target: str
    actor: str
    note: str | None = None


class Undo(NamedTuple):
    """Take back an edit, a verdict or an annotation by its id; None: the actor's latest that still counts."""

    actor: str
    id: str | None = None


class Regrouped(NamedTuple):
    """``cluster_id`` now has ``cases`` cases; ``edit_id`` is what undoes it: where it was done already, the
    former one's."""

    edit_id: str
    cluster_id: str
    cases: int


class TakenBack(NamedTuple):
    """``kind`` is split, merge, the verdict that was, or the kind of the annotation.

    ``case_id``: of which case it was said; None of a split or a merge.
    """

    id: str
    kind: str
    case_id: str | None


def read_split(request: Any) -> Split:
    """A request that came as JSON; raises ``ValueError`` where it is none. So do the other two."""
    wanted = _part(request, "split")
    ids = wanted.get("case_ids")
    if not isinstance(ids, list | tuple) or not ids or not all(isinstance(one, str) for one in ids):
        raise ValueError("no cases to split off")
    return Split(tuple(ids), _actor(wanted), _note(wanted))


def read_merge(request: Any) -> Merge:
    wanted = _part(request, "merge")
    cluster, target = wanted.get("cluster_id"), wanted.get("target")
    if not isinstance(cluster, str) or not isinstance(target, str):
        raise ValueError("no clusters to merge")
    return Merge(cluster, target, _actor(wanted), _note(wanted))


def read_undo(request: Any) -> Undo:
    wanted = _part(request, "undo")
    found = wanted.get("id")
    if not isinstance(found, str | None):
        raise ValueError("no id to undo")
    return Undo(_actor(wanted), found)


def split(con: DuckDBPyConnection, wanted: Split, now: int, request: str | None = None) -> Regrouped:
    """Write a split, within the caller's transaction; ``now`` in epoch ms. Raises ``BadRequest``.

    Where it was done already, under the same ``request`` or by the same person, it says what stands.
    """
    ids = sorted(set(wanted.case_ids))
    said_seq = next_said(con)
    edit = said_id("cluster-edit", "split", *ids, wanted.actor, now=now, request=request, said_seq=said_seq)
    if _is_there(con, edit):
        return _stands(con, edit, ids[0])
    found = con.execute(
        """SELECT cluster_id, count(*), (SELECT count(*) FROM cluster_of WHERE cluster_id = o.cluster_id)
        FROM cluster_of o WHERE case_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY cluster_id""",
        [ids],
    ).fetchall()
    if sum(row[1] for row in found) < len(ids):
        raise BadRequest("some of these cases are not in the store")
    if len(found) != 1:
        raise BadRequest(f"these cases are of {len(found)} clusters: split one at a time")
    cluster, here, of_all = found[0]
    if here == of_all:
        before = con.execute(_SPLIT_OFF, {"ids": ids, "actor": wanted.actor}).fetchone()
        if before is not None:
            return Regrouped(before[0], cluster, here)
        raise BadRequest(f"these are all cases of {cluster}: there is nothing to split it from")
    target = cluster_name(int.from_bytes(blake2b(edit.encode(), digest_size=8).digest()))
    _write(con, edit, "split", (cluster, target), wanted, now, said_seq)
    con.executemany(
        "INSERT INTO cluster_splits VALUES (?, ?) ON CONFLICT DO NOTHING", [[edit, one] for one in ids]
    )
    return Regrouped(edit, target, len(ids))


_SPLIT_OFF = """
    SELECT edit_id FROM cluster_edits e JOIN cluster_splits s USING (edit_id)
    WHERE e.actor = $actor AND edit_id NOT IN (SELECT id FROM undone)
    GROUP BY edit_id HAVING list_sort(list(s.case_id)) = $ids::VARCHAR[]
    ORDER BY max(e.said_seq) DESC NULLS LAST, max(e.edited_at) DESC, edit_id LIMIT 1"""


def merge(con: DuckDBPyConnection, wanted: Merge, now: int, request: str | None = None) -> Regrouped:
    """Write a merge, within the caller's transaction; ``now`` in epoch ms. Raises ``BadRequest``.

    Where it was done already, under the same ``request`` or by the same person, it says what stands.
    """
    pair = [wanted.cluster_id, wanted.target]
    said_seq = next_said(con)
    edit = said_id("cluster-edit", "merge", *pair, wanted.actor, now=now, request=request, said_seq=said_seq)
    before = con.execute(
        _MERGED, {"edit": edit, "one": pair[0], "other": pair[1], "actor": wanted.actor}
    ).fetchone()
    member = con.execute(_MEMBER, {"pair": pair}).fetchone()
    if before is not None and member is not None:
        return _stands(con, before[0], member[0])
    rows = con.execute(
        """SELECT cluster_id, any_value(app), min(case_id) FROM cluster_of JOIN cases USING (case_id)
        WHERE cluster_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY cluster_id""",
        [pair],
    ).fetchall()
    apps = {cluster: app for cluster, app, _ in rows}
    for cluster in pair:
        if cluster not in apps:
            raise BadRequest(f"no such cluster: {cluster}")
    if pair[0] == pair[1]:
        raise BadRequest(f"{pair[0]} is one cluster already")
    if apps[pair[0]] != apps[pair[1]]:
        raise BadRequest("clusters of two apps are never one: who owns the one does not own the other")
    _write(con, edit, "merge", (pair[0], pair[1]), wanted, now, said_seq)
    return _stands(con, edit, rows[0][2])


_MERGED = """
    SELECT edit_id FROM cluster_edits WHERE edit_id = $edit OR kind = 'merge' AND actor = $actor
        AND (cluster_id = $one AND target = $other OR cluster_id = $other AND target = $one)
        AND edit_id NOT IN (SELECT id FROM undone)
    ORDER BY edit_id <> $edit, said_seq DESC NULLS LAST, edited_at DESC, edit_id LIMIT 1"""
# A case that either name stood for: as its cluster was found, or as it was split off last.
_MEMBER = """
    SELECT case_id FROM case_clusters f LEFT JOIN (
        SELECT s.case_id, arg_max(e.target, (coalesce(e.said_seq, -1), e.edited_at, e.edit_id)) AS target
        FROM cluster_splits s JOIN cluster_edits e USING (edit_id)
        WHERE edit_id NOT IN (SELECT id FROM undone) GROUP BY s.case_id
    ) m USING (case_id)
    WHERE list_contains($pair::VARCHAR[], coalesce(m.target, f.cluster_id)) ORDER BY f.seq LIMIT 1"""


def _is_there(con: DuckDBPyConnection, edit: str) -> bool:
    return con.execute("SELECT 1 FROM cluster_edits WHERE edit_id = ?", [edit]).fetchone() is not None


def _stands(con: DuckDBPyConnection, edit: str, member: str) -> Regrouped:
    """The cluster that a case is in by now, after an edit."""
    found = con.execute(
        """SELECT any_value(cluster_id), count(*) FROM cluster_of
        WHERE cluster_id = (SELECT cluster_id FROM cluster_of WHERE case_id = ?)""",
        [member],
    ).fetchone()
    if found is None or found[0] is None:
        raise BadRequest("some of these cases are not in the store")
    return Regrouped(edit, *found)


def undo(con: DuckDBPyConnection, wanted: Undo, now: int, request: str | None = None) -> TakenBack:
    """Write that something counts no more, within the caller's transaction. Raises ``BadRequest``.

    Asked again under the same ``request`` it says what was undone then. Without one it is another undo,
    within the same millisecond, too.
    """
    if request is not None:
        before = con.execute(_UNDONE, {"request": request}).fetchone()
        if before is not None:
            return TakenBack(*before)
    found = con.execute(_UNDOABLE, {"id": wanted.id, "actor": wanted.actor}).fetchone()
    if found is None:
        raise BadRequest(
            f"nothing of {wanted.actor} is left to undo"
            if wanted.id is None
            else f"nothing to undo has the id {wanted.id}"
        )
    con.execute("INSERT INTO undone VALUES (?, ?, ?, ?)", [found[0], moment(now), wanted.actor, request])
    return TakenBack(*found)


_ALL = """(
        SELECT edit_id AS id, kind, NULL AS case_id, said_seq, edited_at AS done_at, NULL AS seq, actor
        FROM cluster_edits
        UNION ALL SELECT review_id, verdict, case_id, said_seq, reviewed_at, NULL, actor FROM case_reviews
        UNION ALL SELECT annotation_id, arg_min(kind, place), any_value(case_id), max(said_seq),
            max(annotated_at), max(seq), any_value(actor) FROM case_annotations GROUP BY annotation_id
    )"""
_UNDONE = f"""
    SELECT id, kind, case_id FROM {_ALL} JOIN undone USING (id) WHERE request = $request"""  # noqa: S608
_UNDOABLE = f"""
    SELECT id, kind, case_id FROM {_ALL} WHERE id NOT IN (SELECT id FROM undone)
        AND CASE WHEN $id::VARCHAR IS NULL THEN actor = $actor ELSE id = $id END
    ORDER BY said_seq DESC NULLS LAST, done_at DESC, seq DESC NULLS LAST, id LIMIT 1"""  # noqa: S608


def unsplit_forgotten(con: DuckDBPyConnection) -> None:
    """Take the cases of the temporary table ``doomed`` out of every split, and notes on their clusters."""
    con.execute(
        """UPDATE cluster_edits SET note = NULL WHERE note IS NOT NULL AND (
            cluster_id IN (SELECT cluster_id FROM cluster_of JOIN doomed USING (case_id))
            OR target IN (SELECT cluster_id FROM cluster_of JOIN doomed USING (case_id))
            OR cluster_id IN (SELECT cluster_id FROM cluster_found JOIN doomed USING (case_id))
            OR target IN (SELECT cluster_id FROM cluster_found JOIN doomed USING (case_id))
            OR edit_id IN (SELECT edit_id FROM cluster_splits JOIN doomed USING (case_id)))"""
    )
    con.execute("DELETE FROM cluster_splits WHERE case_id IN (FROM doomed)")


def _write(
    con: DuckDBPyConnection,
    edit: str,
    kind: str,
    pair: tuple[str, str],
    wanted: Split | Merge,
    now: int,
    said_seq: int,
) -> None:
    con.execute(
        "INSERT INTO cluster_edits VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [edit, kind, *pair, moment(now), wanted.actor, wanted.note, said_seq],
    )


def _part(request: Any, name: str) -> dict[str, Any]:
    wanted = request.get(name) if isinstance(request, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError(f"no request to {name}")
    return wanted


def _actor(wanted: dict[str, Any]) -> str:
    actor = wanted.get("actor")
    if not isinstance(actor, str) or not actor:
        raise ValueError("nobody says so")
    return actor


def _note(wanted: dict[str, Any]) -> str | None:
    note = wanted.get("note")
    if not isinstance(note, str | None):
        raise ValueError("a note that is no text")
    return note and note[:NOTE_LENGTH]
