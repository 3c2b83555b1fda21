"""One owner per store; a schema that only grows; nothing lost when the owner is killed."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

import sinks.evalstore
from sinks.evalstore import (
    StoreBusy,
    StoreMismatch,
    StoreOwner,
    find_case,
    list_cases,
    open_for_reading,
)
from sinks.evalstore.migrations import Migration, applied, migrate, migrations
from tests.evalstore.samples import MARCH, make_case

ROOT = Path(__file__).parents[2]


def test_a_second_owner_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path):
        expected = f"{re.escape(str(path))} is owned by process {os.getpid()}: "
        with pytest.raises(StoreBusy, match=expected):
            StoreOwner.open(path)
        program = f"from sinks.evalstore.owner import *; StoreOwner.open(Path({str(path)!r}))"
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert re.search(expected, done.stderr)
    StoreOwner.open(path).close()


def test_publishing_keeps_the_lock_of_the_file(tmp_path: Path) -> None:
    """Any descriptor that the owner's process closed would have dropped it; see ``lock``."""
    path = tmp_path / "store.duckdb"
    program = f"import duckdb; duckdb.connect({str(path)!r})"
    with StoreOwner.open(path) as owner:
        owner.write([make_case(1)], now=MARCH)
        owner.publish(MARCH)
        with open_for_reading(path, MARCH) as con:
            assert len(list(list_cases(con))) == 1
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert "Could not set lock on file" in done.stderr


def test_no_module_opens_files_by_itself() -> None:
    """Snapshots, manifests, backups and locks are opened; nothing else may be, least of all the live file."""
    opens = re.compile(
        r"(?<![.\w])(?<!def )open\(|os\.open\(|read_bytes|read_text|shutil\.|os\.rename|sha256\(open"
    )
    package = Path(sinks.evalstore.__file__).parent
    found = {path.name for path in package.rglob("*.py") if opens.search(path.read_text())}
    known = {
        "lock.py",
        "snapshots.py",
        "migrations.py",
        "requests.py",
        "bundle.py",
        "results.py",
        "backup.py",
        "child.py",  # its own size in /proc, and never in the owner's process
    }
    assert found <= known


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("these are my notes, not a database\n" * 200)
    with pytest.raises(StoreMismatch, match=r"notes\.txt cannot be opened as an eval store"):
        StoreOwner.open(text)

    other = tmp_path / "other.duckdb"
    newest = tmp_path / "newest.duckdb"
    if hasattr(duckdb.DuckDBPyConnection, "appender"):  # DuckDB 2 can write a format that 1.5 cannot read
        with duckdb.connect(str(newest), config={"storage_compatibility_version": "latest"}):
            pass
        with pytest.raises(StoreMismatch, match="cannot be opened as an eval store"):
            StoreOwner.open(newest)

    with duckdb.connect(str(other), config={"storage_compatibility_version": "v1.5.0"}) as con:
        con.execute("CREATE TABLE theirs (a INTEGER)")
    with pytest.raises(StoreMismatch, match="something else"):
        StoreOwner.open(other)


def test_migrations_are_applied_once_and_never_edited(tmp_path: Path) -> None:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        con = owner._con
        steps = migrations()
        numbers = [step.version for step in steps]
        assert numbers == sorted(set(numbers))
        assert applied(con) == {step.version: step.sha256 for step in steps}
        assert migrate(con) == []

        more = [*steps, Migration(99, "more", "ALTER TABLE cases ADD COLUMN team VARCHAR")]
        assert migrate(con, more) == [99]
        with pytest.raises(StoreMismatch, match=r"schema version 99.*upgrade"):
            migrate(con)
        edited = [*steps, Migration(99, "more", "SELECT 1")]
        with pytest.raises(StoreMismatch, match="0099_more was edited"):
            migrate(con, edited)


def test_a_migration_that_fails_leaves_no_trace(tmp_path: Path) -> None:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        half = [
            *migrations(),
            Migration(99, "half", "CREATE TABLE one (a INTEGER); CREATE TABLE cases (a INTEGER)"),
        ]
        with pytest.raises(duckdb.Error):
            migrate(owner._con, half)
        assert 99 not in applied(owner._con)
        assert owner._con.execute(
            "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'one'"
        ).fetchone() == (0,)


OWNER = """
import sys
from pathlib import Path
from sinks.evalstore import StoreOwner
from tests.evalstore.samples import MARCH, make_case
owner = StoreOwner.open(Path(sys.argv[1]))
print("ready", flush=True)
number = int(sys.argv[2])
while number < 100_000:
    # Every batch begins within the one before: what a redelivery looks like.
    batch = [make_case(n) for n in range(max(number - 20, 0), number + 40)]
    owner.write(batch, now=MARCH)
    number += 40
    print(number, flush=True)
    if number % 400 == 0:
        owner.publish(MARCH)
"""


def test_killed_in_the_middle_nothing_is_lost_and_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    chance = random.Random(7)
    acknowledged = 0
    for _ in range(5):
        command = [sys.executable, "-c", OWNER, str(path), str(acknowledged)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline(), "no batch was written"
        time.sleep(chance.uniform(0.05, 0.5))
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().split("\n")[:-1]
        process.wait()
        process.stdout.close()
        acknowledged = max([acknowledged + 40, *map(int, lines)])

    with open_for_reading(path, MARCH) as con:
        found = [case.trace_id for case in list_cases(con)]
        assert len(found) == len(set(found))
        assert {f"trace-{n}" for n in range(acknowledged)} <= set(found)
        assert len(found) - acknowledged <= 40, "more than the batch that was under way"
        last = find_case(con, f"trace-{acknowledged - 1}")
        assert last["contexts"][1]["text"] == "No returns of opened software."
        assert len(last["events"]) == 1
