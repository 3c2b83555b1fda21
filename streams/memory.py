"""How often a role looks for garbage cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 50_000
"""Container objects made since the last look before the next one; Python's own choice is 700."""


def collect_rarely() -> None:
    """Leave out what start-up has made from now on, and look for cycles seventy times as rarely.

    A role keeps hundreds of thousands of small tuples for minutes (rows above the watermark, open
    conversations, units of a detector). Python's collector walks over them again and again, and never
    finds anything: they are freed by counting. Cycles are still found, only later: it costs memory where
    somebody makes many of them quickly.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 100)


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """:func:`collect_rarely` for the length of a command that holds a file of events in memory."""
    before = gc.get_threshold()
    collect_rarely()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
