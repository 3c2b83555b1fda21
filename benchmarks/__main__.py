"""``python -m benchmarks``: Gleaner's path beside the bare loops, in events per CPU-second.

Exit status 0: every mark holds; 1: one is missed; 2: wrong use.
"""

from __future__ import annotations

import argparse
import datetime
import sys

from benchmarks.machine import machine, versions
from benchmarks.plan import SHAPES
from benchmarks.report import table, verdicts
from benchmarks.rounds import Order, run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Events per CPU-second of ingest, rolling and the whole path, beside bare loops.",
        epilog="example: python -m benchmarks --only packed --rounds 5 --brokers 127.0.0.1:9092",
    )
    parser.add_argument("--rounds", type=int, default=5, help="times that every case has its turn (5)")
    parser.add_argument(
        "--events", type=int, default=20_000, help="events a round; three times as many when packed (20000)"
    )
    parser.add_argument(
        "--brokers", default="", help="a real Kafka; without it the embedded broker is started"
    )
    parser.add_argument("--only", choices=[shape.name for shape in SHAPES], help="one shape of messages")
    given = parser.parse_args()
    if given.rounds < 1 or given.events < 20:
        parser.error("--rounds is at least 1, --events at least 20")
    return given


def main() -> int:
    given = arguments()
    shapes = [shape for shape in SHAPES if given.only in (None, shape.name)]
    broker = f"Kafka at {given.brokers}" if given.brokers else "the embedded broker"
    print(f"{datetime.datetime.now(tz=datetime.UTC).date()}, {machine()}")
    print(f"{versions()}; {broker}\n", flush=True)
    results = run(Order(shapes, given.rounds, given.events, given.brokers), _say)
    for shape, rounds in results.items():
        print("\n".join(table(shape, rounds)) + "\n")
    found = verdicts(results)
    for _, words in found:
        print(words)
    return 0 if all(held for held, _ in found) else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
