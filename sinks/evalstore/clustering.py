"""The clusters of a store: the index from its tables, and the tables' rows from the index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from duckdb import DuckDBPyConnection

from sinks.evalstore.clusters import (
    WINDOW,
    Clusters,
    Content,
    Known,
    Merged,
    Placed,
    cluster_name,
    cluster_number,
)
from sinks.evalstore.rows import CaseRow, ClusterRow, MergeRow

BATCH = 2_000


def load(con: DuckDBPyConnection, window: int = WINDOW) -> Clusters:
    """The index that wrote the last of the rows: 76 s of processor time for a million texts."""
    row = con.execute(
        "SELECT coalesce(max(seq) + 1, 0), coalesce(max(place) + 1, 0) FROM case_clusters"
    ).fetchone()
    assert row is not None
    seq, place = row
    clusters = Clusters(seq, place, window)
    clusters.restore(_known(con, place, window))
    return clusters


def _known(con: DuckDBPyConnection, end: int, window: int) -> Iterator[list[Known]]:
    # Texts are wide: they are fetched a slice of places at a time, not sorted as a whole.
    con.execute(
        """CREATE OR REPLACE TEMP TABLE placed AS
        SELECT place, p.case_id, o.cluster_id, b.born
        FROM case_clusters p JOIN cluster_found o USING (case_id)
        JOIN (SELECT cluster_id, min(seq) AS born FROM cluster_found GROUP BY cluster_id) b
            ON b.cluster_id = o.cluster_id
        WHERE place >= ? ORDER BY place""",
        [end - window],
    )
    try:
        for first in range(max(0, end - window), end, SLICE):
            cursor = con.execute(
                f"""SELECT place, cluster_id, born, {", ".join(_CONTENT)}
                FROM placed JOIN cases USING (case_id) WHERE place >= ? AND place < ? ORDER BY place""",  # noqa: S608
                [first, first + SLICE],
            )
            while rows := cursor.fetchmany(BATCH):
                yield [
                    Known(place, cluster_number(name), born, _content(*content))
                    for place, name, born, *content in rows
                ]
    finally:
        con.execute("DROP TABLE placed")


SLICE = 50_000
_CONTENT = ("case_id", "app", "question", "answer", "content_hash", "trace IS NOT NULL")


def _content(
    case_id: str, app: str, question: str | None, answer: str | None, content_hash: str, whole: bool
) -> Content:
    """A case whose trace is gone has no content to share; its hash is its own."""
    return Content(case_id, app, question, answer, content_hash if whole else None)


def place(clusters: Clusters, cases: Iterable[CaseRow]) -> list[ClusterRow | MergeRow]:
    """The rows that say where these new cases belong."""
    return place_contents(
        clusters,
        [
            _content(c.case_id, c.app, c.question, c.answer, c.content_hash, c.trace is not None)
            for c in cases
        ],
    )


def place_contents(clusters: Clusters, contents: Sequence[Content]) -> list[ClusterRow | MergeRow]:
    placed, merged = clusters.place(contents)
    return [*map(_cluster_row, placed), *map(_merge_row, merged)]


def unplaced(con: DuckDBPyConnection) -> list[Content]:
    """The next of the cases that an older Gleaner wrote, in the order in which they came."""
    cursor = con.execute(
        f"""SELECT {", ".join(_CONTENT)} FROM cases ANTI JOIN case_clusters USING (case_id)
        ORDER BY first_seen, case_id LIMIT {BATCH}"""  # noqa: S608
    )
    return [_content(*row) for row in cursor.fetchall()]


def _cluster_row(placed: Placed) -> ClusterRow:
    return ClusterRow(
        placed.case_id, placed.seq, cluster_name(placed.cluster), placed.via, placed.similarity, placed.place
    )


def _merge_row(merged: Merged) -> MergeRow:
    return MergeRow(cluster_name(merged.absorbed), cluster_name(merged.cluster), merged.seq)
