"""``python -m benchmarks.alerts``: what is promised of alerts, at length.

Exit status 0: all of it holds; 1: something is broken, and named with its seed; 2: wrong use.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.alerts import hostile, latency, storm
from benchmarks.alerts.faults import Outcomes, run
from benchmarks.machine import machine
from tests.kafka.server import KafkaServer, missing

PARTS = ("faults", "storm", "hostile", "latency")
CHUNK = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="fault runs, one seed each (1000)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--only", choices=PARTS, nargs="+", help="these parts; all but latency need no Kafka")
    parser.add_argument(
        "--brokers",
        default=os.environ.get("GLEANER_TEST_BROKERS", ""),
        help="a real Kafka for latency (GLEANER_TEST_BROKERS; else one is started, with Java and Maven)",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes of the fault runs (2)")
    parser.add_argument("--rate", type=int, default=500, help="traces a second under latency (500)")
    parser.add_argument("--incidents", type=int, default=100, help="incidents that latency measures (100)")
    given = parser.parse_args()
    chosen: Sequence[str] = given.only or PARTS
    if given.runs < 1 or given.workers < 1 or given.incidents < 1:
        parser.error("--runs, --workers and --incidents are at least 1")
    if "latency" in chosen and not given.brokers and (lacking := missing()):
        parser.error(f"latency needs a real Kafka: {lacking}, and --brokers names none")
    print(f"{machine()}", flush=True)
    # What is refused, lost and late is the point here; the log would be all of it.
    logging.disable(logging.CRITICAL)
    sound = True
    if "faults" in chosen:
        sound = _faults(range(given.seed, given.seed + given.runs), given.workers) and sound
    for name, part in (("storm", storm.storm), ("hostile", hostile.hostile)):
        if name in chosen:
            with tempfile.TemporaryDirectory() as folder:
                held, lines = asyncio.run(part(Path(folder)))
            sound = _say(name, held, lines) and sound
    if "latency" in chosen:
        with _kafka(given.brokers) as brokers:
            plan = latency.Plan(brokers, given.rate, given.incidents)
            held, lines = latency.report(asyncio.run(latency.measure(plan)))
        sound = _say(f"latency ({machine()})", held, lines) and sound
    return 0 if sound else 1


@contextlib.contextmanager
def _kafka(brokers: str) -> Iterator[str]:
    """``brokers``, or those of a node that lives as long as the block."""
    if brokers:
        yield brokers
        return
    with KafkaServer() as server:
        yield server.bootstrap


def _faults(seeds: range, workers: int) -> bool:
    begun = time.monotonic()
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    counts: Counter[str] = Counter()
    broken: list[str] = []
    with ProcessPoolExecutor(workers) as pool:
        for outcomes in pool.map(_chunk, chunks):
            for one in outcomes:
                counts += one.counts
                broken += [f"BROKEN: seed {one.seed}: {words}" for words in one.broken]
    happened = ", ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
    seconds = time.monotonic() - begun
    lines = [
        f"seeds {seeds.start} to {seeds.stop - 1}, {len(seeds):,} runs in {seconds:.0f} s: {happened}",
        *broken,
    ]
    return _say("faults", not broken, lines)


def _chunk(seeds: range) -> list[Outcomes]:
    logging.disable(logging.CRITICAL)
    return asyncio.run(_runs(seeds))


async def _runs(seeds: range) -> list[Outcomes]:
    found = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            found.append(await run(seed, Path(folder)))
    return found


def _say(name: str, held: bool, lines: Sequence[str]) -> bool:
    print(f"\n{name}: {'holds' if held else 'BROKEN'}")
    for line in lines:
        print(f"  {line}", flush=True)
    return held


if __name__ == "__main__":
    sys.exit(main())
