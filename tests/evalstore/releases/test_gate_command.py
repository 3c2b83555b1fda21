"""``gleaner gate`` from the command line: verdicts, what is kept, and the example's way without a store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from schemas.case import CaseReason
from sinks.evalstore import open_for_reading
from sinks.evalstore.releases.bundle import releases_of
from sinks.evalstore.releases.kept import latest, unstable
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


def test_results_are_kept_once_and_differing_runs_make_a_case_flaky(store: Path, tmp_path: Path) -> None:
    place = ["--store", str(store)]
    for failing in ({0}, {0}, {1}):
        gate("--release", "v1", "--results", written(tmp_path / "r.jsonl", store, failing), *place, status=0)
    gate(
        "--release",
        "v1",
        "--results",
        written(tmp_path / "n.jsonl", store, {2}),
        *place,
        "--no-keep",
        status=0,
    )
    with open_for_reading(store, MARCH) as con:
        assert con.execute("SELECT count(*), count(DISTINCT release) FROM gate_runs").fetchall() == [(2, 1)]
        assert unstable(con, ["v1"]) == {failure(0).case_id, failure(1).case_id}
        found = latest(con, "v1")
        assert found is not None
        assert len(found) == 31
        assert latest(con, "v2") is None


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
