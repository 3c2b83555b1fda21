"""What reviewers write of a case: labels, the right answer, what one must and must not do, whose turn it is.

Append-only events beside the case, each undone by its id. Labels, criteria and the assignment count for the
case's cluster, as verdicts do; an expected answer answers one question, and counts for its case alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.identity import derive
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.fields import moment
from sinks.evalstore.saying import next_said
from sinks.evalstore.text import storable

Private = Callable[[str, str], str | None]
"""From an app and a text that was written about it, what may be stored; None: nothing, it keeps ids only."""

LABEL_LENGTH = 40
SENTENCE_LENGTH = 500
ANSWER_LENGTH = 20_000
NAME_LENGTH = 200
MOST = 20
"""Labels, and criteria of either kind, that a cluster may carry; changes of one request."""
NOBODY = "none"
"""In filters: assigned to nobody. So no reviewer is called that."""
_LABEL = re.compile(rf"[^\W_][\w./:-]{{0,{LABEL_LENGTH - 1}}}")


class Kind(StrEnum):
    LABEL = "label"
    MUST = "must"
    MUST_NOT = "must_not"
    ASSIGNED = "assigned"
    EXPECTED = "expected_answer"


MANY = frozenset({Kind.LABEL, Kind.MUST, Kind.MUST_NOT})
"""A cluster has several of these; of the others there is one, and ``removed`` needs no text."""


class Change(NamedTuple):
    """``removed``: take ``text`` away; an assignment or expected answer whatever it is, with ``text``
    None.
    """

    kind: Kind
    text: str | None
    removed: bool = False


class Annotate(NamedTuple):
    """What one reviewer says at once, all of it or nothing."""

    case_id: str
    actor: str
    changes: tuple[Change, ...]


class Annotated(NamedTuple):
    """``id`` is what undoes it, None where everything stood already. ``cases``: of the cluster.

    ``redacted``: texts from which the app's policy took something out before they were stored.
    """

    id: str | None
    changed: int
    cases: int
    redacted: int


def label(text: str) -> str:
    """A label as it is stored; raises ``ValueError`` where it is none.

    >>> label(" Needs-Docs "), label("größe/xl")
    ('needs-docs', 'größe/xl')
    """
    found = unicodedata.normalize("NFC", text.strip()).lower()
    if not _LABEL.fullmatch(found):
        raise ValueError(
            f"a label is one word: letters, digits and . _ / : -, at most {LABEL_LENGTH}, the first no sign"
        )
    return found


def sentence(text: str) -> str:
    """A criterion on one line; raises ``ValueError`` where it is empty or too long.

    >>> sentence(" names the\\n 30 days ")
    'names the 30 days'
    """
    return _bounded(" ".join(text.split()), SENTENCE_LENGTH, "a criterion")


def answer(text: str) -> str:
    """An expected answer; raises ``ValueError`` where it is empty or too long."""
    return _bounded(text.strip(), ANSWER_LENGTH, "an expected answer")


def reviewer(text: str) -> str:
    """A reviewer's name; raises ``ValueError`` where it is none."""
    found = _bounded(" ".join(text.split()), NAME_LENGTH, "a reviewer's name")
    if found == NOBODY:
        raise ValueError(f"nobody is called {NOBODY!r}: that stands for nobody")
    return found


def _bounded(text: str, most: int, what: str) -> str:
    if not text:
        raise ValueError(f"{what} is not empty")
    if len(text) > most:
        raise ValueError(f"{what} has at most {most:,} characters")
    stored: str = storable(text)[0]
    return stored


_FORM: dict[Kind, Callable[[str], str]] = {
    Kind.LABEL: label,
    Kind.MUST: sentence,
    Kind.MUST_NOT: sentence,
    Kind.ASSIGNED: reviewer,
    Kind.EXPECTED: answer,
}


def change(kind: Kind, text: str | None, removed: bool = False) -> Change:
    """A change in its stored form; raises ``ValueError`` with one line that says what is wrong."""
    if removed and kind not in MANY:
        return Change(kind, None, True)
    if text is None:
        raise ValueError(f"no text of a change of {kind}")
    return Change(kind, _FORM[kind](text), removed)


def read_annotate(request: Any) -> Annotate:
    """A request that came as JSON; raises ``ValueError`` where it is none."""
    wanted = request.get("annotate") if isinstance(request, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError("no request to annotate")
    case_id, actor, given = wanted.get("case_id"), wanted.get("actor"), wanted.get("changes")
    if not isinstance(case_id, str) or not isinstance(actor, str) or not actor:
        raise ValueError("no annotation of a case by somebody")
    if not isinstance(given, list | tuple) or not 0 < len(given) <= 3 * MOST:
        raise ValueError(f"1 to {3 * MOST} changes at once")
    changes = []
    for each in given:
        kind, text, removed = each
        if not isinstance(text, str | None) or not isinstance(removed, bool):
            raise ValueError("a change that is none")
        changes.append(change(Kind(str(kind)), text, removed))
    return Annotate(case_id, actor, tuple(changes))


def annotate(con: DuckDBPyConnection, wanted: Annotate, private: Private, now: int) -> Annotated:
    """Write what is new of ``wanted``, within the caller's transaction; ``now`` in epoch ms.

    What stands already is not written again, so asking twice is asking once. Raises ``BadRequest`` for no
    such case, too many annotations, or a text that the app's privacy policy does not let in.
    """
    found = con.execute(
        """SELECT app, cluster_id, (SELECT count(*) FROM cluster_of WHERE cluster_id = o.cluster_id)
        FROM cases JOIN cluster_of o USING (case_id) WHERE case_id = ?""",
        [wanted.case_id],
    ).fetchone()
    if found is None:
        raise BadRequest(f"no such case: {wanted.case_id}")
    app, cluster_id, cases = found
    many, one = _standing(con, wanted.case_id, cluster_id)
    new: list[Change] = []
    redacted = 0
    for each in wanted.changes:
        kept = _let_in(each, app, private)
        redacted += kept.text != each.text
        if kept.kind in MANY:
            there = (kept.kind, str(kept.text)) in many
            if there is not kept.removed:
                continue
            (many.discard if kept.removed else many.add)((kept.kind, str(kept.text)))
        else:
            if one.get(kept.kind) == kept.text:
                continue
            one[kept.kind] = kept.text
        new.append(kept)
    for kind in sorted({each.kind for each in new if not each.removed} & MANY):
        if sum(one_kind is kind for one_kind, _ in many) > MOST:
            raise BadRequest(f"a cluster has at most {MOST} annotations of the kind {kind}: remove one first")
    if not new:
        return Annotated(None, 0, int(cases), redacted)
    row = con.execute("SELECT coalesce(max(seq), -1) + 1 FROM case_annotations").fetchone()
    assert row is not None
    # With seq in it: the same may be said, undone and said again within a millisecond.
    annotation_id = derive("case-annotation", wanted.case_id, wanted.actor, now, row[0])
    said_seq = next_said(con)
    con.executemany(
        "INSERT INTO case_annotations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            [
                annotation_id,
                place,
                row[0] + place,
                wanted.case_id,
                each.kind.value,
                each.text,
                each.removed,
                moment(now),
                wanted.actor,
                said_seq,
            ]
            for place, each in enumerate(new)
        ],
    )
    return Annotated(annotation_id, len(new), int(cases), redacted)


def _standing(
    con: DuckDBPyConnection, case_id: str, cluster_id: str
) -> tuple[set[tuple[Kind, str]], dict[Kind, str | None]]:
    """What stands: (kind, text) of what a cluster has many of, and the text of what there is one of."""
    rows = con.execute(
        """SELECT kind, "text" FROM cluster_annotations WHERE cluster_id = $cluster_id
        UNION ALL SELECT 'expected_answer', expected_answer FROM expected_answers WHERE case_id = $case_id""",
        {"cluster_id": cluster_id, "case_id": case_id},
    ).fetchall()
    found = [(Kind(kind), text) for kind, text in rows]
    return {(kind, text) for kind, text in found if kind in MANY}, {
        kind: text for kind, text in found if kind not in MANY
    }


def _let_in(wanted: Change, app: str, private: Private) -> Change:
    """``wanted`` as the app's policy lets it be stored. Labels and names stay as they are, or are refused."""
    if wanted.text is None or wanted.kind is Kind.ASSIGNED:
        return wanted
    kept = private(app, wanted.text)
    if wanted.kind is Kind.LABEL:
        if kept not in (None, wanted.text) and not wanted.removed:
            raise BadRequest(f"a label names no person or secret: redaction would make it {kept!r}")
        return wanted
    if kept is None:
        raise BadRequest(f"the privacy policy of {app} keeps ids only: no text of a reviewer is stored")
    return wanted._replace(text=kept)


def forget_annotations(con: DuckDBPyConnection) -> list[str]:
    """Delete what was written of the cases of the temporary table ``doomed``.

    Returns the labels and criteria among it that nobody wrote of another case: copies of them are to go, too.
    """
    gone = con.execute(
        """SELECT DISTINCT "text" FROM case_annotations
        WHERE case_id IN (FROM doomed) AND kind IN ('label', 'must', 'must_not') AND "text" NOT IN (
            SELECT "text" FROM case_annotations
            WHERE case_id NOT IN (FROM doomed) AND kind IN ('label', 'must', 'must_not'))
        ORDER BY 1"""
    ).fetchall()
    con.execute("DELETE FROM case_annotations WHERE case_id IN (FROM doomed)")
    return [str(row[0]) for row in gone]
