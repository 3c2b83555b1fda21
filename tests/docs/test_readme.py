"""What the README tells a newcomer to type works, with the events that it shows."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.make_reference import commands
from streams.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
GLEANER = [sys.executable, "-P", "-m", "streams.cli"]


def shell_lines() -> list[str]:
    return [
        line.split("  #")[0].strip()
        for kind, text in BLOCKS
        if not kind
        for line in text.splitlines()
        if re.match(r"(\.venv/bin/)?gleaner ", line)
    ]


def events() -> list[dict[str, object]]:
    return [json.loads(text) for kind, text in BLOCKS if kind == "json"]


def run(line: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    arguments = shlex.split(line)[1:]
    return subprocess.run(
        [*GLEANER, *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_command_of_the_readme_exists() -> None:
    names = {name for name, _ in commands(app)}
    for line in shell_lines():
        words = shlex.split(line)
        known = {" ".join(["gleaner", *words[1 : 1 + n]]) for n in (1, 2)}
        assert known & names, line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the readme's week is its two events, which are quicker to read."""
    trace, feedback, label = events()
    (tmp_path / "labels.jsonl").write_text(json.dumps(label) + "\n")
    (tmp_path / "week.jsonl").write_text(json.dumps(trace) + "\n" + json.dumps(feedback) + "\n")
    return tmp_path


def test_the_sample_data_are_made(tmp_path: Path) -> None:
    (line,) = [line for line in shell_lines() if " simulate " in line]
    done = run(f"{line} --events 30", tmp_path, {})
    assert done.returncode == 0, done.stderr
    named = {word for line in shell_lines() for word in line.split() if word.endswith(".jsonl")}
    assert [path.name for path in tmp_path.iterdir()] == ["week.jsonl"]
    assert named == {"week.jsonl", "results.jsonl"}, "the results are of the reader's own test runner"


def test_replay_cases_and_sql(folder: Path) -> None:
    lines = [line for line in shell_lines() if "replay.duckdb" in line]
    assert len(lines) == 4
    results = [run(line, folder, {}) for line in lines]
    for line, done in zip(lines, results, strict=True):
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert "support-bot" in results[-1].stdout
    assert "no window in these seven days" in results[2].stdout, "the one window of two events is still open"


def test_rules_and_backtest(folder: Path) -> None:
    (folder / "examples").mkdir()
    shutil.copy(Path(__file__).parents[2] / "examples" / "rules.yaml", folder / "examples")
    lines = [line for line in shell_lines() if "examples/rules.yaml" in line]
    assert len(lines) == 2
    results = [run(line, folder, {}) for line in lines]
    for line, done in zip(lines, results, strict=True):
        assert done.returncode == 0, f"{line}: {done.stderr}"
    assert "slow_answers: latency in app support-*" in results[0].stdout
    assert "2 events over" in results[1].stdout
    assert (folder / "charts").is_dir()
    labelled = run(lines[1] + " --labels labels.jsonl", folder, {})
    assert "  stale index: no data" in labelled.stdout, labelled.stderr


@pytest.fixture
def up(folder: Path) -> Iterator[dict[str, str]]:
    """`gleaner up --embedded`, and the environment that it tells the other terminal to take."""
    assert "gleaner up --embedded" in shell_lines()
    env_file = folder / "gleaner-data" / "env"
    child = subprocess.Popen([*GLEANER, "up", "--embedded"], cwd=folder, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while not env_file.exists():
            assert child.poll() is None, "gleaner up ended"
            assert time.monotonic() < deadline, "gleaner up did not write its env file"
            time.sleep(0.1)
        pairs = re.findall(r"export (\w+)=(.*)", env_file.read_text())
        yield {name: shlex.split(value)[0] for name, value in pairs}
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(90) == 0


@pytest.mark.slow
def test_up_produce_and_look(folder: Path, up: dict[str, str]) -> None:
    lines = [line for line in shell_lines() if "replay" not in line and "backtest" not in line]
    status, incidents, cases = (
        next(line for line in lines if re.search(rf"gleaner {word}", line))
        for word in ("status", "incidents list", "cases list")
    )
    (program,) = (text for kind, text in BLOCKS if kind == "python")
    subprocess.run([sys.executable, "-c", program], env=os.environ | up, timeout=60, check=True)
    assert run(status, folder, up).returncode == 0
    assert run(incidents, folder, up).returncode == 0
    deadline = time.monotonic() + 90
    while "support-bot" not in (found := run(cases, folder, up)).stdout:
        assert time.monotonic() < deadline, found.stdout + found.stderr
        time.sleep(1)
