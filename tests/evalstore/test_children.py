"""Processes for queries: what becomes of them when their parent ends, and what readers leave on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sinks.evalstore import StoreOwner, open_for_reading
from sinks.evalstore.children import Child, Children
from sinks.evalstore.errors import BadQuery, NoStore, StoreBusy, StoreError
from sinks.evalstore.snapshots import SPILL, snapshots_of
from tests.evalstore.samples import MARCH, make_case

ROOT = Path(__file__).parents[2]
PARENT = """
import sys, threading
from pathlib import Path
from sinks.evalstore.children import Children
children = Children(Path(sys.argv[1]), 2)
children.run("SELECT 1", seconds=1, limit=1)
query = "SELECT levenshtein(repeat('a', 150000), repeat('b', 150000))"
threading.Thread(target=lambda: children.run(query, seconds=0.1, limit=1), daemon=True).start()
import os, time
time.sleep(0.05)
print(*open(f"/proc/self/task/{os.getpid()}/children").read().split(), flush=True)
os.kill(os.getpid(), 9)
"""


def published(path: Path) -> Path:
    with StoreOwner.open(path) as owner:
        owner.write([make_case(1)], now=MARCH)
        owner.publish(MARCH)
    return snapshots_of(path)


def gone(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True


def test_they_end_with_their_parent_even_in_a_query(tmp_path: Path) -> None:
    """The idle one as its input ends; the other, which looks at nothing, by its share of the processor."""
    directory = published(tmp_path / "store.duckdb")
    done = subprocess.run(
        [sys.executable, "-c", PARENT, str(directory)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    pids = [int(pid) for pid in done.stdout.split()]
    assert len(pids) == 2
    for _ in range(600):
        if all(map(gone, pids)):
            break
        time.sleep(0.1)
    assert [pid for pid in pids if not gone(pid)] == []


def test_one_that_has_died_is_replaced(tmp_path: Path) -> None:
    children = Children(published(tmp_path / "store.duckdb"), 1)
    try:
        assert b"[[1]]" in children.run("SELECT 1", seconds=5, limit=1)
        (child,) = children._all
        child.kill()
        with pytest.raises(BadQuery, match="more memory or time"):
            children.run("SELECT 1", seconds=5, limit=1)
        assert b"[[1]]" in children.run("SELECT count(*) FROM cases", seconds=5, limit=1)
    finally:
        children.close()
    with pytest.raises(StoreBusy):
        children.run("SELECT 1", seconds=5, limit=1)
    children.close()


def test_one_that_could_not_be_started_is_started_for_the_next_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise OSError("no process for you")

    children = Children(published(tmp_path / "store.duckdb"), 1)
    try:
        for child in children._all:
            child.kill()
        with monkeypatch.context() as patched:
            patched.setattr(subprocess, "Popen", no_process)
            with pytest.raises(StoreError):
                children.run("SELECT 1", seconds=5, limit=1)
        assert "no process for you" in caplog.text
        assert b"[[1]]" in children.run("SELECT 1", seconds=5, limit=1)
    finally:
        children.close()


def test_without_a_snapshot_there_is_nothing_to_ask(tmp_path: Path) -> None:
    children = Children(tmp_path, 1)
    try:
        with pytest.raises(NoStore):
            children.run("SELECT 1", seconds=5, limit=1)
    finally:
        children.close()


def test_it_may_write_no_file_and_take_no_more_memory() -> None:
    child = Child()
    try:
        child.ask({"snapshots": "/nowhere", "query": "", "seconds": 1, "limit": 1}, 1)
        limits = Path(f"/proc/{child._process.pid}/limits").read_text()
        by_name = {line[:25].strip(): line[25:].split()[0] for line in limits.splitlines()[1:]}
        assert (by_name["Max file size"], by_name["Max core file size"]) == ("0", "0")
        assert by_name["Max address space"].isdecimal()
        assert by_name["Max cpu time"].isdecimal()
    finally:
        child.end()


def test_what_a_killed_reader_has_spilled_goes_with_the_next_snapshot(tmp_path: Path) -> None:
    directory = published(tmp_path / "store.duckdb")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [directory / f"{SPILL}{ended.pid}", directory / "snap-0000000001-abcdefgh.duckdb.tmp"]
    mine = directory / f"{SPILL}{os.getpid()}"
    for path in (*left, mine):
        path.mkdir()
        (path / "duckdb_temp_storage.tmp").write_bytes(b"somebody's question")
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.publish(MARCH)
    assert [path.exists() for path in (*left, mine)] == [False, False, True]


def test_readers_of_the_command_line_spill_within_bounds(tmp_path: Path) -> None:
    published(tmp_path / "store.duckdb")
    with open_for_reading(tmp_path / "store.duckdb", MARCH) as con:
        settings = "SELECT current_setting('temp_directory'), current_setting('max_temp_directory_size')"
        ((where, most),) = con.execute(settings).fetchall()
    assert Path(where) == tmp_path / "store.duckdb.snapshots" / f"{SPILL}{os.getpid()}"
    assert most == "7.4 GiB"
