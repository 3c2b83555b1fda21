"""Split, merge, undo: what people say of clusters stands beside what was found, and can be taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.case import CaseReason
from sinks.evalstore import Connection, Forget, Kind, StoreOwner, open_for_reading
from sinks.evalstore.asked import perform
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.regroup import Merge, Split, Undo
from sinks.evalstore.releases.agreement import agreements, cohen
from sinks.evalstore.releases.reviews import Review, Verdict
from tests.evalstore.releases.test_freeze import failure, run
from tests.evalstore.samples import MARCH, as_written

Groups = set[frozenset[int]]


def clusters(con: Connection) -> dict[int, str]:
    rows = con.execute("SELECT trace_id, cluster_id FROM cases JOIN cluster_of USING (case_id)").fetchall()
    return {int(trace.removeprefix("trace-")): cluster for trace, cluster in rows}


def grouped(con: Connection) -> Groups:
    found: dict[str, set[int]] = {}
    for number, cluster in clusters(con).items():
        found.setdefault(cluster, set()).add(number)
    return {frozenset(members) for members in found.values()}


def ids(*numbers: int) -> tuple[str, ...]:
    return tuple(failure(n).case_id for n in numbers)


@pytest.fixture
def owner(tmp_path: Path) -> StoreOwner:
    """Cases 0 to 3 are one failure, 10 and 11 another, 20 a third."""
    owner = StoreOwner.open(tmp_path / "store.duckdb")
    like = {0: 0, 1: 0, 2: 0, 3: 0, 10: 10, 11: 10, 20: 20}
    owner.write([failure(n, like=of) for n, of in like.items()], now=MARCH)
    return owner


FOUND: Groups = {frozenset({0, 1, 2, 3}), frozenset({10, 11}), frozenset({20})}


def test_what_is_done_is_done_where_the_snapshot_fails(
    owner: StoreOwner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Reported as failed it would be asked for again: the second undo would take back the split."""
    owner.split(Split(ids(2, 3), "ann"), MARCH + 1)
    split = grouped(owner._con)
    before = clusters(owner._con)
    owner.merge(Merge(before[20], before[10], "ann"), MARCH + 2)

    def full(now: int) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(owner, "publish", full)
        word, done = perform(owner, {"undo": {"actor": "ann", "id": None}}, as_written, MARCH + 3)
    assert (word, done["kind"]) == ("took something back", "merge")
    assert grouped(owner._con) == split
    assert owner.unpublished
    assert "it is done; no snapshot was published" in caplog.text
    assert "No space left" in caplog.text
    owner.publish(MARCH + 4)
    with open_for_reading(owner.path, MARCH) as con:
        assert grouped(con) == split


def test_split_merge_and_undo(owner: StoreOwner) -> None:
    con = owner._con
    assert grouped(con) == FOUND
    before = clusters(con)
    apart = owner.split(Split(ids(2, 3), "ann"), MARCH + 1)
    assert apart.cases == 2
    assert grouped(con) == {frozenset({0, 1}), frozenset({2, 3}), *FOUND - {frozenset({0, 1, 2, 3})}}
    joined = owner.merge(Merge(before[20], before[10], "ben"), MARCH + 2)
    assert (joined.cluster_id, joined.cases) == (before[10], 3), "the older one's id stands"
    again = owner.merge(Merge(before[10], apart.cluster_id, "ben"), MARCH + 3)
    assert (again.cluster_id, again.cases) == (apart.cluster_id, 5)
    assert grouped(con) == {frozenset({0, 1}), frozenset({2, 3, 10, 11, 20})}
    assert owner.undo(Undo("ann", joined.edit_id), MARCH + 4).kind == "merge"
    assert grouped(con) == {frozenset({0, 1}), frozenset({2, 3, 10, 11}), frozenset({20})}
    assert owner.undo(Undo("ben"), MARCH + 5).id == again.edit_id
    assert owner.undo(Undo("ann"), MARCH + 6).id == apart.edit_id
    assert clusters(con) == before
    for asked in (Undo("ann"), Undo("ann", apart.edit_id)):
        with pytest.raises(BadRequest, match="undo"):
            owner.undo(asked, MARCH + 7)


def test_what_makes_no_sense_is_refused(owner: StoreOwner) -> None:
    of = clusters(owner._con)
    owner.write([failure(30, app="desk")], now=MARCH)
    desk = clusters(owner._con)[30]
    for wanted, why in (
        (Split(ids(0, 10), "ann"), "2 clusters"),
        (Split(ids(0, 1, 2, 3), "ann"), "all cases"),
        (Split(("gone",), "ann"), "not in the store"),
    ):
        with pytest.raises(BadRequest, match=why):
            owner.split(wanted, MARCH)
    for pair, why in (
        ((of[0], of[0]), "one cluster already"),
        ((of[0], "c-0"), "no such cluster"),
        ((of[0], desk), "two apps"),
    ):
        with pytest.raises(BadRequest, match=why):
            owner.merge(Merge(*pair, "ann"), MARCH)
    assert grouped(owner._con) == FOUND | {frozenset({30})}


def test_a_later_case_goes_with_what_its_cluster_was_merged_with(owner: StoreOwner, tmp_path: Path) -> None:
    """Also after a restart: the index of texts is built from what was found, never from people's edits."""
    of = clusters(owner._con)
    owner.merge(Merge(of[10], of[0], "ann"), MARCH)
    owner.split(Split(ids(3), "ann"), MARCH + 1)
    owner.write([failure(12, like=10)], now=MARCH)
    assert clusters(owner._con)[12] == of[0]
    found = owner._con.execute("FROM cluster_found ORDER BY case_id").fetchall()
    owner.close()
    with StoreOwner.open(tmp_path / "store.duckdb") as again:
        again.write([failure(13, like=10), failure(4, like=0)], now=MARCH)
        assert clusters(again._con)[13] == of[0] == clusters(again._con)[4]
        assert clusters(again._con)[3] != of[0]
        rows = again._con.execute(
            "FROM cluster_found WHERE case_id NOT IN (SELECT unnest(?)) ORDER BY case_id", [list(ids(4, 13))]
        ).fetchall()
        assert rows == found


def test_an_automatic_merge_takes_what_people_merged_along(owner: StoreOwner) -> None:
    """A merge names clusters; where one of them is absorbed afterwards, it holds on to what that became."""
    of = clusters(owner._con)
    owner.merge(Merge(of[20], of[10], "ann"), MARCH)
    seq = owner._con.execute("SELECT max(seq) + 1 FROM case_clusters").fetchone()
    assert seq is not None
    owner._con.execute("INSERT INTO cluster_merges VALUES (?, ?, ?)", [of[10], of[0], seq[0]])
    assert grouped(owner._con) == {frozenset({0, 1, 2, 3, 10, 11, 20})}
    assert set(clusters(owner._con).values()) == {of[0]}


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=8), st.data())
def test_merges_are_what_a_union_would_make(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Whatever the order, circles included; and undoing some leaves the union of the others."""
    with StoreOwner.open(tmp_path_factory.mktemp("merge") / "store.duckdb") as owner:
        owner.write([failure(n) for n in range(7)], now=MARCH)
        of = clusters(owner._con)
        edits = []
        for step, (one, other) in enumerate(pairs):
            # As found, not as they are called by now: merges of either kind of name must add up.
            name = f"edit-{step}"
            row = [name, "merge", of[one], of[other], "2026-03-01T00:00:00Z", "ann"]
            owner._con.execute("INSERT INTO cluster_edits VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", row)
            edits.append((name, one, other))
        kept = edits
        if edits:
            gone = data.draw(st.sets(st.sampled_from([name for name, *_ in edits])))
            for name in gone:
                owner.undo(Undo("ben", name), MARCH)
            kept = [edit for edit in edits if edit[0] not in gone]
        root = list(range(7))
        for _, one, other in kept:
            new, old = sorted((root[one], root[other]))
            root = [new if each == old else each for each in root]
        expected = {frozenset(n for n in range(7) if root[n] == each) for each in set(root)}
        assert grouped(owner._con) == expected
        for n, cluster in clusters(owner._con).items():
            assert cluster == of[root[n]], "named after the oldest"


def test_forgotten_cases_go_out_of_edits(owner: StoreOwner) -> None:
    of = clusters(owner._con)
    owner.split(Split(ids(2, 3), "ann", "mr smith again"), MARCH)
    owner.merge(Merge(of[20], of[10], "ann", "about smith, too"), MARCH)
    owner.review(Review(failure(2).case_id, Verdict.DISMISSED, "ann", "smith"), MARCH)
    owner.forget(Forget(Kind.TRACE, "trace-2", None), MARCH)
    con = owner._con
    assert con.execute("SELECT case_id FROM cluster_splits").fetchall() == [ids(3)]
    notes = [row[0] for row in con.execute("SELECT note FROM cluster_edits ORDER BY kind").fetchall()]
    assert notes == ["about smith, too", None], "only what was said of the forgotten case's cluster goes"
    assert con.execute("SELECT count(*) FROM case_reviews").fetchone() == (0,)


def test_an_undone_verdict_no_longer_counts(owner: StoreOwner) -> None:
    case = failure(0).case_id
    first = owner.review(Review(case, Verdict.DISMISSED, "ann"), MARCH)
    second = owner.review(Review(case, Verdict.ACCEPTED, "ben"), MARCH + 1)
    verdict = "SELECT verdict FROM cluster_reviews"
    assert (first.cases, owner._con.execute(verdict).fetchall()) == (4, [("accepted",)])
    owner.undo(Undo("ben", second.id), MARCH + 2)
    assert owner._con.execute(verdict).fetchall() == [("dismissed",)]
    owner.undo(Undo("ann"), MARCH + 3)
    assert owner._con.execute(verdict).fetchall() == []


def test_agreement_is_cohens_kappa_with_its_n(owner: StoreOwner) -> None:
    owner.write([failure(n) for n in range(100, 150)], now=MARCH)
    # Cohen's textbook table: 20 both yes, 5 and 10 apart, 15 both no: kappa 0.4.
    table = [("a", "a")] * 20 + [("a", "d")] * 5 + [("d", "a")] * 10 + [("d", "d")] * 15
    words = {"a": Verdict.ACCEPTED, "d": Verdict.DISMISSED}
    for n, (ann, ben) in enumerate(table, 100):
        owner.review(Review(failure(n).case_id, words[ann], "ann"), MARCH)
        owner.review(Review(failure(n).case_id, words[ben], "ben"), MARCH + 1)
    # Changed their mind: the latest verdict of each counts. And one whom nobody shares a cluster with.
    owner.review(Review(failure(100).case_id, Verdict.DISMISSED, "ann"), MARCH)
    owner.review(Review(failure(100).case_id, Verdict.ACCEPTED, "ann"), MARCH)
    owner.review(Review(failure(20).case_id, Verdict.DISMISSED, "cem"), MARCH)
    (found,) = agreements(owner._con)
    assert (found.one, found.other, found.n, found.same) == ("ann", "ben", 50, 35)
    assert found.kappa == pytest.approx(0.4)
    assert (found.observed, found.expected) == pytest.approx((0.7, 0.5))
    assert cohen("x", "y", [("a", "a")] * 9).kappa is None
    assert cohen("x", "y", []).n == 0
    assert cohen("x", "y", [("a", "d"), ("d", "a")]).kappa == -1


def test_requests_and_commands(owner: StoreOwner, tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    wrong_ones: list[dict[str, dict[str, object]]] = [{"split": {}}, {"split": {"case_ids": ["x"]}}]
    wrong_ones += [{"merge": {"cluster_id": 1}}, {"undo": {}}]
    for wrong in wrong_ones:
        with pytest.raises(ValueError):
            perform(owner, wrong, as_written, MARCH)
    owner.write([failure(40, CaseReason.ESCALATION)], now=MARCH)
    owner.publish(MARCH)
    owner.close()
    at = ["--store", str(path), "--actor", "ann", "--json"]
    apart = json.loads(run("cases", "split", failure(2).case_id, "trace-3", "--note", "differs", *at))
    assert apart["cases"] == 2
    joined = json.loads(run("cases", "merge", apart["cluster_id"], failure(40).case_id, *at))
    assert (joined["cluster_id"], joined["cases"]) == (apart["cluster_id"], 3)
    assert json.loads(run("cases", "undo", *at)) == {
        "id": joined["edit_id"],
        "kind": "merge",
        "case_id": None,
    }
    with open_for_reading(path, MARCH) as con:
        assert clusters(con)[2] == clusters(con)[3] == apart["cluster_id"] != clusters(con)[40]
    run("cases", "review", "trace-2", "--dismiss", *at)
    run("cases", "review", "trace-3", "--accept", "--actor", "ben", "--store", str(path))
    (line,) = run("cases", "agreement", "--store", str(path), "--json").splitlines()
    assert {name: json.loads(line)[name] for name in ("one", "other", "n", "same", "kappa")} == {
        "one": "ann",
        "other": "ben",
        "n": 1,
        "same": 0,
        "kappa": 0.0,
    }
    assert "n = 1, 0 the same" in run("cases", "agreement", "--store", str(path))
