"""The ``--store`` option, and the connection that it leads to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.commands.fail import Failed
from streams.commands.printable import printable
from streams.settings import Settings
from streams.wall import now_ms

if TYPE_CHECKING:
    from sinks.evalstore import Connection

Store = Annotated[
    Path | None,
    typer.Option(help="the store's file or a directory of snapshots; default: the configured store"),
]


@contextmanager
def reader(store: Path | None) -> Iterator[Connection]:
    """A connection to the newest snapshot; what goes wrong with the store ends the command in one line."""
    from sinks.evalstore import NoSuchCase, NoSuchLetter, StoreError, open_for_reading

    try:
        con = open_for_reading(store or _default(), now_ms())
        try:
            yield con
        finally:
            con.close()
    except StoreError as error:
        raise Failed(
            printable(error), status=1 if isinstance(error, NoSuchCase | NoSuchLetter) else 2
        ) from error


def say_what_waits(store: Path | None) -> None:
    """One line where the owner has stored more than the newest snapshot has."""
    from sinks.evalstore import waiting_since

    settings = Settings()
    published = waiting_since(store or settings.store_file())
    if published is None:
        return
    age = max(0.0, time.time_ns() / 1e9 - published / 1000)
    typer.echo(
        f"as of {age:.0f} s ago: more has been stored since, and "
        f"{next_snapshot(published, settings.snapshot_seconds)}"
    )


def next_snapshot(published: int, every: float) -> str:
    """When the next snapshot is due, for a person; ``published``: when the last one was, epoch ms."""
    left = every - (time.time_ns() / 1e9 - published / 1000)
    return f"the next snapshot comes in about {left:.0f} s" if left >= 1 else "the next snapshot comes soon"


def _default() -> Path:
    """The configured store; while there is none, the one that a demo has left here, which is said."""
    own = Settings().store_file()
    demo = Path("gleaner-data/demo/store.duckdb")
    if not own.exists() and demo.exists():
        typer.echo(f"no store of your own yet: this is the demo's, {demo}", err=True)
        return demo
    return own
