"""What is stored and in no snapshot yet: ``gleaner status --wait`` waits for it, lists say so."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sinks.evalstore import StoreOwner, waiting_since
from sinks.evalstore.snapshots import snapshots_of
from streams.cli import app
from streams.commands.reader import next_snapshot
from streams.lag import READS, Look
from streams.settings import Settings
from tests.evalstore.samples import MARCH, make_case


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a pipeline that has nothing left to do."""

    async def nothing(settings: Settings) -> Look:
        return Look({role: {"cases": 0} for role in READS}, {"cases": (7,)})

    monkeypatch.setattr("streams.lag.look", nothing)
    monkeypatch.setenv("GLEANER_STORE_PATH", str(tmp_path / "store.duckdb"))
    monkeypatch.setenv("GLEANER_SNAPSHOT_SECONDS", "3600")
    return tmp_path / "store.duckdb"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def now() -> int:
    return time.time_ns() // 1_000_000


def test_status_waits_for_the_snapshot(store: Path) -> None:
    with StoreOwner.open(store) as owner:
        owner.publish(now())
        owner.write([make_case(1)], now=MARCH)
        at_once, late = run("status"), run("status", "--wait", "0.1")
        said = "store    nothing left; the newest can't be read yet: the next snapshot comes in about "
        assert (at_once.exit_code, late.exit_code) == (0, 1)
        assert said in at_once.output
        assert said in late.output
        assert "the store holds no case yet" in run("cases", "list").output
        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(run, "status", "--wait", "60")
            time.sleep(0.5)
            assert not waiting.done()
            owner.publish(now())
            done = waiting.result()
        assert done.exit_code == 0
        assert "store    nothing left" in done.output.splitlines()
        assert "1 listed" in run("cases", "list").output


def test_it_waits_for_what_was_stored_and_not_for_what_comes_meanwhile(store: Path) -> None:
    """Reports come all the time: there is always something that no snapshot has."""
    with StoreOwner.open(store) as owner, ThreadPoolExecutor(1) as thread:
        owner.publish(now())
        owner.write([make_case(1)], now=MARCH)
        waiting = thread.submit(run, "status", "--wait", "60")
        number = 2
        while not waiting.done():
            owner.publish(now())
            owner.write([make_case(number)], now=MARCH)
            number += 1
        assert waiting.result().exit_code == 0


def test_lists_say_how_old_they_are(store: Path) -> None:
    with StoreOwner.open(store) as owner:
        owner.write([make_case(1)], now=MARCH)
        owner.publish(now())
        assert "as of" not in run("cases", "list").output
        owner.write([make_case(2)], now=MARCH)
        for command in (["list"], ["list", "--clusters"], ["search", "nowhere"]):
            output = run("cases", *command).output
            assert "as of " in output.splitlines()[-1], command
            assert "more has been stored since, and the next snapshot comes " in output, command
        assert "as of" not in run("cases", "list", "--json").output
        assert "as of" not in run("cases", "list", "--store", str(snapshots_of(store))).output
    assert "as of" not in run("cases", "list").output
    assert "2 listed" in run("cases", "list").output


def test_what_nobody_owns_or_nobody_made_waits_for_nothing(store: Path) -> None:
    assert waiting_since(store) is None
    assert run("status", "--wait", "5").exit_code == 0
    with StoreOwner.open(store) as owner:
        owner.write([make_case(1)], now=MARCH)
        assert waiting_since(store) == 0
    assert waiting_since(store) is None
    assert run("status", "--wait", "5").exit_code == 0
    assert next_snapshot(0, 30) == "the next snapshot comes soon"
