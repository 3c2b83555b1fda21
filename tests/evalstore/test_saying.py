"""What was said last stands, whatever the clock said; a request that is done twice is done once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.evalstore import Connection, StoreOwner
from sinks.evalstore.annotations import Annotate, Kind, change
from sinks.evalstore.asked import perform
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.migrations import migrate, migrations
from sinks.evalstore.regroup import Merge, Split, Undo
from sinks.evalstore.releases.reviews import Review, Verdict
from sinks.evalstore.review_state import review_state, verdicts_on
from sinks.evalstore.snapshots import STORAGE_VERSION
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH, as_written

ACCEPTED, DISMISSED = Verdict.ACCEPTED, Verdict.DISMISSED


def case(number: int) -> str:
    return failure(number).case_id


def cluster(con: Connection, number: int) -> str:
    row = con.execute("SELECT cluster_id FROM cluster_of WHERE case_id = ?", [case(number)]).fetchone()
    assert row is not None
    return str(row[0])


def verdict(con: Connection) -> tuple[Any, ...] | None:
    return con.execute("SELECT verdict, actor, note, epoch_ms(reviewed_at) FROM cluster_reviews").fetchone()


@pytest.fixture
def owner(tmp_path: Path) -> StoreOwner:
    """Cases 0 to 3 are one failure, 10 another."""
    owner = StoreOwner.open(tmp_path / "store.duckdb")
    owner.write([failure(10), *(failure(n, like=0) for n in range(4))], now=MARCH)
    return owner


def test_the_verdict_that_was_said_last_stands(owner: StoreOwner) -> None:
    """Within a millisecond, and when the clock was set back; with its own note and time, or without one."""
    for turn in range(12):
        for now in (MARCH, MARCH - 3_600_000):
            owner.review(Review(case(0), DISMISSED, "ann", f"note {turn}"), now)
            owner.review(Review(case(1), ACCEPTED, "ann"), now)
            assert verdict(owner._con) == ("accepted", "ann", None, now)
            owner.review(Review(case(2), DISMISSED, "ben", "ben's"), now)
            assert verdict(owner._con) == ("dismissed", "ben", "ben's", now)
            said = verdicts_on(owner._con, cluster(owner._con, 0))
            assert [(one["actor"], one["verdict"]) for one in said] == [
                ("ann", "accepted"),
                ("ben", "dismissed"),
            ]


def test_the_split_that_was_said_last_stands(owner: StoreOwner) -> None:
    for turn in range(6):
        both = owner.split(Split((case(2), case(3)), "ann"), MARCH)
        alone = owner.split(Split((case(3),), "ann"), MARCH - turn)
        assert (cluster(owner._con, 2), cluster(owner._con, 3)) == (both.cluster_id, alone.cluster_id)
        for edit in (alone, both):
            assert owner.undo(Undo("ann"), MARCH).id == edit.edit_id, "the latest first"


def test_undo_takes_back_what_was_said_last_of_whatever_kind(owner: StoreOwner) -> None:
    con = owner._con
    said = [
        owner.annotate(Annotate(case(0), "ann", (change(Kind.LABEL, "a"),)), as_written, MARCH).id,
        owner.review(Review(case(0), ACCEPTED, "ann"), MARCH - 1).id,
        owner.split(Split((case(3),), "ann"), MARCH - 2).edit_id,
        owner.merge(Merge(cluster(con, 0), cluster(con, 10), "ann"), MARCH - 3).edit_id,
        owner.annotate(Annotate(case(0), "ann", (change(Kind.MUST, "b"),)), as_written, MARCH - 4).id,
    ]
    asked = {"undo": {"actor": "ann", "id": None}}
    found = [perform(owner, asked, as_written, MARCH + 5, publish=False)[1]["id"] for _ in said]
    assert found == said[::-1], "five of one millisecond, as the API asks for them: each another one"
    with pytest.raises(BadRequest, match="nothing of ann"):
        owner.undo(Undo("ann"), MARCH)


def test_a_request_that_is_done_again_under_its_name_is_done_once(owner: StoreOwner) -> None:
    con = owner._con
    before = (cluster(con, 0), cluster(con, 10))
    requests: list[dict[str, Any]] = [
        {"review": {"case_id": case(0), "verdict": "accepted", "actor": "ann", "note": None}},
        {"review": {"case_id": case(0), "verdict": "dismissed", "actor": "ann", "note": None}},
        {"split": {"case_ids": [case(2), case(3)], "actor": "ann", "note": None}},
        {"merge": {"cluster_id": before[0], "target": before[1], "actor": "ann", "note": None}},
        {"undo": {"actor": "ann", "id": None}},
        {"undo": {"actor": "ann", "id": None}},
        {"undo": {"actor": "ann", "id": None}},
    ]
    tables = " UNION ALL ".join(
        f"SELECT count(*) FROM {name}" for name in ("case_reviews", "cluster_edits", "undone")
    )
    for number, request in enumerate(requests):
        first, again = (
            perform(owner, request, as_written, MARCH + more, publish=False, asked=MARCH, name=f"r{number}")
            for more in (0, 9)
        )
        assert first == again
    assert con.execute(tables).fetchall() == [(2,), (2,), (3,)]
    assert verdict(con) == ("accepted", "ann", None, MARCH)


def test_an_edit_that_stands_is_answered_with_what_stands(owner: StoreOwner) -> None:
    """Whoever repeats a request after an answer that was lost has no other way to know; as with labels."""
    con = owner._con
    one, other = cluster(con, 0), cluster(con, 10)
    assert one != other
    split = Split((case(2), case(3)), "ann", "apart")
    done = owner.split(split, MARCH)
    assert owner.split(split, MARCH + 60_000) == done
    merge = Merge(one, other, "ann")
    merged = owner.merge(merge, MARCH + 1)
    assert merged.cases == 3
    for again in (merge, Merge(other, one, "ann")):
        assert owner.merge(again, MARCH + 60_001) == merged
    # Split off again out of what it was merged into: that is no repeat.
    owner.merge(Merge(done.cluster_id, merged.cluster_id, "ben"), MARCH + 2)
    anew = owner.split(split, MARCH + 3)
    assert anew.edit_id != done.edit_id
    assert (anew.cases, cluster(con, 2)) == (2, anew.cluster_id)
    # What was taken back does not stand, and is done again.
    owner.undo(Undo("ann", merged.edit_id), MARCH + 4)
    assert owner.merge(merge, MARCH + 5).edit_id != merged.edit_id
    # Somebody else's is refused as before: their undo would not find it.
    gone = {one, other} - {cluster(con, 0)}
    with pytest.raises(BadRequest, match=f"no such cluster: {gone.pop()}"):
        owner.merge(Merge(one, other, "cem"), MARCH + 6)


def test_a_verdict_that_stands_is_not_said_again(owner: StoreOwner) -> None:
    """So that one undo takes it back."""
    first = owner.review(Review(case(0), DISMISSED, "ben", "why"), MARCH)
    assert first.id is not None
    again = owner.review(Review(case(0), DISMISSED, "ben", "why"), MARCH + 100)
    assert (again.id, again.cases) == (None, 4)
    for other in (
        Review(case(0), DISMISSED, "ben", "another note"),
        Review(case(1), DISMISSED, "ben", "another note"),
        Review(case(1), DISMISSED, "ann", "another note"),
        Review(case(1), DISMISSED, "ben", "another note"),
    ):
        assert owner.review(other, MARCH + 200).id is not None
    for _ in range(4):
        owner.undo(Undo("ben") if _ else Undo("ann"), MARCH + 300)
    assert verdict(owner._con) == ("dismissed", "ben", "why", MARCH)
    assert owner.undo(Undo("ben"), MARCH + 300).id == first.id
    assert verdict(owner._con) is None


said_by = st.tuples(
    st.sampled_from(["ann", "ben"]), st.integers(0, 2), st.sampled_from(Verdict), st.sampled_from("xy")
)
steps = st.tuples(st.one_of(said_by, st.sampled_from(["ann", "ben"])), st.integers(-2, 2), st.booleans())


@settings(max_examples=15, deadline=None)
@given(st.lists(steps, max_size=12))
def test_verdicts_are_a_fold_of_what_was_said_in_its_order(
    tmp_path_factory: pytest.TempPathFactory, given_steps: list[Any]
) -> None:
    """Whatever the clock says, whatever is undone in between, and whichever requests are done twice."""
    path = tmp_path_factory.mktemp("said") / "store.duckdb"
    log: list[tuple[str, str, int, str, str]] = []
    with StoreOwner.open(path) as owner:
        owner.write([failure(n, like=0) for n in range(3)], now=MARCH)
        for number, (what, clock, twice) in enumerate(given_steps):

            def ask(request: dict[str, Any], now: int = MARCH + clock, name: str = f"r{number}") -> Any:
                return perform(owner, request, as_written, MARCH, publish=False, asked=now, name=name)[1][
                    "id"
                ]

            if isinstance(what, str):
                mine = [one for one in log if one[1] == what]
                if not mine:
                    continue
                ids = [ask({"undo": {"actor": what, "id": None}}) for _ in range(1 + twice)]
                assert set(ids) == {mine[-1][0]}
                log.remove(mine[-1])
            else:
                actor, at, word, note = what
                said = {"case_id": case(at), "verdict": word, "actor": actor, "note": note}
                ids = [ask({"review": said}) for _ in range(1 + twice)]
                stood = bool(log) and log[-1][1:] == (actor, at, word, note)
                assert (len(set(ids)), ids[0] is None) == (1, stood)
                if not stood:
                    log.append((ids[0], actor, at, word, note))
            state = review_state(owner._con, case(0))
            latest = {one[1]: one for one in log}
            expected = sorted(latest.values(), key=log.index)
            assert [(v["review_id"], v["actor"], v["verdict"], v["note"]) for v in state.verdicts] == [
                (id_, actor, word, note) for id_, actor, _, word, note in expected
            ]
            assert (verdict(owner._con) or (None,))[0] == (log[-1][3] if log else None)


def test_a_store_of_the_version_before_goes_on(tmp_path: Path) -> None:
    """What was said before keeps its order, by its time, and is older than all that is said from now on."""
    path = tmp_path / "old.duckdb"
    with StoreOwner.open(tmp_path / "new.duckdb") as owner:
        owner.write([failure(10), *(failure(n, like=0) for n in range(4))], now=MARCH)
        owner.publish(MARCH)
    with duckdb.connect(str(path), config={"storage_compatibility_version": STORAGE_VERSION}) as con:
        migrate(con, [step for step in migrations() if step.version < 14])
        con.execute("SET TimeZone = 'UTC'")
        con.execute(f"ATTACH '{tmp_path}/new.duckdb' AS fresh (READ_ONLY)")
        for table in ("cases", "case_clusters"):
            con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM fresh.{table}")
        con.execute("INSERT INTO case_events BY NAME SELECT * EXCLUDE (seq) FROM fresh.case_events")
        con.execute("DETACH fresh")
        minute = "2026-03-01 00:0{}:00Z".format
        for id_, at, word in (("z", 1, "dismissed"), ("a", 3, "accepted"), ("m", 2, "dismissed")):
            con.execute(
                "INSERT INTO case_reviews VALUES (?, ?, ?, ?, 'ann', ?)",
                [id_, case(0), minute(at), word, id_],
            )
        con.execute(
            "INSERT INTO case_annotations VALUES ('l', 0, 7, ?, 'label', 'old', false, ?, 'ann')",
            [case(0), minute(2)],
        )
        con.execute("INSERT INTO undone VALUES ('z', ?, 'ann')", [minute(9)])
        old = con.execute("SELECT cluster_id, rank, representative FROM cluster_list ORDER BY ALL").fetchall()
        assert [one["review_id"] for one in verdicts_on(con, cluster(con, 0))] == ["a"], "read as it is"
        assert con.execute("SELECT verdict, note FROM cluster_reviews").fetchall() == [("accepted", "a")]
    with StoreOwner.open(path) as owner:
        con = owner._con
        ranks = con.execute(
            "SELECT cluster_id, rank, representative FROM cluster_list ORDER BY ALL"
        ).fetchall()
        assert [row[::2] for row in ranks] == [row[::2] for row in old]
        assert [row[1] for row in ranks] == pytest.approx([row[1] for row in old])
        assert con.execute("SELECT verdict, note FROM cluster_reviews").fetchall() == [("accepted", "a")]
        new = owner.review(Review(case(1), DISMISSED, "ann", "new"), MARCH - 10**9)
        assert con.execute("SELECT verdict, note FROM cluster_reviews").fetchall() == [("dismissed", "new")]
        taken = [owner.undo(Undo("ann"), MARCH).id for _ in range(4)]
        assert taken[:2] == [new.id, "a"]
        assert sorted(taken[2:]) == ["l", "m"]
