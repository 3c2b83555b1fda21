"""What a request to forget takes out of releases: cases, what was written of them, and conditions."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from duckdb import DuckDBPyConnection

from sinks.evalstore.mentions import GONE
from sinks.evalstore.named import has_word
from sinks.evalstore.releases.freezing import release_lines
from sinks.evalstore.releases.record import content_hash, line


def unfreeze_forgotten(con: DuckDBPyConnection, written: Sequence[str] = ()) -> None:
    """Take the cases of the temporary table ``doomed`` out of every release, and say so there.

    ``written``: labels and criteria that reviewers wrote of these cases alone. Frozen with other cases of the
    same cluster, they go, too.
    """
    gone = con.execute(
        """DELETE FROM release_cases WHERE case_id IN (SELECT case_id FROM doomed) RETURNING release"""
    ).fetchall()
    con.execute("DELETE FROM gate_results WHERE case_id IN (SELECT case_id FROM doomed)")
    con.execute("DELETE FROM case_reviews WHERE case_id IN (SELECT case_id FROM doomed)")
    touched = {str(row[0]) for row in gone} | _unwrite(con, frozenset(written))
    for release in sorted(touched):
        _sum_up(con, release, gone.count((release,)))


def _unwrite(con: DuckDBPyConnection, written: frozenset[str]) -> set[str]:
    """Take these labels and criteria out of every frozen case; the releases that had any."""
    if not written:
        return set()
    touched = set()
    for release, case_id, text in con.execute(
        "SELECT release, case_id, record FROM release_cases"
    ).fetchall():
        case = json.loads(text)
        left = {
            name: [each for each in case[name] if each not in written]
            for name in ("labels", "must", "must_not")
            if case.get(name)
        }
        if any(len(kept) < len(case[name]) for name, kept in left.items()):
            con.execute(
                "UPDATE release_cases SET record = ? WHERE release = ? AND case_id = ?",
                [line(case | left), release, case_id],
            )
            touched.add(str(release))
    return touched


def uncorrect(con: DuckDBPyConnection, said: Collection[tuple[str, str]]) -> int:
    """Take corrections, each with its case_id, out of the releases that were frozen with them; from how many
    frozen cases. What somebody else said of the case in the same words stays.
    """
    found = con.execute(
        """SELECT release, case_id, record FROM release_cases WHERE case_id IN (SELECT unnest(?::VARCHAR[]))
        ORDER BY release, case_id""",
        [sorted({case_id for case_id, _ in said})],
    ).fetchall()
    kept = con.execute(
        """SELECT case_id, expected_answer FROM case_events
        WHERE case_id IN (SELECT unnest(?::VARCHAR[])) AND expected_answer IS NOT NULL""",
        [sorted({case_id for case_id, _ in said})],
    ).fetchall()
    gone = set(said) - {(str(case_id), str(text)) for case_id, text in kept}
    changed = []
    for release, case_id, text in found:
        case = json.loads(text)
        by_a_reviewer = case.get("expected_from") == "reviewer"
        if (case_id, case["expected_answer"]) in gone and not by_a_reviewer:
            changed.append(str(release))
            cleared = {name: None for name in ("expected_answer", "expected_from") if name in case}
            con.execute(
                "UPDATE release_cases SET record = ? WHERE release = ? AND case_id = ?",
                [line(case | cleared), release, case_id],
            )
    for release in sorted(set(changed)):
        _sum_up(con, release, 0)
    return len(changed)


def unname_conditions(con: DuckDBPyConnection, value: str, app: str | None) -> int:
    """Blank the condition (``where``) of each release that names an id; of how many.

    An id counts where it stands as a word, whatever column it is compared with: an SQL condition can be
    written in more ways than could be read here. Misleads where a condition has only a part of the id
    (``LIKE 'u-47%'``).
    """
    rows = con.execute("SELECT release, options::VARCHAR FROM releases ORDER BY release").fetchall()
    gone = 0
    for release, text in rows:
        options = json.loads(text)
        where, of = options.get("where"), options.get("app")
        if where is None or (app is not None and of not in (None, app)):
            continue
        forms = {value, value.replace("'", "''")}
        if any(has_word(str(where), "utf-8", form) for form in forms):
            con.execute(
                "UPDATE releases SET options = ? WHERE release = ?",
                [line(options | {"where": GONE}), release],
            )
            gone += 1
    return gone


def _sum_up(con: DuckDBPyConnection, release: str, forgotten: int) -> None:
    """Number and hash of what is left of a release."""
    lines = release_lines(con, release)
    con.execute(
        "UPDATE releases SET cases = ?, sha256 = ?, forgotten = forgotten + ? WHERE release = ?",
        [len(lines), content_hash(lines), forgotten, release],
    )
