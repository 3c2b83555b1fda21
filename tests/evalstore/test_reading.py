"""What readers get while the owner writes, after it was killed, and where there is nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pytest

from schemas.case import CaseReason
from sinks.evalstore import (
    BadQuery,
    CaseFilter,
    NoStore,
    NoSuchCase,
    StoreMismatch,
    StoreOwner,
    UnclearCase,
    find_case,
    list_cases,
    open_for_reading,
    run_query,
)
from sinks.evalstore.snapshots import MANIFEST, open_reader, snapshots_of
from tests.evalstore.samples import MARCH, make_case

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "store.duckdb"
    with StoreOwner.open(path) as owner:
        cases = [make_case(n) for n in range(30)]
        cases += [make_case(5, CaseReason.ESCALATION, event="2"), make_case(40, CaseReason.ERROR, app="desk")]
        owner.write(cases, now=MARCH)
        owner.publish(MARCH)
    return path


def test_many_threads_of_a_process_open_the_same_snapshot(store: Path) -> None:
    """Their connections share one database, and so the lock on its settings."""
    with ThreadPoolExecutor(4) as threads, open_for_reading(store, MARCH) as first:

        def times(_: int) -> tuple[object, ...]:
            with open_for_reading(store, MARCH) as con:
                with pytest.raises(duckdb.InvalidInputException, match="locked"):
                    con.execute("SET memory_limit = '2GB'")
                return run_query(con, "SELECT current_setting('TimeZone'), count(*) FROM cases").rows[0]

        assert set(threads.map(times, range(20))) == {("UTC", 31)}
        assert run_query(first, "SELECT current_setting('TimeZone')").rows == [("UTC",)]


def test_a_snapshot_is_read_while_the_owner_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write([make_case(1)], now=MARCH)
        owner.publish(MARCH)
        with open_for_reading(path, MARCH) as con:
            for number in range(2, 8):
                owner.write([make_case(number)], now=MARCH)
                assert owner.unpublished
                owner.publish(MARCH + number)
                assert len(list(list_cases(con))) == 1, "a reader keeps what it opened, even when pruned"
        with open_for_reading(path, MARCH) as con:
            assert len(list(list_cases(con))) == 7
        assert len(list(snapshots_of(path).glob("snap-*"))) == 3


def test_other_processes_read_while_the_owner_publishes(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    program = """
import sys
import time
from pathlib import Path
from sinks.evalstore import list_cases, open_for_reading
seen = 0
while seen < 8:
    time.sleep(0.02)
    with open_for_reading(Path(sys.argv[1]), 0) as con:
        now = len(list(list_cases(con)))
    assert now >= seen, (now, seen)
    seen = now
"""
    with StoreOwner.open(path) as owner:
        owner.publish(MARCH)
        reader = subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT)
        for number in range(8):
            owner.write([make_case(number)], now=MARCH)
            owner.publish(MARCH)
        assert reader.wait(90) == 0


def test_a_reader_follows_the_manifest_where_its_file_vanished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        first = owner.publish(MARCH)
        real, calls = duckdb.connect, []

        def connect(database: str, **options: object) -> duckdb.DuckDBPyConnection:
            calls.append(database)
            if len(calls) == 1:
                first.unlink()
                owner.publish(MARCH)
            return real(database, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(duckdb, "connect", connect)
        with open_reader(snapshots_of(path)) as con:
            assert list(list_cases(con)) == []
    assert len(set(calls)) == 2


def test_what_a_killed_owner_wrote_is_published_by_the_next_reader(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    program = f"""
import os
from pathlib import Path
from sinks.evalstore import StoreOwner
from tests.evalstore.samples import make_case
owner = StoreOwner.open(Path({str(path)!r}))
owner.write([make_case(1)], now=0)
owner.publish(0)
owner.write([make_case(2)], now=0)
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 9
    with open_for_reading(path, MARCH) as con:
        assert len(list(list_cases(con))) == 2
    sequence = json.loads((snapshots_of(path) / MANIFEST).read_text())["sequence"]
    open_for_reading(path, MARCH).close()
    assert json.loads((snapshots_of(path) / MANIFEST).read_text())["sequence"] == sequence == 2


def test_a_directory_of_snapshots_is_a_store_too(store: Path, tmp_path: Path) -> None:
    with open_for_reading(snapshots_of(store), MARCH) as con:
        assert len(list(list_cases(con))) == 31
    with pytest.raises(NoStore, match=r"no eval store at .*nowhere"):
        open_for_reading(tmp_path / "nowhere.duckdb", MARCH)
    with pytest.raises(NoStore, match="holds no snapshot"):
        open_reader(tmp_path)
    assert os.listdir(tmp_path) == [], "looking leaves nothing behind"


def test_a_newer_snapshot_says_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner._con.execute("INSERT INTO schema_migrations VALUES (99, 'later', 'x', now())")
        owner.publish(MARCH)
    with pytest.raises(StoreMismatch, match="upgrade"):
        open_reader(snapshots_of(path))


def test_no_progress_bar_stands_in_what_a_command_prints(store: Path) -> None:
    setting = "SELECT current_setting('enable_progress_bar')"
    with open_for_reading(store, MARCH) as con:
        assert con.execute(setting).fetchone() == (False,)
    with StoreOwner.open(store) as owner:
        assert owner._con.execute(setting).fetchone() == (False,)


def test_filters(store: Path) -> None:
    with open_for_reading(store, MARCH) as con:

        def traces(**wanted: object) -> list[str]:
            return [case.trace_id for case in list_cases(con, CaseFilter(**wanted))]  # type: ignore[arg-type]

        assert traces(limit=3) == ["trace-40", "trace-29", "trace-28"]
        assert traces(app="desk") == ["trace-40"]
        assert traces(reason="escalation") == ["trace-5"]
        assert traces(since=MARCH + 29 * 60_000) == ["trace-40", "trace-29"]
        assert traces(text="ORDER 17?") == ["trace-17"]
        assert traces(text="opened SOFTWARE", limit=2) == ["trace-40", "trace-29"]
        assert traces(text="' OR true --") == []


def test_a_case_by_prefix(store: Path) -> None:
    with open_for_reading(store, MARCH) as con:
        whole = find_case(con, "trace-7")
        assert find_case(con, whole["case_id"][:13])["trace_id"] == "trace-7"
        assert whole["coordinates"] == {
            "stream": "life",
            "topic": "traces",
            "partition": 1,
            "offset": 7,
            "index": 0,
        }
        assert whole["trace"]["prompt_version"] == "p7"
        json.dumps(whole)
        with pytest.raises(NoSuchCase, match="no such case: %"):
            find_case(con, "%")
        with pytest.raises(NoSuchCase):
            find_case(con, "")
        shared = next(digit for digit in "0123456789abcdef" if len(_starting(con, digit)) > 1)
        with pytest.raises(UnclearCase, match="fits several cases"):
            find_case(con, shared)


def _starting(con: duckdb.DuckDBPyConnection, prefix: str) -> list[tuple[object, ...]]:
    return con.execute("SELECT 1 FROM cases WHERE starts_with(case_id, ?)", [prefix]).fetchall()


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT 1; SELECT 2",
        "INSERT INTO cases SELECT * FROM cases",
        "WITH x AS (INSERT INTO case_events SELECT * FROM case_events RETURNING 1) SELECT * FROM x",
        "DELETE FROM cases",
        "CREATE TEMP TABLE t AS SELECT 1",
        "COPY cases TO 'stolen.csv'",
        "ATTACH 'other.duckdb'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "RESET lock_configuration",
        "CALL pragma_version()",
        "EXPLAIN ANALYZE SELECT 1",
        "CHECKPOINT",
        "SELECT * FROM read_csv('pyproject.toml')",
        "SELECT * FROM read_text('pyproject.toml')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM 'pyproject.toml'",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM nowhere",
        "SELEC 1",
    ],
)
def test_what_own_sql_may_not_do(store: Path, query: str) -> None:
    with open_for_reading(store, MARCH) as con:
        with pytest.raises(BadQuery) as refused:
            run_query(con, query)
        assert "\n" not in str(refused.value)
        assert run_query(con, "SELECT count(*) FROM cases").rows == [(31,)]


def test_own_sql_is_bounded(store: Path) -> None:
    with open_for_reading(store, MARCH) as con:
        answer = run_query(con, "SELECT trace_id, ts FROM case_list ORDER BY ts", limit=2)
        assert answer.columns == ["trace_id", "ts"]
        assert [row[0] for row in answer.rows] == ["trace-0", "trace-1"]
        assert answer.more
        assert not run_query(con, "SELECT 1", limit=1).more
        with pytest.raises(BadQuery, match=r"longer than 0\.2 s"):
            run_query(
                con,
                "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range < b.range",
                seconds=0.2,
            )
        assert run_query(con, "SELECT 1").rows == [(1,)], "the connection is still good"


def test_some_cases_are_the_same_rows_as_among_all(store: Path) -> None:
    with open_for_reading(store, MARCH) as con:
        whole = con.execute("FROM case_list ORDER BY case_id").fetchall()
        ids = [row[0] for row in whole]
        assert (
            con.execute("FROM case_list_of(?) ORDER BY case_id", [[*ids, ids[0], "gone"]]).fetchall() == whole
        )
        assert con.execute("FROM case_list_of(?)", [[ids[7]]]).fetchall() == [whole[7]]
        assert con.execute("FROM case_list_of(?)", [[]]).fetchall() == []
        described = [
            con.execute(f"DESCRIBE FROM {name}").fetchall() for name in ("case_list", "case_list_of([''])")
        ]
        assert described[0] == described[1]
