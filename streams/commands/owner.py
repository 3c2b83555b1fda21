"""What only a store's owner may do: done here where nobody owns the store, else asked of its owner."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.commands.fail import Failed
from streams.commands.printable import printable
from streams.settings import Settings
from streams.wall import now_ms

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
    """The answer to a request (see ``sinks.evalstore.asked``), when the owner has done it, once.

    Its owner may be `gleaner store`, which answers, or another command, which ends: both are waited for.
    """
    from sinks.evalstore import StoreBusy, StoreError, StoreOwner
    from sinks.evalstore.asked import perform
    from sinks.evalstore.requests import answer_to, ask, new_name, take_back

    deadline = time.monotonic() + timeout
    asked, name = now_ms(), new_name()
    where: Path | None = None
    private = Settings().said_of
    while True:
        try:
            with StoreOwner.open(path) as owner:
                reply = take_back(where) if where is not None else None
                if reply is None:
                    now = now_ms()
                    return perform(owner, request, private, now, asked=asked, name=name)[1]
                return _checked(reply)
        except StoreBusy:
            pass
        except StoreError as error:
            raise Failed(printable(error)) from error
        if where is None:
            where = ask(path, request, asked, name)
        if (reply := answer_to(where)) is not None:
            return _checked(reply)
        if time.monotonic() > deadline:
            raise Failed(
                f"the owner of {printable(path)} did not answer within {timeout:g} s. The request waits "
                "for it, or for the next `gleaner store`; nothing is done before that",
                status=1,
            )
        time.sleep(POLL)


def see_what_waits(path: Path, timeout: float) -> None:
    """Have the store's owner publish what it has stored since its last snapshot; nothing where nothing waits.

    Where nobody owns the store there is nothing to ask for: whoever reads publishes first.
    """
    from sinks.evalstore import waiting_since

    if waiting_since(path) is not None:
        by_the_owner(path, {"publish": {}}, timeout)


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    if reply.get("refused"):
        raise Failed(printable(reply["error"]))
    if "error" in reply:
        raise Failed(f"the store's owner could not do it: {printable(reply['error'])}", status=1)
    return reply
