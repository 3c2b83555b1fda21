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
        con = open_for_reading(store or _default(), time.time_ns() // 1_000_000)
        try:
            yield con
        finally:
            con.close()
    except StoreError as error:
        raise Failed(
            printable(error), status=1 if isinstance(error, NoSuchCase | NoSuchLetter) else 2
        ) from error


def _default() -> Path:
    """The configured store; while there is none, the one that a demo has left here, which is said."""
    own = Settings().store_file()
    demo = Path("gleaner-data/demo/store.duckdb")
    if not own.exists() and demo.exists():
        typer.echo(f"no store of your own yet: this is the demo's, {demo}", err=True)
        return demo
    return own
