"""A few processes for somebody else's SQL, warm, each ended where a query outlives its time.

Why not in the process that asks: some of DuckDB's functions neither stop when they are interrupted nor count
the memory that they take, and that process owns the store (decision 0034).
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import sinks
from sinks.evalstore.child import HEAD, Kind
from sinks.evalstore.errors import BadQuery, NoStore, QueriesBusy, StoreBusy, StoreError

log = logging.getLogger(__name__)

STARTING = 60.0
"""Seconds for a process to load its libraries: about one, and many on a machine that is busy."""
GRACE = 1.0
"""Seconds after a query's own within which it should have stopped by itself, with the better message."""
LENGTH = 1 << 20
PROGRAM = "import sys; sys.path.append(sys.argv[1]); from sinks.evalstore.child import main; main()"
ROOT = str(Path(sinks.__file__).parents[1])


class Child:
    """One process. For one thread at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-B", "-c", PROGRAM, ROOT]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )
        self._ready = False

    def ask(self, request: dict[str, object], seconds: float) -> tuple[Kind, bytes]:
        """Raises ``TimeoutError`` after ``seconds`` and some grace, ``EOFError`` where it has ended."""
        if not self._ready:
            try:
                self._read(time.monotonic() + STARTING)
            except (EOFError, TimeoutError):
                raise StoreError("the process for queries did not start") from None
            self._ready = True
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise EOFError from None
        return self._read(time.monotonic() + seconds + GRACE)

    def _read(self, deadline: float) -> tuple[Kind, bytes]:
        kind, length = HEAD.unpack(self._bytes(HEAD.size, deadline))
        return Kind(kind), self._bytes(length, deadline)

    def _bytes(self, count: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        found = bytearray()
        while len(found) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError
            data = os.read(descriptor, min(count - len(found), LENGTH))
            if not data:
                raise EOFError
            found += data
        return bytes(found)

    def kill(self) -> None:
        """Whoever waits for its answer gets ``EOFError``."""
        self._process.kill()

    def end(self) -> None:
        """Gone for good; for the thread that has it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class Children:
    """``count`` processes, for as many queries at a time. For many threads."""

    def __init__(self, snapshots: Path, count: int) -> None:
        self._snapshots, self._count = snapshots, count
        self._lock = threading.Lock()
        self._all = {Child() for _ in range(count)}
        self._idle = list(self._all)
        self._closed = False

    def run(self, sql: str, *, seconds: float, limit: int) -> bytes:
        """At most ``limit`` rows of one SELECT on the newest snapshot, as JSON: columns, rows, more.

        Raises ``QueriesBusy`` where as many run as may, ``BadQuery`` with the reason in one line where the
        query is refused, wrong, too slow or too large, ``NoStore`` without a snapshot.
        """
        child = self._take()
        request: dict[str, object] = {"snapshots": str(self._snapshots), "query": sql}
        request |= {"seconds": seconds, "limit": limit}
        try:
            kind, data = child.ask(request, seconds)
        except TimeoutError:
            self._replace(child)
            raise BadQuery(f"the query took longer than {seconds:g} s: narrow it") from None
        except EOFError:
            self._replace(child)
            raise BadQuery("the query needs more memory or time than it may take: narrow it") from None
        except BaseException:
            self._replace(child)
            raise
        if kind is Kind.FAULT:
            self._replace(child)
            log.error("store: a query failed: %s", data.decode())
            raise StoreError(f"the query could not be run: {data.decode()}")
        self._give_back(child)
        if kind is Kind.BAD:
            raise BadQuery(data.decode())
        if kind is Kind.NONE:
            raise NoStore(data.decode())
        return data

    def _take(self) -> Child:
        with self._lock:
            if self._closed:
                raise StoreBusy("the store is closed: its owner is ending")
            if not self._idle and len(self._all) < self._count:
                self._start()  # one that could not be started when it was due
            if not self._idle:
                raise QueriesBusy(f"{self._count} queries are running: try again")
            return self._idle.pop()

    def _give_back(self, child: Child) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(child)
                return
        child.end()

    def _replace(self, child: Child) -> None:
        child.end()
        with self._lock:
            self._all.discard(child)
            if self._closed:
                return
            try:
                self._start()
            except OSError as error:
                log.error("store: no new process for queries: %s", error)

    def _start(self) -> None:
        fresh = Child()
        self._all.add(fresh)
        self._idle.insert(0, fresh)  # the warm ones first

    def close(self) -> None:
        """End them all, whatever they are at; harmless a second time."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            running, self._all = self._all.difference(idle), set()
        for child in idle:
            child.end()
        for child in running:
            child.kill()  # the thread that asked it ends it
