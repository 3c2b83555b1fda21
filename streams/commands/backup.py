"""``gleaner backup``: the store as Parquet files, and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from schemas.base import rfc3339
from streams.commands.fail import Failed
from streams.commands.owner import StoreFile
from streams.commands.printable import json_line, printable
from streams.commands.reader import reader
from streams.settings import Settings
from streams.wall import now_ms

if TYPE_CHECKING:
    from sinks.evalstore.backup import Backup

app = typer.Typer(
    no_args_is_help=True, help="The store as Parquet files, and back: make, list, verify, restore."
)

REREAD = timedelta(days=1)
"""Before a backup: its snapshot was older than it, and the store may have been behind its topics."""

AsJson = Annotated[bool, typer.Option("--json", help="one JSON object per backup")]
Where = Annotated[Path, typer.Argument(metavar="BACKUP", help="the folder of a backup")]


@app.command("make")
def make(
    store: StoreFile = None,
    out: Annotated[Path | None, typer.Option(help="a folder; default: where the nightly ones go")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a backup of the newest snapshot: Parquet files of all tables, and a manifest with their hashes.

    Example: gleaner backup make --out /backup/gleaner
    """
    from sinks.evalstore.backup import make_backup

    settings = Settings()
    path = (store or settings.store_file()).absolute()
    with reader(path):  # publishes, where nobody owns the store and its file is newer
        pass
    _say(
        _guarded(lambda: make_backup(path, out or _directory(settings, path), now_ms())),
        as_json,
    )


@app.command("list")
def list_command(
    store: StoreFile = None,
    out: Annotated[Path | None, typer.Option(help="the folder; default: where the nightly ones go")] = None,
    as_json: AsJson = False,
) -> None:
    """List the backups, the oldest first.

    Example: gleaner backup list
    """
    from sinks.evalstore.backup import list_backups

    settings = Settings()
    directory = out or _directory(settings, (store or settings.store_file()).absolute())
    found = list_backups(directory)
    for each in found:
        _say(each, as_json)
    if not found and not as_json:
        typer.echo(f"no backup in {printable(directory)}: gleaner backup make")


@app.command("verify")
def verify(backup: Where, as_json: AsJson = False) -> None:
    """Restore a backup to a temporary file and compare every row; exit 1 where one is not as it was.

    Example: gleaner backup verify /backup/gleaner/backup-20261121T020000Z
    """
    from sinks.evalstore.backup import restore

    with tempfile.TemporaryDirectory() as folder:
        found = _guarded(lambda: restore(backup, Path(folder) / "store.duckdb"))
    _say(found, as_json)


@app.command("restore")
def restore_command(
    backup: Where,
    store: Annotated[Path, typer.Option(help="the new store's file, which must not be there yet")],
    as_json: AsJson = False,
) -> None:
    """Make a new store from a backup; every row is compared before the file gets its name.

    Says on standard error how to read from Kafka again what came after it, and which frozen releases beside
    the store it does not know.

    Example: gleaner backup restore /backup/gleaner/backup-20261121T020000Z --store restored.duckdb
    """
    from sinks.evalstore import StoreOwner
    from sinks.evalstore.backup import restore

    left: list[Path] = []

    def restored() -> Backup:
        found = restore(backup, store.absolute())
        with StoreOwner.open(store.absolute()) as owner:
            owner.publish(now_ms())
            left.extend(owner.strays())
        return found

    found = _guarded(restored)
    _say(found, as_json)
    typer.echo(_what_came_after(found, Settings()), err=True)
    if left:
        typer.echo(
            f"{printable(left[0].parent)} holds what the backup knows no release of: "
            f"{', '.join(printable(path.name) for path in left)}. Move it away to keep it: the next "
            "`gleaner cases forget` deletes it, since nobody can tell any more whose cases it holds",
            err=True,
        )


def _what_came_after(found: Backup, settings: Settings) -> str:
    """How to read it again: the group's offsets are in Kafka, and no older for an older file."""
    begin = datetime.fromtimestamp(found.taken / 1000, UTC) - REREAD
    command = (
        f"kafka-consumer-groups.sh --bootstrap-server {printable(settings.brokers)} "
        f"--group {printable(settings.group('store'))} --reset-offsets "
        f"--to-datetime {begin.strftime('%Y-%m-%dT%H:%M:%S')}.000Z --all-topics --execute"
    )
    return (
        f"What came after {rfc3339(found.taken)} is not read from Kafka again by itself. Before "
        f"`gleaner store` starts on this file: {command} (a day before the backup: its snapshot was older). "
        "Repeats are harmless. Whoever was forgotten since must be forgotten again: gleaner cases forget"
    )


def _guarded(work: Callable[[], Backup]) -> Backup:
    from sinks.evalstore import StoreError

    try:
        return work()
    except StoreError as error:
        raise Failed(printable(error), status=1) from error


def _directory(settings: Settings, store: Path) -> Path:
    from sinks.evalstore.backup import backups_of

    return settings.backup_dir or backups_of(store)


def _say(backup: Backup, as_json: bool) -> None:
    if as_json:
        about = {"taken": rfc3339(backup.taken), "rows": backup.rows, "bytes": backup.bytes}
        typer.echo(json_line({"backup": str(backup.path)} | about))
        return
    cases, rows = backup.rows.get("cases", 0), sum(backup.rows.values())
    typer.echo(
        f"{printable(backup.path)}: {rfc3339(backup.taken)}, {cases:,} cases, {rows:,} rows in all, "
        f"{backup.bytes / 2**20:,.1f} MiB"
    )
