"""``gleaner simulate``: what it writes, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
import typer

from streams.commands.fail import Failed
from streams.commands.simulate import simulate
from streams.lines import kind_of, read_lines


def test_writes_a_file(tmp_path: Path) -> None:
    out = tmp_path / "week.jsonl"
    simulate("stale-index", events=400, seed=1, out=out)
    values = [orjson.loads(line.data) for line in read_lines(out)]
    assert len(values) == 400
    assert {kind_of(value) for value in values} == {"trace", "feedback", "change"}
    assert [kind_of(value) for value in values] == [value["event"] for value in values]


@pytest.mark.parametrize(("scenario", "events"), [("holiday", 10), ("demo", 0), ("", 10)])
def test_refuses_with_one_line(scenario: str, events: int) -> None:
    with pytest.raises(Failed) as refusal:
        simulate(scenario, events=events, seed=1, out=None)
    assert refusal.value.status == 2
    assert "\n" not in str(refusal.value)


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    program = (
        "import typer; from streams.commands.simulate import simulate; app = typer.Typer();"
        "app.command()(simulate); app()"
    )
    command = [sys.executable, "-c", program, "healthy", "--events", "3000"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ.copy())
    assert run.stdout is not None
    assert run.stderr is not None
    orjson.loads(run.stdout.readline())
    run.stdout.close()
    assert run.stderr.read() == b""
    run.stderr.close()
    assert run.wait(30) == 0


def test_help_has_an_example() -> None:
    app = typer.Typer()
    app.command()(simulate)
    assert "Example: gleaner simulate" in (simulate.__doc__ or "")
