"""What only a store's owner may do: done here where nobody owns the store, else asked of its owner."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.fail import Failed
from streams.commands.printable import printable
from streams.settings import Settings

POLL = 0.1
TIMEOUT = 120.0

StoreFile = Annotated[
    Path | None, typer.Option("--store", help="the store's file; default: the configured store")
]
Timeout = Annotated[float, typer.Option(min=1, help="seconds to wait for the store's owner")]


def store_file(store: Path | None) -> Path:
    """The file of the store, which must be there."""
    path = (store or Settings().store_file()).absolute()
    if not path.is_file():
        raise Failed(f"no eval store at {printable(path)}: name its file with --store")
    return path


def by_the_owner(path: Path, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    """The answer to a request (see ``sinks.evalstore.asked``), when the owner has done it."""
    from sinks.evalstore import StoreBusy, StoreError, StoreOwner
    from sinks.evalstore.asked import perform

    try:
        with StoreOwner.open(path) as owner:
            return perform(owner, request, Settings().said_of, time.time_ns() // 1_000_000)[1]
    except StoreBusy:
        return _ask(path, request, timeout)
    except StoreError as error:
        raise Failed(printable(error)) from error


def _ask(path: Path, request: dict[str, Any], timeout: float) -> dict[str, Any]:
    from sinks.evalstore.requests import answer_to, ask

    where = ask(path, request)
    deadline = time.monotonic() + timeout
    while (reply := answer_to(where)) is None:
        if time.monotonic() > deadline:
            raise Failed(
                f"the owner of {printable(path)} did not answer within {timeout:g} s. The request waits "
                "for it, or for the next `gleaner store`; nothing is done before that",
                status=1,
            )
        time.sleep(POLL)
    if reply.get("refused"):
        raise Failed(printable(reply["error"]))
    if "error" in reply:
        raise Failed(f"the store's owner could not do it: {printable(reply['error'])}", status=1)
    return reply
