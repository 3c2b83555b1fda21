"""What the API needs of the process that owns the store."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from sinks.evalstore import Connection


class Store(Protocol):
    def reading(self) -> AbstractContextManager[Connection]:
        """A connection that sees what is committed."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A hardened connection to the newest snapshot."""

    def act(self, request: dict[str, Any]) -> dict[str, Any]:
        """Have the owner do something (see ``sinks.evalstore.asked``)."""
