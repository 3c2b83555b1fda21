"""The full path, the bare flush, building the index again: what each takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.evalstore.corpus import START, Corpus, requests
from schemas.case import EvalCase
from sinks.evalstore import StoreOwner
from sinks.evalstore.build import rows_of
from sinks.evalstore.clustering import load
from sinks.evalstore.staging import insert
from streams.steps.harvest import harvest

BATCH = 1_000


class Took(NamedTuple):
    """Seconds of the clock and of the processor, all threads."""

    what: str
    things: int
    wall: float
    cpu: float

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.things:,} in {self.wall:.1f} s, {self.things / self.wall:,.0f}/s; "
            f"{self.things / self.cpu:,.0f} per CPU-second"
        )


@contextmanager
def timed(what: str, things: int, said: Callable[[Took], None]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    said(Took(what, things, time.perf_counter() - wall, time.process_time() - cpu))


def full_path(path: Path, planted: Corpus, seed: int, said: Callable[[Took], None]) -> dict[str, str]:
    """Redact, build, link, commit; the cluster of each trace."""
    given = list(requests(planted.traces, seed))
    with StoreOwner.open(path) as owner:
        with timed("full path, cases: redact, build, link, commit", len(given), said):
            for first in range(0, len(given), BATCH):
                batch = [
                    harvest(request, event, None).case for request, event in given[first : first + BATCH]
                ]
                owner.write(batch, now=START)
        rows = owner._con.execute("SELECT trace_id, cluster_id FROM cases JOIN cluster_of USING (case_id)")
        return dict(rows.fetchall())


def bare_flush(path: Path, planted: Corpus, seed: int, said: Callable[[Took], None]) -> None:
    """Values to committed rows of cases and case_events, two a case, without linking; then all once more."""
    cases = [harvest(request, event, None).case for request, event in requests(planted.traces, seed)]
    with StoreOwner.open(path) as owner:
        for what in ("bare flush, rows", "the same rows again"):
            with timed(what, 2 * len(cases), said):
                for first in range(0, len(cases), BATCH):
                    _flush(owner, cases[first : first + BATCH])


def _flush(owner: StoreOwner, cases: list[EvalCase]) -> None:
    rows = [row for case in cases for row in rows_of(case, START)]
    owner._con.begin()
    insert(owner._con, rows)
    owner._con.commit()


def rebuild(path: Path, cases: int, said: Callable[[Took], None]) -> tuple[int, int]:
    """Open a store of cases with 40 words each, and build the index of their texts.

    The bytes that it says it holds, and those by which the process grew at most. The rows are made by the
    database, no two of them alike.
    """
    with StoreOwner.open(path) as owner:
        owner._con.execute(
            """INSERT INTO cases BY NAME SELECT 'case-' || i AS case_id, 'shop' AS app, '' AS environment,
                '' AS route, 't-' || i AS trace_id, make_timestamptz(i) AS ts, '{}' AS trace,
                array_to_string(list_transform(range(40), lambda w: 'w' || hash(i, w) % 30000), ' ')
                    AS question,
                sha256(i::VARCHAR) AS content_hash, true AS replayable, []::VARCHAR[] AS missing,
                0 AS redactions, 0 AS replaced_characters, make_timestamptz(i) AS first_seen
            FROM range(?) t(i)""",
            [cases],
        )
        owner._con.execute(
            """INSERT INTO case_clusters SELECT 'case-' || i, i, format('c-{:016x}', i), 'new', NULL, i
            FROM range(?) t(i)""",
            [cases],
        )
    with StoreOwner.open(path) as owner:
        before = _resident()
        with timed("building the index again, cases", cases, said):
            index = load(owner._con)
        return index.size, _resident() - before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
