"""The process that runs somebody else's SQL: one query after the other, from its input, under limits.

It holds nothing between two queries, so what was forgotten is in none. A function that ignores being stopped,
or takes memory that DuckDB does not count, ends this process at most; ``children`` makes another.
"""

from __future__ import annotations

import json
import math
import os
import resource
import struct
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import duckdb

from sinks.evalstore.bounded import MOST_TEXT
from sinks.evalstore.errors import BadQuery, NoStore, StoreError
from sinks.evalstore.plain import plain
from sinks.evalstore.query import run_query
from sinks.evalstore.snapshots import open_reader

HEAD = struct.Struct(">BI")
"""Before each answer: what kind of answer, and how many bytes."""
MOST_BYTES = 64 << 20
"""Of an answer: as JSON, text may take several times its characters, and numbers have none."""
MEMORY = 1536 << 20
"""Bytes of address space beyond what the libraries have taken when they are loaded."""
THREADS = 2


class Kind(IntEnum):
    ROWS = 0
    """JSON: columns, rows, more."""
    BAD = 1
    """The query is at fault, and why."""
    NONE = 2
    """There is no snapshot."""
    FAULT = 3
    """Of Gleaner's own: an exception's name. The process ends after it."""


def answer(request: dict[str, Any]) -> tuple[Kind, bytes]:
    """The answer to one request: ``snapshots``, ``query``, ``seconds``, ``limit``."""
    try:
        con = open_reader(Path(request["snapshots"]), spill=False)
        try:
            found = run_query(
                con,
                request["query"],
                seconds=request["seconds"],
                limit=request["limit"],
                most=MOST_TEXT,
                slow="narrow it",
            )
        finally:
            con.close()
        body = {"columns": found.columns, "rows": plain(found.rows), "more": found.more}
        data = json.dumps(body, ensure_ascii=False, allow_nan=False, default=str).encode()
    except BadQuery as error:
        return Kind.BAD, str(error).encode()
    except NoStore as error:
        return Kind.NONE, str(error).encode()
    except RecursionError:
        return Kind.BAD, b"a value of the answer nests too deep for JSON: select less of it"
    except MemoryError:
        return Kind.BAD, b"the query needs more memory than it may take: narrow it"
    except (StoreError, duckdb.Error, ValueError) as error:
        return Kind.FAULT, type(error).__name__.encode()
    if len(data) > MOST_BYTES:
        return Kind.BAD, f"the answer has more than {MOST_BYTES:,} bytes: select less".encode()
    return Kind.ROWS, data


def limit_memory() -> None:
    """Once the libraries are loaded: what they reserve differs between machines. No core, no file."""
    duckdb.connect(":memory:", config={"threads": THREADS}).execute("SELECT 1").fetchall()
    with open("/proc/self/statm") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limit_time(seconds: float) -> None:
    """Processor time from now on, for where nobody is left to end this process at its deadline."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = math.ceil(used.ru_utime + used.ru_stime + THREADS * seconds + 2)
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def send(out: BinaryIO, kind: Kind, data: bytes = b"") -> None:
    out.write(HEAD.pack(kind, len(data)))
    out.write(data)
    out.flush()


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    limit_memory()
    send(out, Kind.ROWS)  # ready
    for line in sys.stdin.buffer:
        request = json.loads(line)
        limit_time(request["seconds"])
        kind, data = answer(request)
        send(out, kind, data)
        if kind is Kind.FAULT:
            return
