"""What the API needs of the process that owns the store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from sinks.evalstore import Connection


class Store(Protocol):
    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees what is committed."""

    def query(self, sql: str, *, seconds: float, limit: int) -> bytes:
        """Somebody's own SELECT on the newest snapshot, away from the store: JSON of ``models.Rows``."""

    def act(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have the owner do something (see ``sinks.evalstore.asked``)."""

    def close(self) -> None:
        """Nobody asks any more."""
