"""``python -m benchmarks.evalstore``: near-duplicates found, and what the store's path takes.

Exit status 0: recall, precision, freshness under load and readers without an error are as claimed; 1: one is
not. Speeds are printed beside their marks and
decide nothing: they are the machine's as much as the store's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import duckdb

from benchmarks.evalstore.corpus import Corpus, corpus
from benchmarks.evalstore.found import found
from benchmarks.evalstore.reading import read_under_load
from benchmarks.evalstore.speed import Took, bare_flush, full_path, rebuild
from benchmarks.machine import machine

RECALL, PRECISION = 0.95, 0.99
MARKS = {
    "full path": {"1": 800, "2": 800},
    "bare flush": {"1": 3_500, "2": 9_000},
}
"""Cases and rows a second, by DuckDB's major version."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evalstore", description=__doc__)
    parser.add_argument("--cases", type=int, default=50_000, help="cases, planted ones included (50000)")
    parser.add_argument("--pairs", type=int, default=2_000, help="planted pairs (2000)")
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[17, 18, 19], help="one corpus each (17 18 19)"
    )
    parser.add_argument("--large", type=int, default=1_000_000, help="cases to build the index of (1000000)")
    parser.add_argument("--rate", type=int, default=100, help="cases a second while others read (100)")
    parser.add_argument("--reading", type=float, default=300, help="seconds of that; 0: not at all (300)")
    given = parser.parse_args()
    print(
        f"{machine()}, DuckDB {duckdb.__version__}; {given.cases:,} cases, {given.pairs:,} pairs", flush=True
    )
    sound = True
    for seed in given.seeds:
        sound = _one(corpus(given.cases, given.pairs, seed), seed) and sound
    with tempfile.TemporaryDirectory() as folder:
        bare_flush(
            Path(folder) / "store.duckdb", corpus(given.cases, 0, given.seeds[0]), given.seeds[0], _say
        )
    if given.large:
        with tempfile.TemporaryDirectory() as folder:
            size, grown = rebuild(Path(folder) / "store.duckdb", given.large, _say)
        print(
            f"index of {given.large:,} cases: {size / given.large:.0f} bytes a case, {size / 2**20:,.0f} "
            f"MiB; the process grew by {grown / 2**20:,.0f} MiB"
        )
    if given.reading:
        read = read_under_load(given.cases, given.rate, given.reading, given.seeds[0], _tell)
        print(f"reading under load: {'holds' if read else 'BROKEN'}", flush=True)
        sound = read and sound
    return 0 if sound else 1


def _tell(line: str) -> None:
    print(line, flush=True)


def _one(planted: Corpus, seed: int) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        result = found(planted, full_path(Path(folder) / "store.duckdb", planted, seed, _say))
    missed = ", ".join(f"{count} {change}" for change, count in sorted(result.missed.items())) or "none"
    sound = result.recall >= RECALL and result.precision >= PRECISION
    print(
        f"seed {seed}: recall {result.recall:.4f} ({result.right} of {result.planted}; missed: {missed}), "
        f"precision {result.precision:.4f} ({result.linked} pairs linked): {'holds' if sound else 'BROKEN'}",
        flush=True,
    )
    return sound


def _say(took: Took) -> None:
    name = took.what.partition(",")[0]
    mark = MARKS.get(name, {}).get(duckdb.__version__.partition(".")[0])
    beside = ""
    if mark is not None:
        by_clock, by_processor = took.things / took.wall / mark, took.things / took.cpu / mark
        beside = f" (mark {mark:,}/s: {by_clock:.2f} of it by the clock, {by_processor:.2f} by the processor)"
    print(f"{took}{beside}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
