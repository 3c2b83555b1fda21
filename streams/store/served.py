"""What the HTTP API has of the store's owner."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

from sinks.evalstore import Connection, StoreOwner
from sinks.evalstore.annotations import Private
from sinks.evalstore.asked import perform
from sinks.evalstore.children import Children
from sinks.evalstore.snapshots import snapshots_of
from streams.wall import now_ms

log = logging.getLogger(__name__)

QUERIES_AT_ONCE = 2
"""Of the HTTP API's users: each in a process of its own."""


class Served:
    """What the HTTP API has of the store's owner: reads in its own threads, foreign SQL in processes of
    their own, all else in the owner's thread."""

    def __init__(self, owner: StoreOwner, thread: ThreadPoolExecutor, private: Private) -> None:
        self._owner, self._thread, self._private = owner, thread, private
        self._children = Children(snapshots_of(owner.path), QUERIES_AT_ONCE)

    def reading(self) -> AbstractContextManager[Connection]:
        return self._owner.readers.reading()

    def query(self, sql: str, *, seconds: float, limit: int) -> bytes:
        return self._children.run(sql, seconds=seconds, limit=limit)

    def act(self, request: dict[str, Any]) -> dict[str, Any]:
        """Readers of snapshots see it with the next one, readers of the API once this returns."""
        now = now_ms()
        asked = self._thread.submit(perform, self._owner, request, self._private, now, publish=False)
        what, done = asked.result()
        log.info("store: %s on request", what)
        return done

    def close(self) -> None:
        self._children.close()
