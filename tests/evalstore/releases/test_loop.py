"""``gleaner loop`` on a planted history: every count comes out exactly, with the intervals of the counts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.case import CaseReason
from schemas.signal import SignalName
from sinks.evalstore import StoreOwner
from sinks.evalstore.annotations import Annotate, Kind, change
from sinks.evalstore.regroup import Merge
from sinks.evalstore.releases.exact import poisson_mean, rate_ratio
from sinks.evalstore.releases.loop import SIGNAL_OF, Fate, Live, failures, fate
from sinks.evalstore.releases.results import Outcome
from streams.cli import app
from streams.commands.fail import Failed
from tests.evalstore.releases.test_freeze import failure, frozen, records, run
from tests.evalstore.samples import MARCH, WIDTH_MS, as_written, make_signal, make_window

HOUR = 3_600_000


def at(hour: float) -> int:
    return MARCH + int(hour * HOUR)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Ten low scores (0 to 9) and two errors (10, 11) before v1 was frozen, four low scores (20 to 23) after.

    In production 0 comes back twice, 1 once before v2 and once after; 2 is seen only after the last window.
    1,000 requests an hour in app shop.
    """
    path = tmp_path / "store.duckdb"
    windows = [
        make_window(0, 1.0, start=at(h), end=at(h) + WIDTH_MS, n=990, unmeasured=10, histogram=())
        for h in range(20)
    ]
    with StoreOwner.open(path) as owner:
        old = [failure(n, time=at(1)) for n in range(10)]
        old += [failure(n, CaseReason.ERROR, time=at(1)) for n in (10, 11)]
        owner.write(
            old, [make_signal(1).model_copy(update={"owner": "team-rag"})], windows=windows, now=MARCH
        )
        owner.publish(MARCH)
    frozen(path, "v1")
    with StoreOwner.open(path) as owner:
        now = time.time_ns() // 1_000_000 + 1  # after the freeze, which is on the same clock
        owner.write([failure(n, time=at(5)) for n in range(20, 24)], now=now)
        again = [(100, 0, 12), (101, 0, 13), (102, 1, 6), (103, 1, 14), (104, 2, 19.5)]
        owner.write([failure(n, like=like, time=at(hour)) for n, like, hour in again], now=MARCH)
        owner.publish(MARCH)
    frozen(path, "v2", "--keep", "v1")
    return path


def gated(
    store: Path, release: str, failing: set[int], tmp_path: Path, numbers: list[int], build: str = ""
) -> None:
    file = tmp_path / "results.jsonl"
    rows = [{"case_id": failure(n).case_id, "passed": n not in failing} for n in numbers]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    more = ["--build", build] if build else []
    command = ["gate", "--release", release, "--results", str(file), "--store", str(store), *more]
    assert CliRunner().invoke(app, command).exit_code in (0, 1)


def looped(store: Path, *more: str) -> dict[str, Any]:
    arguments = [
        "--store",
        str(store),
        "--since",
        "2026-03-01T00:00:00Z",
        "--live",
        "2026-03-01T10:00:00Z",
        "--json",
    ]
    found: dict[str, Any] = json.loads(run("loop", "v1", "v2", *arguments, *more))
    return found


def test_planted_fates_come_out_exactly(store: Path, tmp_path: Path) -> None:
    first, second = [*range(12)], [*range(12), 20, 21, 22]
    gated(store, "v1", {0, 1, 2, 3, 10}, tmp_path, first)
    # 0, 2, 3, 20 fixed; 1, 10, 21 still failing; 4, 5 regressed; 22 flaky; 23 untested.
    gated(store, "v2", set(second), tmp_path, second)  # a candidate that fails everything, and is held
    gated(store, "v2", {1, 4, 5, 10, 21, 22}, tmp_path, second, "b2")
    gated(store, "v2", {1, 4, 5, 10, 21}, tmp_path, second, "b2")
    found = looped(store)
    assert {name.value: found[name.value] for name in Fate} == {
        "fixed": 4,
        "still_failing": 3,
        "regressed": 2,
        "flaky": 1,
        "held": 5,
        "unknown": 0,
        "untested": 1,
    }
    assert (found["failures"], found["harvested_since"], found["recurring"]) == (16, 4, 2)
    by_case = {case["case_id"]: case for case in found["cases"]}
    assert by_case[failure(4).case_id]["fate"] == "regressed"
    assert by_case[failure(22).case_id]["fate"] == "flaky"
    assert by_case[failure(23).case_id]["fate"] == "untested"
    reasons = {group["name"]: group["fates"] for group in found["groups"]["reason"]}
    assert reasons["error"] == dict.fromkeys(Fate, 0) | {"still_failing": 1, "held": 1}
    owners = {group["name"]: sum(group["fates"].values()) for group in found["groups"]["owner"]}
    assert owners == {"team-rag": 14, "–": 2}, "nobody owns the errors"


def test_recurrence_is_counted_against_the_traffic(store: Path) -> None:
    found = looped(store)
    (whole,) = found["groups"]["all"]
    # Before: 16 and the one of hour 6; after: hours 12, 13, 14. Hour 19.5 is behind the last window.
    assert (whole["before"], whole["after"]) == (17, 3)
    assert whole["traces"] == {"before": 10_000, "after": 10_000}
    assert (whole["rate_before"], whole["rate_after"]) == (1.7, 0.3)
    assert whole["rate_after_interval"] == pytest.approx([bound / 10 for bound in poisson_mean(3)])
    assert whole["ratio"] == pytest.approx(list(rate_ratio(17, 10_000, 3, 10_000)))
    assert whole["trend"] == "down"
    back = {case["case_id"]: case["live"]["after"] for case in found["cases"] if case["recurring"]}
    assert back == {failure(0).case_id: 2, failure(1).case_id: 1}
    errors = next(group for group in found["groups"]["reason"] if group["name"] == "error")
    assert (errors["before"], errors["after"], errors["trend"]) == (2, 0, "unclear")


def test_failures_that_were_merged_since_are_counted_once(store: Path) -> None:
    """The sets hold the clusters as they were when they were frozen; production counts the merged one."""
    cluster = {case["case_id"]: case["cluster_id"] for case in looped(store)["cases"]}
    one, other = cluster[failure(0).case_id], cluster[failure(1).case_id]
    with StoreOwner.open(store) as owner:
        owner.merge(Merge(other, one, "ann"), MARCH)
        owner.publish(MARCH)
    found = looped(store)
    (whole,) = found["groups"]["all"]
    assert (whole["before"], whole["after"], found["recurring"]) == (17, 3, 1)
    assert {case["live"]["cluster"] for case in found["cases"] if case["recurring"]} == {one}


def test_people_get_a_table_and_are_told_what_is_missing(store: Path) -> None:
    arguments = [
        "loop",
        "v1",
        "v2",
        "--store",
        str(store),
        "--since",
        "2026-03-01",
        "--live",
        "2026-03-01T10:00:00Z",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert "v1 → v2: 16 failures, 4 of them harvested since" in result.stdout
    assert "1.70 (0.99–2.72)" in result.stdout
    assert "no results of v2 are kept" in result.stderr
    wrong = CliRunner().invoke(app, [*arguments[:-1], "2026-02-01"])
    assert isinstance(wrong.exception, Failed)
    assert "say when with --since and --live" in str(wrong.exception)


@pytest.mark.parametrize("columns", [80, 100])
def test_the_ratio_and_what_it_comes_to_are_whole_on_a_narrow_screen(
    store: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    whole = next(group for group in looped(store)["groups"]["all"])
    low, high = whole["ratio"]
    times = ["--since", "2026-03-01T00:00:00Z", "--live", "2026-03-01T10:00:00Z"]
    printed = run("loop", "v1", "v2", "--store", str(store), *times)
    rows = [row.rstrip() for row in printed.splitlines()[1:] if ", last 2026" not in row]
    assert max(map(len, rows)) <= columns
    assert "…" not in "".join(rows)
    assert rows[0].endswith("recurring") or rows[1].endswith("recurring")
    ends = [row.split()[-2:] for row in rows if row.startswith("all ")]
    assert ends[1] == [f"{low:.2f}–{high:.2f}", "down"]


def test_without_windows_there_is_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write([failure(1)], now=MARCH)
        owner.publish(MARCH)
    frozen(path, "v1")
    frozen(path, "v2")
    (whole,) = looped(path)["groups"]["all"]
    assert (whole["rate_before"], whole["ratio"], whole["trend"]) == (None, None, "unknown")


@pytest.mark.parametrize(
    ("before", "after", "flaky", "expected"),
    [
        (None, True, False, Fate.UNKNOWN),
        (None, False, False, Fate.STILL_FAILING),
        (False, True, False, Fate.FIXED),
        (False, False, False, Fate.STILL_FAILING),
        (True, False, False, Fate.REGRESSED),
        (True, True, False, Fate.HELD),
        (True, False, True, Fate.FLAKY),
        (True, None, True, Fate.UNTESTED),
    ],
)
def test_fates(before: bool | None, after: bool | None, flaky: bool, expected: Fate) -> None:
    assert fate(before, after, flaky) is expected


def test_what_the_earlier_set_left_out_is_neither_new_nor_fixed(tmp_path: Path) -> None:
    """v1 takes 20 of 40 failures; 3 come after it. All pass under v2."""
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write([failure(n, time=at(1)) for n in range(40)], now=MARCH)
        owner.publish(MARCH)
    frozen(path, "v1", "--tier", "smoke", "--size", "20")
    now = time.time_ns() // 1_000_000 + 1
    with StoreOwner.open(path) as owner:
        # Of the three new cases two are new failures: one is another instance of what was there.
        late = [failure(50), failure(51), failure(52, like=39, content_hash="52" * 32, time=at(6))]
        owner.write(late, now=now)
        owner.publish(now)
    frozen(path, "v2")
    numbers = [*range(40), 50, 51]
    sets = [{case["case_id"] for case in records(path, name)} for name in ("v1", "v2")]
    inside = [n for n in numbers if failure(n).case_id in sets[0]]
    assert (len(inside), len(sets[1])) == (20, 42)
    gated(path, "v1", set(inside[:5]), tmp_path, inside[:-1])
    gated(path, "v2", {inside[6]}, tmp_path, numbers)
    found = looped(path)
    # One of the twenty has no result under v1, either.
    expected = {"fixed": 5 + 2, "held": 13, "regressed": 1, "unknown": 20 + 1, "still_failing": 0}
    assert {name: found[name] for name in expected} == expected
    assert (found["harvested_since"], found["before_unknown"]) == (2, 21)
    assert {case["case_id"] for case in found["cases"] if case["new"]} == {
        failure(n).case_id for n in (50, 51)
    }
    times = ["--since", "2026-03-01", "--live", "2026-03-01T10:00:00Z"]
    printed = run("loop", "v1", "v2", "--store", str(path), *times)
    assert "21 are from before v1 was frozen, and have no result under it:" in printed
    assert "results of v1 (held 20" in printed


def test_another_case_of_the_cluster_speaks_for_it(tmp_path: Path) -> None:
    """A correction that comes makes another case the one that stands for its failure."""
    outcome = {name: Outcome(name, name == "b", False, None, None) for name in ("a", "b")}
    case: dict[str, Any] = {"app": "shop", "reasons": ["error"], "question": "q"}
    old = [case | {"case_id": name, "cluster_id": f"c-{name}"} for name in ("a", "b")]
    new = [case | {"case_id": name + "2", "cluster_id": f"c-{name}"} for name in ("a", "b")]
    after = {one["case_id"]: Outcome(str(one["case_id"]), True, False, None, None) for one in new}
    found = failures(old, new, (outcome, after), {"a2", "b2"}, (), {}, {})
    assert [(one.case_id, one.fate.value, one.new) for one in found[:2]] == [
        ("a2", "fixed", False),
        ("b2", "held", False),
    ]


def test_every_reason_has_a_signal_that_exists() -> None:
    assert set(SIGNAL_OF) == set(CaseReason)
    assert set(SIGNAL_OF.values()) <= set(SignalName)


@pytest.mark.parametrize("how", ["another case", "merged before", "merged since"])
def test_a_failure_that_another_case_stands_for_is_counted_once(tmp_path: Path, how: str) -> None:
    """The later set has another case of it, for which a reviewer wrote the answer; or two were merged."""
    path, like = tmp_path / "store.duckdb", {"like": 0} if how == "another case" else {}
    with StoreOwner.open(path) as owner:
        owner.write([failure(0), failure(1, **like), failure(5)], now=MARCH)
        owner.publish(MARCH)
    condition = "trace_id <> 'trace-1'"  # the first of two clusters alone
    frozen(path, "v1", *(() if how == "another case" else ("--where", condition)))
    assert {case["case_id"] for case in records(path, "v1")} == {failure(0).case_id, failure(5).case_id}
    with StoreOwner.open(path) as owner:
        of = dict(owner._con.execute("SELECT case_id, cluster_id FROM cluster_of").fetchall())
        merge = Merge(of[failure(1).case_id], of[failure(0).case_id], "ann")
        if how == "merged before":
            owner.merge(merge, MARCH)
        answered = Annotate(failure(1).case_id, "ann", (change(Kind.EXPECTED, "Within 30 days."),))
        owner.annotate(answered, as_written, MARCH)
    frozen(path, "v2", *(() if how != "merged since" else ("--where", "trace_id <> 'trace-0'")))
    assert {case["case_id"] for case in records(path, "v2")} == {failure(1).case_id, failure(5).case_id}
    if how == "merged since":
        with StoreOwner.open(path) as owner:
            owner.merge(merge, MARCH)
    gated(path, "v1", {0, 5}, tmp_path, [0, 5])
    gated(path, "v2", {5}, tmp_path, [1, 5])
    found = looped(path)
    assert (found["failures"], found["fixed"], found["still_failing"], found["untested"]) == (2, 1, 1, 0)
    (one,) = [case for case in found["cases"] if case["fate"] == "fixed"]
    assert (one["case_id"], one["before"], one["new"]) == (failure(1).case_id, False, False)


def test_several_results_of_a_failure_before_are_one_that_failed_if_any_did() -> None:
    cases: list[dict[str, Any]] = [
        {"case_id": each, "cluster_id": f"c-{each}", "app": "shop", "reasons": [], "question": None}
        for each in "xyz"
    ]
    live = {each: Live(cluster="c-x") for each in "xyz"}
    before = {each: Outcome(each, each != "y", False, None, None) for each in "xy"}
    after = {"z": Outcome("z", True, False, None, None)}
    (one,) = failures(cases[:2], cases[2:], (before, after), (), (), live, {})
    assert (one.case_id, one.before, one.fate) == ("z", False, Fate.FIXED)
    (alone,) = failures(cases[:2], [], (before, {}), (), (), live, {})
    assert (alone.case_id, alone.fate) == ("x", Fate.UNTESTED), "the first of two that were merged since"
