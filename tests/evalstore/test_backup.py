"""Backup and restore, by command and every night; how long windows are kept."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sinks.evalstore import Connection, Forget, Kind, StoreOwner, backup, open_for_reading
from sinks.evalstore.annotations import Annotate, Change
from sinks.evalstore.annotations import Kind as Annotation
from sinks.evalstore.backup import backups_of, list_backups, make_backup, restore
from sinks.evalstore.due import DAY_MS, HOUR_MS, Chore
from sinks.evalstore.errors import NoStore, StoreBusy, StoreError, StoreMismatch
from sinks.evalstore.regroup import Split
from sinks.evalstore.releases.freezing import Freeze
from sinks.evalstore.releases.reviews import Review, Verdict
from sinks.evalstore.snapshots import sync
from streams.cli import app
from streams.settings import Settings
from streams.store.work import StoreWork
from tests.evalstore.releases.test_freeze import failure, run
from tests.evalstore.samples import (
    MARCH,
    WIDTH_MS,
    as_written,
    make_case,
    make_incident,
    make_letter,
    make_recovery,
    make_report,
    make_signal,
    make_window,
)


def everything(con: Connection) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables but those that say when something was applied."""
    query = "SELECT table_name FROM duckdb_tables() WHERE NOT temporary AND NOT internal ORDER BY ALL"
    names = [str(row[0]) for row in con.execute(query).fetchall() if row[0] != "schema_migrations"]
    return {
        name: con.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in dict.fromkeys(names)
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Something in every table; text with everything that text may hold."""
    path = tmp_path / "store.duckdb"
    hostile = failure(9).trace
    assert hostile is not None
    hostile = hostile | {"answer": "NUL \0, quote ' \" and 𝛼 \U0001f600, {{user}}", "scores": {"f": 0.1}}
    with StoreOwner.open(path) as owner:
        owner.write(
            [
                *(failure(n) for n in range(5)),
                failure(20, like=1),
                make_case(9, trace=hostile),
                make_case(10, trace=None),
            ],
            [make_signal(1)],
            [make_recovery(1)],
            [make_window(0, 2.0), make_window(1, 1.0)],
            [make_report(0, 5, 10)],
            [make_incident(1), make_incident(2)],
            [make_letter(1)],
            now=MARCH,
        )
        owner.freeze(Freeze("v1", (failure(1).case_id,), {}), MARCH)
        owner.review(Review(failure(2).case_id, Verdict.DISMISSED, "ann", "why"), MARCH)
        owner.annotate(
            Annotate(
                failure(2).case_id,
                "ann",
                (Change(Annotation.MUST, "NUL \0"), Change(Annotation.EXPECTED, "yes")),
            ),
            as_written,
            MARCH,
        )
        owner.split(Split((failure(20).case_id,), "ann"), MARCH)
        owner.forget(Forget(Kind.TRACE, "trace-4", None), MARCH)
        owner.due(MARCH, 2)
        owner.publish(MARCH)
    return path


def test_what_is_restored_is_what_was_there(path: Path, tmp_path: Path) -> None:
    made = make_backup(path, tmp_path / "out", MARCH)
    assert made.path.name == "backup-20260301T000000Z"
    again = tmp_path / "again" / "store.duckdb"
    assert restore(made.path, again).rows == made.rows
    with StoreOwner.open(path) as one, StoreOwner.open(again) as other:
        before, after = everything(one._con), everything(other._con)
        assert before == after
        empty = {"signal_windows", "cluster_merges", "gate_runs", "gate_results", "undone"}
        assert {name for name, rows in before.items() if not rows} == empty
        # It goes on as the first one: the same case is a near-duplicate of the same cluster in both.
        for owner in (one, other):
            owner.write([failure(21, like=2)], now=MARCH)
        assert everything(one._con) == everything(other._con)
    assert (tmp_path / "again" / "store.duckdb.releases" / "v1" / "cases.jsonl").exists()


def test_a_backup_is_taken_while_the_owner_writes_and_somebody_reads(path: Path, tmp_path: Path) -> None:
    with StoreOwner.open(path) as owner, open_for_reading(path, MARCH) as reading:
        owner.write([failure(50)], now=MARCH)
        made = make_backup(path, tmp_path / "out", MARCH)
        assert reading.execute("SELECT count(*) FROM cases").fetchone() == (made.rows["cases"],)
        owner.write([failure(51)], now=MARCH)
        assert owner.counts().cases == made.rows["cases"] + 2


@pytest.mark.parametrize("harm", ["flip", "cut", "drop", "swap", "manifest", "newer"])
def test_a_backup_that_is_not_what_was_written_is_not_restored(path: Path, tmp_path: Path, harm: str) -> None:
    made = make_backup(path, tmp_path / "out", MARCH)
    file, manifest = made.path / "cases.parquet", made.path / "manifest.json"
    data = bytearray(file.read_bytes())
    about = json.loads(manifest.read_text())
    if harm == "flip":
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif harm == "cut":
        file.write_bytes(data[:-10])
    elif harm == "drop":
        file.unlink()
    elif harm == "swap":
        # Hashes are right, rows are not those that were counted.
        about["tables"]["cases"]["rows"] += 1
        manifest.write_text(json.dumps(about))
    elif harm == "manifest":
        manifest.write_text("{}")
    else:
        about["migrations"]["9999"] = "0" * 64
        manifest.write_text(json.dumps(about))
    target = tmp_path / "again.duckdb"
    with pytest.raises(StoreMismatch if harm == "newer" else StoreError):
        restore(made.path, target)
    assert {left.suffix for left in tmp_path.glob("again*")} <= {".owner"}, "nothing half done is left"


def test_only_whole_backups_count_and_the_newest_are_kept(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / ".new-crashed").mkdir(parents=True)
    (out / "backup-19990101T000000Z").mkdir()
    for day in range(5):
        make_backup(path, out, MARCH + day * DAY_MS, keep=3)
    assert [backup.taken for backup in list_backups(out)] == [MARCH + day * DAY_MS for day in (2, 3, 4)]
    assert not (out / ".new-crashed").exists()
    with pytest.raises(NoStore):
        make_backup(tmp_path / "none.duckdb", out, MARCH)
    with pytest.raises(StoreError, match="there already"):
        restore(list_backups(out)[0].path, path)


def test_a_store_is_not_restored_beside_the_log_of_a_killed_one(path: Path, tmp_path: Path) -> None:
    made = make_backup(path, tmp_path / "out", MARCH)
    again = tmp_path / "again.duckdb"
    log = again.with_name("again.duckdb.wal")
    log.write_bytes(b"what a killed owner left")
    with pytest.raises(StoreError, match=r"again\.duckdb\.wal is there already: move it away with its store"):
        restore(made.path, again)
    assert not again.exists()
    assert log.read_bytes() == b"what a killed owner left"
    log.unlink()
    assert restore(made.path, again).rows == made.rows


def test_a_store_is_not_restored_under_its_running_owner(path: Path, tmp_path: Path) -> None:
    """It would go on with the file that was moved away, and publish snapshots of the restored one."""
    made = make_backup(path, tmp_path / "out", MARCH)
    with StoreOwner.open(path):
        path.rename(tmp_path / "moved.duckdb")
        with pytest.raises(StoreBusy):
            restore(made.path, path)
        assert not path.exists()
    path.with_name("store.duckdb.wal").unlink(missing_ok=True)
    assert restore(made.path, path).rows == made.rows


def test_two_backups_at_once_are_both_whole(path: Path, tmp_path: Path) -> None:
    """The later one waits: what the earlier one has not finished yet is not what a crash left."""
    out, begun, go = tmp_path / "out", threading.Event(), threading.Event()

    def slowly(file: Path) -> None:
        if not begun.is_set():
            begun.set()
            assert go.wait(60)
        sync(file)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as threads:
        patch.setattr(backup, "sync", slowly)
        first = threads.submit(make_backup, path, out, MARCH)
        assert begun.wait(60)
        (unfinished,) = out.glob(".new-*")
        second = threads.submit(make_backup, path, out, MARCH + 1000)
        with pytest.raises(TimeoutError):
            second.result(0.5)
        assert unfinished.exists()
        go.set()
        made = [first.result(60), second.result(60)]
    assert list_backups(out) == made


def test_a_shared_folder_keeps_the_backups_of_each_store(path: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other.duckdb"
    with StoreOwner.open(other) as owner:
        owner.publish(MARCH)
    theirs = make_backup(other, out, MARCH)
    mine = [make_backup(path, out, MARCH + day * DAY_MS, keep=2) for day in range(1, 4)]
    assert list_backups(out) == [theirs, *mine[1:]]


def test_what_is_forgotten_is_in_no_backup_beside_the_store(path: Path) -> None:
    make_backup(path, backups_of(path), MARCH)
    words = failure(3).case_id.encode()
    with StoreOwner.open(path) as owner:
        owner.forget(Forget(Kind.USER, "u-3", None), MARCH + 1)
    (left,) = list_backups(backups_of(path))
    assert left.taken == MARCH + 1
    restored = path.with_name("restored.duckdb")
    restore(left.path, restored)
    with open_for_reading(restored, MARCH) as con:
        found = con.execute("SELECT count(*) FROM cases WHERE case_id = ?", [words.decode()]).fetchone()
    assert found == (0,)


def test_files_with_a_backups_name_are_forgotten_with_it(path: Path, tmp_path: Path) -> None:
    """An archive of a backup holds the user's bytes; a link would be followed to a copy that is not ours."""
    made = make_backup(path, backups_of(path), MARCH)
    beside = backups_of(path)
    (beside / "backup-20260228T020000Z.tgz").write_bytes(b"u-3")
    (beside / ".new-archive").write_bytes(b"u-3")
    elsewhere = shutil.copytree(made.path, tmp_path / "elsewhere")
    (beside / "backup-latest").symlink_to(elsewhere)
    with StoreOwner.open(path) as owner:
        owner.forget(Forget(Kind.USER, "u-3", None), MARCH + 1)
        assert owner.write([failure(60)], now=MARCH + 2).cases == 1
    assert list(beside.glob("backup-*")) == [only.path for only in list_backups(beside)]
    assert [only.taken for only in list_backups(beside)] == [MARCH + 1]
    assert not list(beside.glob(".new-*"))
    assert (elsewhere / "manifest.json").exists()


def test_windows_are_kept_by_event_time(tmp_path: Path) -> None:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        old = [
            make_window(0, 1.0, app=app, start=MARCH + day * DAY_MS, end=MARCH + day * DAY_MS + WIDTH_MS)
            for app, days in (("shop", range(0, 30, 5)), ("silent", range(0, 11, 5)))
            for day in days
        ]
        owner.write(windows=old, now=MARCH)
        assert owner.drop_windows(10) == 3  # shop's of days 0, 5 and 10; the silent app's newest is day 10
        query = "SELECT app, (start_ms - ?) // ? FROM window_parts ORDER BY ALL"
        left = owner._con.execute(query, [MARCH, DAY_MS]).fetchall()
        assert left == [
            ("shop", 15),
            ("shop", 20),
            ("shop", 25),
            ("silent", 0),
            ("silent", 5),
            ("silent", 10),
        ]
        assert owner.drop_windows(10) == 0


def test_the_nights_rows(tmp_path: Path) -> None:
    """Due at the hour, once; what was missed is done at once, what failed is tried again in an hour."""
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        assert owner.due(MARCH, 2) == []
        at_two = MARCH + 2 * HOUR_MS
        assert owner.due(at_two - 1, 2) == []
        assert owner.due(at_two, 2) == [Chore.BACKUP, Chore.WINDOWS]
        owner.done(Chore.WINDOWS, at_two, 2)
        owner.done(Chore.BACKUP, at_two, 2, "disk full")
        assert owner.due(at_two + HOUR_MS - 1, 2) == []
        assert owner.due(at_two + HOUR_MS, 2) == [Chore.BACKUP]
        assert owner._con.execute("SELECT failed, done_at FROM due WHERE what = 'backup'").fetchone() == (
            "disk full",
            None,
        )
        owner.done(Chore.BACKUP, at_two + HOUR_MS, 2)
    with StoreOwner.open(path) as owner:
        assert owner.due(at_two + DAY_MS - 1, 2) == []
        assert owner.due(at_two + 9 * DAY_MS, 2) == [Chore.BACKUP, Chore.WINDOWS]


async def until_backed_up(work: StoreWork) -> None:
    await work.between_batches()
    while work._backup is not None:
        await asyncio.sleep(0.01)
        await work.between_batches()


async def test_the_role_backs_up_at_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate(
        {"store_path": tmp_path / "store.duckdb", "backup_keep": 2, "windows_keep_days": 9}
    )
    monkeypatch.setattr("streams.store.work.DUE_SECONDS", 0.0)
    with ThreadPoolExecutor(1) as thread:
        work = StoreWork(settings, thread, {})
        await work.open()
        windows = [
            make_window(0, 1.0),
            make_window(0, 1.0, start=MARCH + 10 * DAY_MS, end=MARCH + 10 * DAY_MS + 1),
        ]
        await work._in_thread(lambda: work.owner.write([failure(1)], windows=windows, now=MARCH))
        await work.between_batches()
        assert not backups_of(work.owner.path).exists()
        await work._in_thread(
            lambda: work.owner._con.execute("UPDATE due SET due_at = '2026-03-01 00:00:00Z'")
        )
        await until_backed_up(work)
        (made,) = list_backups(backups_of(work.owner.path))
        assert (made.rows["cases"], made.rows["window_parts"]) == (1, 2)
        assert work.owner._con.execute("SELECT count(*) FROM window_parts").fetchone() == (1,)
        await work._in_thread(
            lambda: work.owner._con.execute("UPDATE due SET due_at = '2026-03-01 00:00:00Z'")
        )
        shutil.rmtree(backups_of(work.owner.path))
        backups_of(work.owner.path).write_text("in the way")
        await until_backed_up(work)
        row = work.owner._con.execute(
            "SELECT failed IS NOT NULL, done_at IS NOT NULL FROM due WHERE what = 'backup'"
        )
        assert row.fetchone() == (True, True)
        await work.close()


def test_a_restore_says_how_to_read_again_what_came_after(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The offsets are in Kafka, under the group that the store role really joins."""
    monkeypatch.setenv("GLEANER_TOPIC_PREFIX", "eu.")
    monkeypatch.setenv("GLEANER_BROKERS", "kafka-1:9093")
    made = make_backup(path, tmp_path / "out", MARCH)
    again = tmp_path / "again.duckdb"
    done = CliRunner().invoke(
        app, ["backup", "restore", str(made.path), "--store", str(again), "--json"], catch_exceptions=False
    )
    assert json.loads(done.stdout)["taken"] == "2026-03-01T00:00:00Z"
    assert "What came after 2026-03-01T00:00:00Z" in done.stderr
    command = (
        "kafka-consumer-groups.sh --bootstrap-server kafka-1:9093 --group eu.gleaner-store --reset-offsets "
        "--to-datetime 2026-02-28T00:00:00.000Z --all-topics --execute"
    )
    assert command in done.stderr
    assert "forgotten again: gleaner cases forget" in done.stderr


def test_commands(path: Path, tmp_path: Path) -> None:
    at = ["--store", str(path), "--json"]
    made = json.loads(run("backup", "make", *at))
    assert Path(made["backup"]).parent == backups_of(path)
    assert json.loads(run("backup", "list", *at)) == made
    assert json.loads(run("backup", "verify", made["backup"], "--json"))["rows"] == made["rows"]
    again = tmp_path / "again.duckdb"
    run("backup", "restore", made["backup"], "--store", str(again))
    assert json.loads(run("sql", "SELECT count(*) AS n FROM cases", "--store", str(again), "--json")) == {
        "n": made["rows"]["cases"]
    }
    assert "there already" in run("backup", "restore", made["backup"], "--store", str(again), status=1)
    (Path(made["backup"]) / "cases.parquet").unlink()
    assert "no backup that can be read" in run("backup", "verify", made["backup"], status=1)
    assert "no backup in" in run("backup", "list", "--out", str(tmp_path / "none"))
