"""The store role, which ends by SIGKILL at a point of a commit: ``GLEANER_DIE`` is ``point:seconds``.

before      the rows are inserted, COMMIT has not been called
during      so many seconds after COMMIT was called
after       COMMIT has returned, Kafka's offsets are not committed
checkpoint  so many seconds after CHECKPOINT was called, with cases committed before it

Without it the role ends when it is told to. ``GLEANER_LEAST_SESSION_MS`` is its session timeout, below what
an operator may set: whoever starts after a kill waits for it.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, NoReturn, cast

from duckdb import DuckDBPyConnection

from streams.roles import run_role
from streams.settings import Settings
from streams.store import role
from streams.store.work import StoreWork

POINTS = ("before", "during", "after", "checkpoint")


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class Dying:
    """The owner's connection, but for the point at which the process ends."""

    def __init__(self, con: DuckDBPyConnection, point: str, seconds: float) -> None:
        self._con, self._point, self._seconds = con, point, seconds
        self._committed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def commit(self) -> None:
        if self._point == "before":
            die()
        if self._point == "during":
            self._dies_soon()
        self._con.commit()
        if self._point == "after":
            die()
        if self._point == "during":
            threading.Event().wait()
        self._committed = True

    def execute(self, query: str, *values: Any) -> Any:
        if self._point == "checkpoint" and self._committed and query.startswith("CHECKPOINT"):
            self._dies_soon()
            self._con.execute(query, *values)
            threading.Event().wait()
        return self._con.execute(query, *values)

    def _dies_soon(self) -> None:
        threading.Timer(self._seconds, die).start()


class DyingWork(StoreWork):
    async def open(self) -> None:
        await super().open()
        point, _, seconds = os.environ.get("GLEANER_DIE", "never:0").partition(":")
        self.owner._con = cast(DuckDBPyConnection, Dying(self.owner._con, point, float(seconds)))


if __name__ == "__main__":
    vars(role)["StoreWork"] = DyingWork
    session = int(os.environ["GLEANER_LEAST_SESSION_MS"])
    timing = {"session_timeout_ms": session, "heartbeat_ms": session // 6}
    run_role(role.run, Settings().model_copy(update=timing))
