"""Reads of the live rows beside their one writer, in the owner's process: what is committed is seen at once.

Each read has a connection of its own to the same database, which shows it one consistent state, and neither
waits for a write nor makes one wait. Only a checkpoint, and writing the file anew, wait until nobody reads;
who comes then waits for them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
from duckdb import DuckDBPyConnection

from sinks.evalstore.errors import BadQuery, StoreBusy
from sinks.evalstore.snapshots import no_progress_bar

SECONDS = 10.0
"""A read is stopped after so long: a checkpoint waits for those that run."""


class Readers:
    """For many threads. ``con`` is the owner's connection, with the store attached under its name."""

    def __init__(self, con: DuckDBPyConnection) -> None:
        self._parent = con.cursor()  # the owner's own may be in the middle of something in another thread
        self._turn = threading.Condition()
        self._reading = 0
        self._closed = self._alone = False

    @contextmanager
    def reading(self, seconds: float = SECONDS) -> Iterator[DuckDBPyConnection]:
        """A connection for one thread, to read with. Raises ``BadQuery`` after ``seconds``, ``StoreBusy``
        where the owner has let go of the store.
        """
        with self._turn:
            self._turn.wait_for(lambda: not self._alone)
            if self._closed:
                raise StoreBusy("the store is closed: its owner is ending")
            con = self._parent.cursor()
            self._reading += 1
        timer = threading.Timer(seconds, con.interrupt)
        timer.daemon = True
        try:
            con.execute("USE store")
            con.execute("SET TimeZone = 'UTC'")
            no_progress_bar(con)
            timer.start()
            con.begin()  # several statements see one state
            yield con
        except duckdb.InterruptException:
            raise BadQuery(f"reading took longer than {seconds:g} s: narrow it") from None
        finally:
            timer.cancel()
            con.close()
            with self._turn:
                self._reading -= 1
                self._turn.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody reads meanwhile; who comes waits."""
        with self._turn:
            self._alone = True
            self._turn.wait_for(lambda: not self._reading)
        try:
            yield
        finally:
            with self._turn:
                self._alone = False
                self._turn.notify_all()

    def close(self) -> None:
        with self.alone():
            self._closed = True
            self._parent.close()
