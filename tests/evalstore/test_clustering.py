"""Clusters in the store: written with the case, once; the same after a restart; ranked."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import log2
from pathlib import Path
from typing import Any

import duckdb
import pytest

from schemas.case import CaseReason, EvalCase
from sinks.evalstore import CaseFilter, StoreOwner, list_cases, list_clusters, new_clusters
from sinks.evalstore.migrations import migrate, migrations
from sinks.evalstore.snapshots import STORAGE_VERSION
from tests.evalstore.samples import MARCH, make_case

DAY = 86_400_000
WORDS = ["any", "basket", "can", "every", "first", "great", "house", "just", "keep", "long", "money", "order"]
WORDS += ["pay", "return", "shop", "tell", "want", "weeks"]


def asking(number: int, text: str, *reasons: CaseReason, **changes: Any) -> EvalCase:
    trace = {"trace_id": f"trace-{number}", "question": text, "answer": "For ever.", "model": "m-1"}
    trace |= {"release": changes.pop("release")} if "release" in changes else {}
    return make_case(number, *reasons, trace=trace, content_hash=text, **changes)


def texts(seed: int, n: int) -> list[str]:
    """Failures that come again, each time with one more word changed, in any order."""
    chance = random.Random(seed)
    found: list[str] = []
    while len(found) < n:
        words = chance.choices(WORDS, k=18)
        for where in chance.sample(range(18), 5):
            found.append(" ".join(words))
            words[where] = f"{words[where]}s"
    chance.shuffle(found)
    return found[:n]


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[StoreOwner]:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        yield owner


def rows(owner: StoreOwner, table: str) -> list[tuple[Any, ...]]:
    return owner._con.execute(f"FROM {table} ORDER BY ALL").fetchall()


def test_batches_restarts_and_replays_leave_the_same_rows(tmp_path: Path) -> None:
    cases = [asking(n, text) for n, text in enumerate(texts(3, 240))]
    with StoreOwner.open(tmp_path / "whole.duckdb") as whole:
        whole.write(cases, now=MARCH)
        expected = rows(whole, "case_clusters"), rows(whole, "cluster_merges"), rows(whole, "cluster_of")
    assert expected[1], "no case links two clusters: the test shows less than it says"
    path = tmp_path / "parts.duckdb"
    for first in range(0, 240, 37):
        with StoreOwner.open(path) as parts:
            parts.write(cases[first : first + 20], now=MARCH)
            parts.write(cases[max(first - 5, 0) : first + 37], now=MARCH)  # what a redelivery looks like
    with StoreOwner.open(path) as parts:
        parts.write(cases, now=MARCH)
        assert (
            rows(parts, "case_clusters"),
            rows(parts, "cluster_merges"),
            rows(parts, "cluster_of"),
        ) == expected


def test_a_batch_that_fails_leaves_no_trace_in_the_index(
    owner: StoreOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = texts(1, 1)[0]
    owner.write([asking(0, text)], now=MARCH)
    real, calls = duckdb.DuckDBPyConnection.commit, []

    class Broken:
        def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
            self.con = con

        def __getattr__(self, name: str) -> Any:
            return getattr(self.con, name)

        def commit(self) -> None:
            calls.append(real)
            raise duckdb.IOException("no space left")

    con = owner._con
    monkeypatch.setattr(owner, "_con", Broken(con))
    with pytest.raises(duckdb.IOException):
        owner.write([asking(1, "something else " + text)], now=MARCH)
    monkeypatch.setattr(owner, "_con", con)
    assert len(calls) == 1
    owner.write([asking(2, text.replace(" ", ", "))], now=MARCH)
    assert [row[1] for row in rows(owner, "case_clusters")] in ([0, 1], [1, 0]), "the number was given twice"
    assert owner.counts().distinct_cases == 1


def test_cases_of_an_older_store_get_their_clusters(tmp_path: Path) -> None:
    path, older = tmp_path / "store.duckdb", tmp_path / "older.duckdb"
    cases = [asking(n, text) for n, text in enumerate(texts(5, 60))]
    with StoreOwner.open(path) as owner:
        for number, case in enumerate(cases):
            owner.write([case], now=MARCH + number)
        expected = rows(owner, "case_clusters")
    # The same cases in a store from before there were clusters.
    with duckdb.connect(str(older), config={"storage_compatibility_version": STORAGE_VERSION}) as con:
        migrate(con, [step for step in migrations() if step.version < 5])
        con.execute(f"ATTACH '{path}' AS now (READ_ONLY)")
        con.execute("INSERT INTO cases BY NAME FROM now.cases")
        con.execute("INSERT INTO case_events BY NAME SELECT * EXCLUDE (seq) FROM now.case_events")
        con.execute("DETACH now")
    with StoreOwner.open(older) as owner:
        assert rows(owner, "case_clusters") == expected
        assert len(list(list_cases(owner._con))) == 60


def test_the_rank_is_severity_times_frequency_times_novelty(owner: StoreOwner) -> None:
    """Each figure by hand. The newest case is of day 28."""
    grave, frequent, old, fresh = (" ".join([word] * 3 + WORDS[n : n + 12]) for n, word in enumerate("wxyz"))
    cases = [
        asking(0, grave, CaseReason.UNSAFE, CaseReason.LOW_SCORE, time=MARCH + 14 * DAY, release="r1"),
        *(asking(n, frequent, CaseReason.ERROR, time=MARCH + 28 * DAY, release="r2") for n in range(1, 8)),
        asking(8, frequent, CaseReason.ERROR, time=MARCH, release="r1"),
        asking(9, old, CaseReason.HIGH_COST, time=MARCH, release="r1"),
        asking(10, fresh, CaseReason.ABANDONED, time=MARCH + 28 * DAY, release="r2"),
        make_case(11, CaseReason.EMPTY_ANSWER, app="desk", time=MARCH + 28 * DAY, trace=None),
    ]
    owner.write(cases, now=MARCH)
    found = {one.reasons[0]: one for one in list_clusters(owner._con)}
    figures: dict[str, tuple[Any, ...]] = {
        name: (one.cases, one.severity, one.frequency, one.novelty) for name, one in found.items()
    }
    assert figures == {
        "low_score": (1, 10, pytest.approx(log2(1 + 0.25)), 1.5),
        "error": (8, 4, pytest.approx(log2(1 + 7 + 1 / 16)), 1.25),
        "high_cost": (1, 1, pytest.approx(log2(1 + 1 / 16)), 1.25),
        "abandoned": (1, 2, pytest.approx(1.0), 2),
        "empty_answer": (1, 3, pytest.approx(1.0), 2),
    }
    for one in found.values():
        assert one.rank == pytest.approx(one.severity * one.frequency * one.novelty)
    assert [one.reasons[0] for one in list_clusters(owner._con)] == [
        "error", "empty_answer", "low_score", "abandoned", "high_cost"
    ]  # fmt: skip
    ranked = [case.reasons[0] for case in list_cases(owner._con, CaseFilter(ranked=True, limit=9))]
    assert ranked == ["error"] * 8 + ["empty_answer"]


def test_new_clusters_are_those_whose_first_case_is_of_the_period(owner: StoreOwner) -> None:
    """Seven kinds, one a day; the first comes again on the last day, and is not new then."""
    kinds = [" ".join([f"w{n}"] * 3 + WORDS[n : n + 12]) for n in range(7)]
    owner.write([asking(n, text, time=MARCH + n * DAY) for n, text in enumerate(kinds)], now=0)
    owner.write([asking(n, kinds[0], time=MARCH + 6 * DAY) for n in range(10, 15)], now=0)
    found, in_all = new_clusters(owner._con, MARCH + 3 * DAY, MARCH + 6 * DAY + 1, 2)
    assert ([one.question for one in found], in_all) == ([kinds[6], kinds[5]], 4)
    assert [one.cases for one in found] == [1, 1]
    every, in_all = new_clusters(owner._con, MARCH, MARCH + 7 * DAY, 100)
    assert (every, in_all) == (list_clusters(owner._con), 7)
    assert new_clusters(owner._con, MARCH + 7 * DAY, MARCH + 8 * DAY, 5) == ([], 0)


def test_only_cases_of_the_newest_release_are_new_until_the_next_one(owner: StoreOwner) -> None:
    one, other = texts(9, 1)[0], " ".join(reversed(WORDS))
    owner.write(
        [asking(0, one, time=MARCH, release="r1"), asking(1, other, time=MARCH + DAY, release="r2")], now=0
    )
    novelty = {c.question: c.novelty for c in list_clusters(owner._con)}
    assert novelty == {one: pytest.approx(1 + 0.5 ** (1 / 14)), other: 2}
    owner.write([asking(2, one, time=MARCH + 14 * DAY, release="r3")], now=0)
    novelty = {c.question: c.novelty for c in list_clusters(owner._con)}
    assert novelty == {one: pytest.approx(1.5), other: pytest.approx(1 + 0.5 ** (13 / 14))}


def test_the_representative_is_the_case_to_look_at(owner: StoreOwner) -> None:
    text = texts(2, 1)[0]
    owner.write(
        [asking(0, text, replayable=False, expected_answer="x"), asking(1, text), asking(2, text)], now=0
    )
    (cluster,) = list_clusters(owner._con)
    assert cluster.representative == asking(1, text).case_id
    corrected = asking(2, text, CaseReason.CORRECTION, event="later", expected_answer="30 days")
    owner.write([corrected], now=0)
    (cluster,) = list_clusters(owner._con)
    assert (cluster.representative, cluster.cases) == (corrected.case_id, 3)
    assert cluster.reasons == ["correction", "low_score"]
