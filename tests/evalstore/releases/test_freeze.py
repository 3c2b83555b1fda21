"""``gleaner release freeze|list|diff``: which cases, the same ones each time, and frozen for good."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from schemas.case import CaseReason, EvalCase
from sinks.evalstore import Forget, Kind, StoreOwner, open_for_reading
from sinks.evalstore.errors import StoreError
from sinks.evalstore.releases.bundle import read_bundle, releases_of
from sinks.evalstore.releases.selection import SEVERITY, Candidate, select
from streams.cli import app
from streams.commands.fail import Failed
from tests.evalstore.samples import MARCH, as_written, make_case

WORDS = [
    "refund",
    "parcel",
    "invoice",
    "voucher",
    "warranty",
    "delivery",
    "password",
    "address",
    "contract",
    "battery",
]


def failure(number: int, *reasons: CaseReason, **changes: Any) -> EvalCase:
    """A case that is nobody's near-duplicate; ``like`` makes it one of another number's."""
    like = changes.pop("like", number)
    text = " ".join(f"{WORDS[(like * 7 + i * 3) % 10]}{like}" for i in range(20))
    trace = {
        "question": text,
        "answer": f"Answer {like}.",
        "contexts": ["30 days."],
        "model": "m-1",
        "user_id": f"u-{number}",
    }
    digest = hashlib.sha256(f"{text}{number}".encode()).hexdigest()
    return make_case(number, *reasons, **({"trace": trace, "content_hash": digest} | changes))


def company() -> list[EvalCase]:
    """40 low scores, three of them thrice; 5 escalations; one unsafe; one that cannot be replayed."""
    cases = [failure(n) for n in range(40)]
    cases += [failure(100 + n, like=n % 3) for n in range(6)]
    cases += [failure(200 + n, CaseReason.ESCALATION) for n in range(5)]
    cases += [failure(300, CaseReason.UNSAFE), failure(301, CaseReason.ERROR, app="desk")]
    cases += [failure(400, trace=None, trace_at=None, replayable=False, missing=("trace: gone",))]
    return cases


def made(path: Path, cases: list[EvalCase]) -> Path:
    with StoreOwner.open(path) as owner:
        owner.write(cases, now=MARCH)
        owner.publish(MARCH)
    return path


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return made(tmp_path / "store.duckdb", company())


def run(*arguments: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, Failed):
        assert result.exception.status == status, result.exception
        return str(result.exception)
    assert result.exit_code == status, (result.output, result.exception)
    return result.stdout


def frozen(store: Path, name: str, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("release", "freeze", name, "--store", str(store), "--json", *more))
    return found


def records(store: Path, name: str) -> list[dict[str, Any]]:
    return read_bundle(releases_of(store) / name).cases


def test_one_of_each_failure_every_reason_in_turn(store: Path) -> None:
    done = frozen(store, "v1", "--tier", "smoke")
    cases = records(store, "v1")
    assert (done["cases"], done["candidates"], done["dismissed"]) == (20, 47, 0)
    assert [out["missing"] for out in done["not_replayable"]] == [["trace: gone"]]
    assert len({case["cluster_id"] for case in cases}) == 20
    assert all(case["trace"] is not None for case in cases)
    first = [(case["app"], case["reasons"]) for case in cases[:4]]
    assert sorted(first) == [
        ("desk", ["error"]),
        ("shop", ["escalation"]),
        ("shop", ["low_score"]),
        ("shop", ["unsafe"]),
    ]
    # The five escalations are all in, although forty low scores would have filled the set.
    assert sum(case["reasons"] == ["escalation"] for case in cases) == 5
    assert [case["critical"] for case in cases].count(True) == 1
    assert not any("user_id" in case["trace"] for case in cases)


def test_the_same_store_and_options_give_the_same_hash_in_any_order_of_arrival(tmp_path: Path) -> None:
    hashes = set()
    for seed in range(3):
        cases = company()
        random.Random(seed).shuffle(cases)
        path = made(tmp_path / f"{seed}" / "store.duckdb", cases)
        ids = [case["case_id"] for case in records(path, "v1")] if frozen(path, "v1") else []
        hashes.add(tuple(ids))
    assert len(hashes) == 1
    again = made(tmp_path / "again" / "store.duckdb", company())
    first = frozen(again, "v1")["sha256"]
    assert frozen(again, "v2")["sha256"] == first


def test_a_frozen_set_stays_whatever_comes_after(store: Path) -> None:
    before = frozen(store, "v1")
    text = (releases_of(store) / "v1" / "cases.jsonl").read_bytes()
    assert hashlib.sha256(text).hexdigest() == before["sha256"]
    with StoreOwner.open(store) as owner:
        correction = failure(300, CaseReason.CORRECTION, event="later", expected_answer="No.")
        owner.write([correction, *(failure(n) for n in range(500, 520))], now=MARCH + 1)
        owner.publish(MARCH + 1)
    assert "is frozen already" in run("release", "freeze", "v1", "--store", str(store), status=2)
    frozen(store, "v2", "--keep", "v1", "--tier", "full")
    assert (releases_of(store) / "v1" / "cases.jsonl").read_bytes() == text
    listed = [json.loads(x) for x in run("release", "list", "--store", str(store), "--json").splitlines()]
    assert (listed[0]["release"], listed[0]["sha256"]) == ("v1", before["sha256"])
    changed = json.loads(run("release", "diff", "v1", "v2", "--store", str(store), "--json"))
    assert (len(changed["added"]), changed["removed"], changed["replaced"]) == (20, [], [])
    assert changed["edited"] == [failure(300).case_id]
    assert changed["unchanged"] == 46


def test_what_is_kept_is_kept_whatever_narrows_the_rest(store: Path) -> None:
    frozen(store, "v1")
    with StoreOwner.open(store) as owner:
        owner.write([failure(n, app="desk", time=MARCH + 10**9) for n in range(500, 503)], now=MARCH)
        owner.publish(MARCH)
    kept = [case["case_id"] for case in records(store, "v1")]
    frozen(store, "v2", "--keep", "v1", "--app", "desk", "--since", "2026-03-10")
    both = [case["case_id"] for case in records(store, "v2")]
    assert set(both[: len(kept)]) == set(kept)
    assert set(both[len(kept) :]) == {failure(n, app="desk").case_id for n in range(500, 503)}


def test_asked_twice_it_is_there_once(store: Path) -> None:
    first = frozen(store, "v1")
    assert frozen(store, "v1")["frozen_at"] == first["frozen_at"]
    assert len(run("release", "list", "--store", str(store)).splitlines()) == 1


def test_filters_narrow_and_cannot_write(store: Path) -> None:
    assert frozen(store, "a", "--where", "'unsafe' IN reasons OR app = 'desk'")["cases"] == 2
    assert frozen(store, "b", "--reason", "escalation", "--app", "shop")["cases"] == 5
    for where in ("1) UNION DELETE FROM cases --", "no_such_column = 1", "1); DROP TABLE cases; --"):
        run("release", "freeze", "c", "--store", str(store), "--where", where, status=2)
    assert "no failure to freeze" in run(
        "release", "freeze", "c", "--store", str(store), "--app", "nobody", status=1
    )
    assert "15 to 20" in run(
        "release", "freeze", "c", "--store", str(store), "--tier", "smoke", "--size", "3", status=2
    )
    run("release", "freeze", "../c", "--store", str(store), status=2)


def test_a_dismissed_failure_is_out_until_somebody_accepts_it(store: Path) -> None:
    path, twin = str(store), failure(103).case_id
    said = json.loads(run("cases", "review", twin, "--dismiss", "--actor", "ann", "--store", path, "--json"))
    assert said["cases"] == 3
    done = frozen(store, "v1", "--tier", "full")
    assert (done["cases"], done["dismissed"]) == (46, 1)
    run("cases", "review", failure(0).case_id, "--accept", "--store", path)
    assert frozen(store, "v2", "--tier", "full")["cases"] == 47
    run("cases", "review", twin, "--store", path, status=2)


def test_a_bundle_that_was_touched_or_lost_is_noticed(store: Path) -> None:
    frozen(store, "v1", "--tier", "smoke")
    folder = releases_of(store) / "v1"
    parquet = (
        duckdb.connect()
        .execute(f"SELECT case_id, len(contexts), critical FROM '{folder / 'cases.parquet'}'")
        .fetchall()
    )
    assert [row[0] for row in parquet] == [case["case_id"] for case in records(store, "v1")]
    assert {row[1] for row in parquet} == {1}
    lines = folder / "cases.jsonl"
    lines.chmod(0o644)
    lines.write_text(lines.read_text().replace("30 days", "31 days", 1))
    assert not read_bundle(folder).intact
    (folder / "manifest.json").unlink()
    with pytest.raises(StoreError, match="no release that can be read"):
        read_bundle(folder)
    StoreOwner.open(store).close()
    assert read_bundle(folder).intact


def test_who_is_forgotten_is_out_of_every_release(store: Path) -> None:
    frozen(store, "v1", "--tier", "full")
    with StoreOwner.open(store) as owner:
        owner.forget(Forget(Kind.USER, "u-300"), MARCH + 10**9)
    release = read_bundle(releases_of(store) / "v1")
    assert (len(release.cases), release.frozen.forgotten, release.intact) == (46, 1, True)
    left = [file for file in store.parent.rglob("*") if file.is_file() and b"refund300" in file.read_bytes()]
    assert left == []
    with open_for_reading(store, MARCH) as con:
        assert con.execute("SELECT cases, forgotten FROM releases").fetchall() == [(46, 1)]


def test_severity_is_that_of_the_view(tmp_path: Path) -> None:
    path = made(tmp_path / "s.duckdb", [failure(n, reason) for n, reason in enumerate(CaseReason)])
    with open_for_reading(path, MARCH) as con:
        found = {
            reasons[0]: severity
            for reasons, severity in con.execute("SELECT reasons, severity FROM cluster_list").fetchall()
        }
    assert found == SEVERITY
    assert set(SEVERITY) == set(CaseReason)


def test_selection_does_not_depend_on_the_order_of_candidates() -> None:
    some = [
        Candidate(f"{n}", f"c-{n}", f"app-{n % 3}", ("error", "unsafe")[n % 2 : n % 2 + 1], float(n % 5))
        for n in range(60)
    ]
    expected = select(some, 25, {"c-7"})
    assert expected[0].case_id == "7"
    for seed in range(5):
        random.Random(seed).shuffle(some)
        assert select(some, 25, {"c-7"}) == expected


def test_an_owner_that_runs_freezes_for_the_command(store: Path) -> None:
    """The request by way of files, as ``gleaner store`` answers it."""
    from sinks.evalstore.asked import perform

    with StoreOwner.open(store) as owner:
        refused = run("release", "freeze", "v1", "--store", str(store), "--timeout", "1", status=1)
        assert "did not answer within 1 s" in refused
        from sinks.evalstore.requests import pending, read

        (waiting,) = pending(store)
        word, done = perform(owner, read(waiting).request, as_written, MARCH)
        assert (word, done["cases"]) == ("froze a release", 47)
        with pytest.raises(ValueError, match="no name"):
            perform(
                owner, {"freeze": {"release": "../x", "case_ids": ["a"], "options": {}}}, as_written, MARCH
            )
