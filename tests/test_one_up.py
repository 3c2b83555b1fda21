"""A second ``gleaner up`` in one folder is refused before it starts anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.commands.fail import Failed
from streams.one_up import AlreadyUp, only_one
from streams.up import embedded_broker


def test_one_at_a_time_and_the_next_after_it(tmp_path: Path) -> None:
    with only_one(tmp_path / "state"):
        with pytest.raises(AlreadyUp, match=rf"runs here already \(process {os.getpid()}\)"):
            only_one(tmp_path / "state").__enter__()
        with only_one(tmp_path / "other"):
            pass
    with only_one(tmp_path / "state"):
        pass


def test_a_second_up_is_one_line_and_leaves_the_first_ones_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "gleaner-data"
    monkeypatch.setenv("GLEANER_STATE_DIR", str(state))
    with only_one(state):
        (state / "env").write_text("export GLEANER_BROKERS=127.0.0.1:1\n")
        problem = CliRunner().invoke(app, ["up", "--embedded"]).exception
    assert isinstance(problem, Failed), problem
    assert problem.status == 2
    assert str(problem).startswith(f"{state}: gleaner up runs here already (process {os.getpid()})")
    assert (state / "env").read_text() == "export GLEANER_BROKERS=127.0.0.1:1\n"
    assert {path.name for path in state.iterdir()} == {"env", "up.lock"}


def test_no_address_outlives_its_broker(tmp_path: Path) -> None:
    with embedded_broker(tmp_path) as environment:
        assert environment["GLEANER_BROKERS"] in (tmp_path / "env").read_text()
    assert list(tmp_path.iterdir()) == []
