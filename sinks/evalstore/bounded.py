"""Rows of an answer up to a bound on their text: a bound on rows alone does not bound the memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

MOST_TEXT = 32 << 20
"""Characters of an answer, about; the text of one more step may come on top."""
STEP = 16
"""Rows that are fetched before the text so far is looked at."""


class Result(Protocol):
    """What DuckDB and any other database of Python's have."""

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]: ...


def fetch(result: Result, limit: int, most: int = MOST_TEXT) -> tuple[list[tuple[Any, ...]], bool]:
    """At most ``limit`` rows; whether they end sooner because their text has reached ``most`` characters."""
    rows: list[tuple[Any, ...]] = []
    text = 0
    while len(rows) < limit:
        some = result.fetchmany(min(STEP, limit - len(rows)))
        if not some:
            break
        rows += some
        text += size(some)
        if text >= most:
            return rows, True
    return rows, False


def size(value: Any) -> int:
    """Characters of text in a value, and one for every other value in it.

    >>> size(["four", {"a": b"bc"}, 7.5])
    8
    """
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(size(name) + size(inner) for name, inner in value.items())
    if isinstance(value, Iterable):
        return sum(map(size, value))
    return 1
