"""``gleaner gate`` from the command line: verdicts, what is kept, and the example's way without a store."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from typer.testing import CliRunner

from schemas.case import CaseReason
from sinks.evalstore import StoreOwner, open_for_reading
from sinks.evalstore.migrations import migrate, migrations
from sinks.evalstore.releases.bundle import releases_of
from sinks.evalstore.releases.kept import Run, latest, unstable
from streams.cli import app
from streams.commands.fail import Failed
from tests.evalstore.releases.test_freeze import failure, frozen, made, records
from tests.evalstore.samples import MARCH

EXAMPLE = Path(__file__).parents[3] / "examples" / "release-gate"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    cases = [failure(n) for n in range(30)] + [failure(30, CaseReason.UNSAFE)]
    path = made(tmp_path / "store.duckdb", cases)
    frozen(path, "v1")
    frozen(path, "v2", "--keep", "v1")
    return path


def gate(*arguments: str, status: int) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["gate", *arguments, "--json"])
    assert result.exit_code == status, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def written(path: Path, store: Path, failing: set[int], **more: Any) -> str:
    bad = {failure(n).case_id for n in failing}
    rows = [{"case_id": c["case_id"], "passed": c["case_id"] not in bad} | more for c in records(store, "v1")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_pass_hold_and_compare(store: Path, tmp_path: Path) -> None:
    place = ["--store", str(store)]
    good = written(tmp_path / "good.jsonl", store, {0}, cost_usd=0.02)
    first = gate("--release", "v1", "--results", good, "--max-mean-cost-usd", "0.03", *place, status=0)
    assert first["passed"] is True
    assert {"name", "passed", "value", "bound"} <= first["checks"][0].keys()
    assert first["against"] is None
    worse = written(tmp_path / "worse.jsonl", store, {1, 2, 3, 30})
    second = gate("--release", "v2", "--results", worse, *place, "--min-pass-rate", "0.5", status=1)
    assert second["against"] == "v1"
    assert [c["name"] for c in second["checks"] if not c["passed"]] == ["critical_failures"]
    assert second["failing"][0] == failure(30).case_id
    # 5 worse, 1 better: 7/64. 8 worse, 1 better: 10/512, twice, since the low scores are a second test.
    for failing, status, p in (({4, 5, 6, 7, 8}, 0, 7 / 32), (set(range(4, 12)), 1, 10 / 256)):
        third = written(tmp_path / "third.jsonl", store, failing)
        rest = ["--against", "v1", "--min-pass-rate", "0.5", "--no-keep"]
        held = gate("--release", "v2", "--results", third, *place, *rest, status=status)
        check = next(c for c in held["checks"] if c["name"] == "no_regression")
        assert (check["passed"], check["value"]) == (not status, p)


def kept_runs(store: Path) -> list[tuple[Any, ...]]:
    with open_for_reading(store, MARCH) as con:
        return con.execute("SELECT release, passed, build FROM gate_runs ORDER BY gated_at").fetchall()


def test_a_store_that_is_named_is_meant_though_a_folder_has_the_releases_name(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Releases' folders are committed, so that one lies where the gate runs."""
    shutil.copytree(releases_of(store) / "v1", tmp_path / "v1")
    monkeypatch.chdir(tmp_path)
    results = written(tmp_path / "r.jsonl", store, {0})
    before = len(kept_runs(store))
    gate("--release", "v1", "--results", results, "--store", str(store), status=0)
    assert len(kept_runs(store)) == before + 1
    gate("--release", "./v1", "--results", results, "--store", str(store), status=0)
    gate("--release", "v1", "--results", results, status=0)
    assert len(kept_runs(store)) == before + 1, "a folder keeps nothing"


def test_each_run_is_kept_and_the_latest_is_the_one_that_was_last(store: Path, tmp_path: Path) -> None:
    runs = ["--min-pass-rate", "0.95", "--store", str(store)]
    for failing, status in (({0}, 0), (set(range(8)), 1), ({0}, 0)):
        gate(
            "--release",
            "v1",
            "--results",
            written(tmp_path / "r.jsonl", store, failing),
            *runs,
            status=status,
        )
    gate(
        "--release",
        "v1",
        "--results",
        written(tmp_path / "n.jsonl", store, {2}),
        *runs,
        "--no-keep",
        status=0,
    )
    assert kept_runs(store) == [("v1", True, None), ("v1", False, None), ("v1", True, None)]
    with open_for_reading(store, MARCH) as con:
        found = latest(con, "v1")
        assert found is not None
        assert found.passed
        assert [case_id for case_id, one in found.results.items() if not one.passed] == [failure(0).case_id]
        assert len(found.results) == 31
        assert latest(con, "v2") is None
    # The same eight failures are a regression against the run that passed.
    eight = written(tmp_path / "r.jsonl", store, set(range(8)))
    rest = ["--min-pass-rate", "0.5", "--no-keep", "--store", str(store)]
    held = gate("--release", "v2", "--results", eight, *rest, status=1)
    assert [check["name"] for check in held["checks"] if not check["passed"]] == ["no_regression"]


def test_a_release_is_compared_with_the_last_one_that_passed(store: Path, tmp_path: Path) -> None:
    frozen(store, "v3", "--keep", "v1")
    place = ["--store", str(store), "--min-pass-rate", "0.8"]
    gate(
        "--release",
        "v1",
        "--results",
        written(tmp_path / "r", store, set()),
        *place,
        "--build",
        "b1",
        status=0,
    )
    # v1's own next candidate, and v2, were held: neither went out.
    gate("--release", "v1", "--results", written(tmp_path / "r", store, set(range(9))), *place, status=1)
    gate("--release", "v2", "--results", written(tmp_path / "r", store, set(range(10))), *place, status=1)
    third = written(tmp_path / "r", store, set(range(6)))
    found = gate("--release", "v3", "--results", third, *place, "--no-keep", status=1)
    assert (found["against"], found["against_run"]["build"], found["against_run"]["passed"]) == (
        "v1",
        "b1",
        True,
    )
    check = next(check for check in found["checks"] if check["name"] == "no_regression")
    assert not check["passed"]
    assert check["reason"].startswith("all cases: 6 worse, 0 better of 31")
    # Named, a release that was always held is compared with all the same, and said to be.
    files = ["--markdown", str(tmp_path / "m.md"), "--junit", str(tmp_path / "j.xml")]
    command = ["gate", "--release", "v3", "--results", third, *place, "--against", "v2", "--no-keep", *files]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    for said in (
        result.stdout,
        (tmp_path / "m.md").read_text().replace("\\", ""),
        (tmp_path / "j.xml").read_text(),
    ):
        assert "v2 (held 20" in said


def test_a_request_to_keep_that_is_done_twice_is_one_run(store: Path) -> None:
    run = Run("v1", True, [], [(failure(0).case_id, True, False, None, None)], "b1", MARCH)
    with StoreOwner.open(store) as owner:
        assert owner.keep(run, MARCH + 1) == owner.keep(run, MARCH + 2)
        assert owner.keep(run._replace(gated_at=MARCH + 3), MARCH + 3) != owner.keep(run, MARCH + 4)
        owner.publish(MARCH)
    assert kept_runs(store) == [("v1", True, "b1")] * 2


def test_flaky_is_what_differs_within_a_build_and_not_between_builds(store: Path, tmp_path: Path) -> None:
    place = ["--release", "v1", "--store", str(store), "--results"]

    def unsteady() -> set[str]:
        with open_for_reading(store, MARCH) as con:
            return unstable(con, [latest(con, "v1"), latest(con, "v2")])

    gate(*place, written(tmp_path / "r", store, set(range(9))), status=1)
    gate(*place, written(tmp_path / "r", store, {0}), status=0)
    assert unsteady() == set(), "a fix is not flaky because a candidate was held"
    gate(*place, written(tmp_path / "r", store, {0}), "--build", "b1", status=0)
    gate(*place, written(tmp_path / "r", store, {1}), "--build", "b1", status=0)
    assert unsteady() == {failure(0).case_id, failure(1).case_id}
    gate(*place, written(tmp_path / "r", store, {2}), "--build", "b2", status=0)
    assert unsteady() == set(), "the latest run is of another build"
    rows = [{"case_id": failure(n).case_id, "passed": ok} for n in range(31) for ok in (True, n != 3)]
    (tmp_path / "r").write_text("\n".join(map(json.dumps, rows)))
    gate(*place, str(tmp_path / "r"), status=0)
    assert unsteady() == {failure(3).case_id}, "one run had it both ways"


def test_a_snapshot_of_an_earlier_gleaner_has_no_builds() -> None:
    with duckdb.connect() as con:
        migrate(con, [step for step in migrations() if step.version < 13])
        con.execute("INSERT INTO gate_runs VALUES ('r', 'v1', '2026-03-01', true, '[]')")
        con.execute("INSERT INTO gate_results VALUES ('r', 'c', false, true, NULL, NULL)")
        found = latest(con, "v1")
        assert found is not None
        assert (found.build, found.passed, set(found.results)) == (None, True, {"c"})
        assert unstable(con, [found, None]) == {"c"}


def test_files_for_a_build_server(store: Path, tmp_path: Path) -> None:
    bad = written(tmp_path / "bad.jsonl", store, set(range(10)))
    files = ["--junit", str(tmp_path / "gate.xml"), "--markdown", str(tmp_path / "gate.md")]
    gate("--release", "v1", "--results", bad, "--store", str(store), *files, status=1)
    assert (tmp_path / "gate.xml").read_text().count("<failure") == 10 + 2, "ten cases; pass_rate and slices"
    assert "**held**" in (tmp_path / "gate.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--release", "v9"], "no such release: v9"),
        (["--release", "v1", "--slice-floor", "x"], "is NAME=VALUE:RATE"),
        (["--release", "v1", "--against", "v2"], "no results of it are kept"),
    ],
)
def test_wrong_use(store: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    good = written(tmp_path / "good.jsonl", store, set())
    result = CliRunner().invoke(app, ["gate", *arguments, "--results", good, "--store", str(store)])
    assert isinstance(result.exception, Failed)
    assert says in str(result.exception)


def test_the_example_gates_a_folder_without_a_store(store: Path, tmp_path: Path) -> None:
    folder = releases_of(store) / "v1"
    answer = tmp_path / "answer.py"
    answer.write_text(
        "import json, sys; json.load(sys.stdin); print(json.dumps({'answer': 'Ask us.', 'cost_usd': 0.01}))"
    )
    run = [
        sys.executable,
        str(EXAMPLE / "run_cases.py"),
        str(folder / "cases.jsonl"),
        str(tmp_path / "r.jsonl"),
    ]
    subprocess.run([*run, "--", sys.executable, str(answer)], check=True)
    steps = yaml.safe_load((EXAMPLE / "gate.yml").read_text())["jobs"]["gate"]["steps"]
    line = steps[-1]["run"].split()
    assert line[:2] == ["gleaner", "gate"]
    given = dict(zip(line[2::2], line[3::2], strict=True))
    given |= {
        "--release": str(folder),
        "--results": str(tmp_path / "r.jsonl"),
        "--against": str(tmp_path / "r.jsonl"),
    }
    given |= {"--junit": str(tmp_path / "g.xml"), "--markdown": str(tmp_path / "g.md")}
    given["--slice-floor"] = "reason=unsafe:0.8"
    arguments = [part for pair in given.items() for part in pair]
    assert gate(*arguments, status=0)["passed"] is True
