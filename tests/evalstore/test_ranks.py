"""The same store gives the same ranks whenever it is asked, and so the same set and whole lists in pages."""

from __future__ import annotations

import pytest

from sinks.evalstore import StoreOwner
from sinks.evalstore.pages import CLUSTERS, page
from sinks.evalstore.releases.freezing import Wanted, choose_from
from sinks.evalstore.releases.selection import select
from tests.evalstore.samples import MARCH

CLUSTERS_OF_12 = 1500


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> StoreOwner:
    """18,000 cases in many row groups, by plain SQL. Each failure's cases have the same twelve times: all
    ranks are equal."""
    owner = StoreOwner.open(tmp_path_factory.mktemp("ranks") / "store.duckdb")
    con = owner._con
    con.execute(
        """INSERT INTO cases BY NAME SELECT 'case-' || hash(i) || '-' || i AS case_id, 'shop' AS app,
            'production' AS environment, 'chat' AS route, 'trace-' || i AS trace_id, 'why?' AS question,
            make_timestamptz(($march + (hash(i // 1500) % 1728000000)::BIGINT) * 1000) AS ts, '{}' AS trace,
            'hash-' || i AS content_hash, true AS replayable, [] AS missing, 0 AS redactions,
            0 AS replaced_characters, make_timestamptz($march * 1000) AS first_seen
        FROM range(18000) t(i) ORDER BY hash(i)""",
        {"march": MARCH},
    )
    con.execute(
        """INSERT INTO case_events BY NAME SELECT 'event-' || case_id AS event_id, case_id, ts,
            ['low_score'] AS reasons, first_seen AS recorded FROM cases"""
    )
    con.execute(
        """INSERT INTO case_clusters BY NAME SELECT case_id, row_number() OVER (ORDER BY case_id) AS seq,
            printf('c-%016x', trace_id[7:]::BIGINT % 1500) AS cluster_id, 'new' AS via FROM cases"""
    )
    owner.checkpoint()
    return owner


def test_equal_clusters_have_equal_ranks_however_often_one_asks(owner: StoreOwner) -> None:
    con = owner._con
    counts = con.execute("SELECT count(*), min(cases), max(cases) FROM cluster_list").fetchone()
    assert counts == (CLUSTERS_OF_12, 12, 12)
    sets = set()
    for _ in range(3):
        candidates = choose_from(con, Wanted()).candidates
        assert len({candidate.rank for candidate in candidates}) == 1
        sets.add(tuple(candidate.case_id for candidate in select(candidates, 50)))
    assert len(sets) == 1


def test_pages_have_every_cluster_once(owner: StoreOwner) -> None:
    found: list[str] = []
    cursor: str | None = None
    while len(found) < CLUSTERS_OF_12:
        part = page(owner._con, CLUSTERS, {}, 400, cursor)
        found += [row["cluster_id"] for row in part.items]
        cursor = part.next
        if cursor is None:
            break
    assert len(found) == len(set(found)) == CLUSTERS_OF_12
