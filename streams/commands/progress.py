"""A progress line on a terminal, for what takes more than a second; nothing elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str) -> Iterator[Callable[[int], None]]:
    """Yields a function that takes the number of events so far."""
    begun = time.monotonic()
    shown = False

    def seen(events: int) -> None:
        nonlocal shown
        seconds = time.monotonic() - begun
        if seconds >= 1 and sys.stderr.isatty():
            print(f"\r{what}: {events:,} events, {events / seconds:,.0f}/s ", end="", file=sys.stderr)
            shown = True

    try:
        yield seen
    finally:
        if shown:
            print(file=sys.stderr)
