"""Status 1 says "hold": what cannot be read, and what goes wrong, is one line and status 2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinks.evalstore.backup import make_backup, restore
from sinks.evalstore.errors import StoreError
from sinks.evalstore.releases.bundle import FIELDS, releases_of
from streams import cli
from streams.commands import gate as command
from tests.evalstore.releases.test_freeze import failure, frozen, made, records
from tests.evalstore.samples import MARCH


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = made(tmp_path_factory.mktemp("store") / "store.duckdb", [failure(n) for n in range(3)])
    frozen(path, "v1")
    return path


class Said:
    """The command line in this process: its exit status and what it said on standard error."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: Path
    ) -> None:
        self._patch, self._capsys, self.where = monkeypatch, capsys, where
        monkeypatch.chdir(where)

    def __call__(self, *arguments: str | Path, **settings: str) -> tuple[int, str]:
        for name, value in settings.items():
            self._patch.setenv(f"GLEANER_{name.upper()}", value)
        self._patch.setattr(sys, "argv", ["gleaner", *map(str, arguments)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), self._capsys.readouterr().err


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Said:
    return Said(monkeypatch, capsys, tmp_path)


@pytest.fixture
def results(store: Path, tmp_path: Path) -> Path:
    path = tmp_path / "results.jsonl"
    rows = [{"case_id": case["case_id"], "passed": True} for case in records(store, "v1")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def bundle(store: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "v1"
    shutil.copytree(releases_of(store) / "v1", folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    return folder


def edited(bundle: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = bundle / "cases.jsonl"
    lines = file.read_text().split("\n")
    lines[1] = json.dumps(change(json.loads(lines[1])))
    file.write_text("\n".join(lines))


def one_line(error: str) -> bool:
    return error.startswith("gleaner: ") and error.count("\n") == 1


@pytest.mark.parametrize("field", FIELDS)
def test_a_line_of_a_bundle_without_a_field(field: str, bundle: Path, results: Path, said: Said) -> None:
    edited(bundle, lambda case: {name: value for name, value in case.items() if name != field})
    status, error = said("gate", "--release", bundle, "--results", results)
    assert (status, one_line(error)) == (2, True), error
    assert f"{bundle}/cases.jsonl:2: has no {field}. Copy the release's folder again" in error
    edited(bundle, lambda case: case | {field: {"a": 1}})
    status, error = said("gate", "--release", bundle, "--results", results)
    assert (status, one_line(error)) == (2, True), error
    assert f"cases.jsonl:2: {field} is " in error


@pytest.mark.parametrize("line", ["null", "7", "[]", "{", "[" * 100_000, '{"case_id": "a"}'])
def test_a_line_of_a_bundle_that_is_no_case(line: str, bundle: Path, results: Path, said: Said) -> None:
    (bundle / "cases.jsonl").write_text(line + "\n")
    status, error = said("gate", "--release", bundle, "--results", results)
    assert (status, one_line(error)) == (2, True), error
    assert "cases.jsonl:1: " in error


@pytest.mark.parametrize("manifest", ["null", "{}", "[" * 100_000, '{"release": 5, "frozen_at": 1}'])
def test_a_manifest_that_is_none(manifest: str, bundle: Path, results: Path, said: Said) -> None:
    (bundle / "manifest.json").write_text(manifest)
    status, error = said("gate", "--release", bundle, "--results", results)
    assert (status, one_line(error)) == (2, True), error
    assert str(bundle) in error


def test_a_set_that_was_edited_and_can_be_read_is_held(bundle: Path, results: Path, said: Said) -> None:
    edited(bundle, lambda case: case | {"critical": not case["critical"]})
    assert said("gate", "--release", bundle, "--results", results) == (1, "")


def test_files_and_names_that_are_wrong(store: Path, results: Path, said: Said, tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 100_000)
    gate = ("gate", "--store", store, "--results", results)
    for arguments, says in (
        ((*gate, "--release", "v11"), "no such release: v11 (there is: v1)"),
        ((*gate, "--release", "v1", "--against", "v11"), "no such release: v11"),
        ((*gate, "--release", "v1", "--against", deep), "nested too deeply"),
        ((*gate[:-1], deep, "--release", "v1"), "nested too deeply"),
        ((*gate[:-1], tmp_path, "--release", "v1"), "Is a directory"),
        ((*gate, "--release", "v1", "--junit", tmp_path / "no" / "x"), "No such file"),
        ((*gate, "--release", "v1", "--min-score", "nan"), "--min-score nan: is no number"),
        (("gate", "--store", "", "--results", results, "--release", "v1"), "no eval store at ."),
        (("gate", "--store", "/", "--results", results, "--release", "v1"), "no eval store at /"),
    ):
        status, error = said(*arguments)
        assert (status, one_line(error)) == (2, True), (arguments, error)
        assert says in error
    for option in ("--alpha", "--min-pass-rate", "--max-mean-cost-usd"):
        status, error = said(*gate, "--release", "v1", option, "nan")
        assert (status, "Traceback" in error) == (2, False)
        assert option in error


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"store_path": ""}, "setting GLEANER_STORE_PATH: is empty: name a path"),
        ({"state_dir": ""}, "setting GLEANER_STATE_DIR: is empty"),
        ({"privacy": "ids_only"}, "setting GLEANER_PRIVACY: is JSON, as in docs"),
    ],
)
def test_settings_that_are_wrong(settings: dict[str, str], says: str, results: Path, said: Said) -> None:
    status, error = said("gate", "--release", "v1", "--results", results, **settings)
    assert (status, one_line(error)) == (2, True), error
    assert says in error


@pytest.mark.parametrize("content", [b"rules = = 1\n", b"\xff\xfe", b"a = " + b"[" * 100_000])
@pytest.mark.parametrize("arguments", [("gate", "--release", "v1", "--results", "r"), ("cases", "list")])
def test_a_settings_file_that_is_none(content: bytes, arguments: tuple[str, ...], said: Said) -> None:
    (said.where / "gleaner.toml").write_bytes(content)
    status, error = said(*arguments)
    assert (status, one_line(error)) == (2, True), error
    assert "gleaner.toml: not TOML: " in error


def test_a_fault_of_our_own_is_no_verdict(
    store: Path, results: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any) -> Any:
        raise KeyError("critical")

    monkeypatch.setattr(command, "_read", broken)
    status, error = said("gate", "--store", store, "--release", "v1", "--results", results)
    assert status == 2
    assert "Traceback" in error
    assert error.endswith("gleaner: a fault of Gleaner's own, please report it: KeyError\n")


@pytest.mark.parametrize(("floor", "status"), [("0.5", 0), ("1", 1)])
def test_the_status_is_the_verdict_whoever_stops_reading(
    store: Path, tmp_path: Path, floor: str, status: int
) -> None:
    rows = [{"case_id": failure(n).case_id, "passed": n != 0} for n in range(3)]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    run = [sys.executable, "-P", "-m", "streams.cli", "gate", "--release", "v1", "--min-pass-rate", floor]
    run += ["--results", str(tmp_path / "r.jsonl"), "--store", str(store), "--no-keep"]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait() == status


def test_a_terminal_without_check_marks_gets_the_verdict(store: Path, results: Path) -> None:
    run = [sys.executable, "-P", "-m", "streams.cli", "gate", "--release", "v1", "--no-keep"]
    run += ["--results", str(results), "--store", str(store)]
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(run, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u2713 frozen_set" in done.stdout


@pytest.mark.parametrize(
    "manifest", ["null", "[]", "{}", "[" * 100_000, '{"tables": []}', "migrations", "sha256"]
)
def test_a_backup_whose_manifest_lacks_something(manifest: str, store: Path, tmp_path: Path) -> None:
    backup = make_backup(store, tmp_path / "backups", MARCH)
    file = backup.path / "manifest.json"
    if manifest in ("migrations", "sha256"):
        about = json.loads(file.read_text())
        del (about if manifest in about else about["tables"]["cases"])[manifest]
        file.write_text(json.dumps(about))
    else:
        file.write_text(manifest)
    with pytest.raises(StoreError, match="is no backup that can be read") as error:
        restore(backup.path, tmp_path / "again.duckdb")
    if manifest in ("migrations", "sha256"):
        assert f"{file} has no '{manifest}'" in str(error.value)
    assert not (tmp_path / "again.duckdb").exists()
