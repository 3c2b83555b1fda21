"""``python -m benchmarks.replay``: a backtest of a million events, its CPU time and its memory.

The events are ``benchmarks.traffic`` of four applications over two weeks, nine traces to a piece of
feedback. Beside it, in the same run, a bare loop that parses the same lines and does nothing else.
Each is a process of its own. Exit status 0: the marks hold; 1: one is missed.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from benchmarks.machine import machine, versions
from benchmarks.traffic import Traffic

START_MS = 1_767_225_600_000
DAYS = 14
DAY_MS = 86_400_000
SAID = 0.11
"""Share of the traces that somebody says something of."""
MILLION = 1_000_000
MARK_SECONDS = 60.0
"""CPU time of a backtest of a million events, user and system together."""
MARK_BYTES = 2_000_000_000
"""Peak memory of that backtest."""


def write(folder: Path, events: int) -> list[Path]:
    """``traces.jsonl`` and ``feedback.jsonl`` with about so many events together."""
    traffic, rng = Traffic(START_MS, seed=3), random.Random(5)
    traces, feedback = folder / "traces.jsonl", folder / "feedback.jsonl"
    with traces.open("wb") as out, feedback.open("wb") as said:
        for trace in traffic.events(round(events / (1 + SAID)), DAYS * DAY_MS):
            _line(out, trace)
            if rng.random() < SAID:
                _line(said, _feedback(rng, trace))
    return [traces, feedback]


def _feedback(rng: random.Random, trace: dict[str, Any]) -> dict[str, Any]:
    thumbs = rng.random() < 0.8
    return {
        "feedback_id": f"f{rng.getrandbits(64):x}",
        "trace_id": trace["trace_id"],
        "app": trace["app"],
        "timestamp": trace["timestamp"] + 60_000 + rng.randrange(300_000),
        "kind": "thumbs" if thumbs else "escalation",
        "value": ("up" if rng.random() < 0.8 else "down") if thumbs else 1,
    }


def _line(out: IO[bytes], value: dict[str, Any]) -> None:
    out.write(orjson.dumps(value) + b"\n")


def parse(files: Sequence[Path]) -> int:
    """The bare loop."""
    events = 0
    for file in files:
        with file.open("rb") as lines:
            for line in lines:
                orjson.loads(line)
                events += 1
    return events


def backtested(files: Sequence[Path]) -> int:
    from detectors.rules import DEFAULT_RULES
    from streams.backtest import backtest, policy_with
    from streams.settings import Settings

    return backtest(files, policy_with(Settings(), DEFAULT_RULES)).events


CASES: dict[str, Callable[[Sequence[Path]], int]] = {"parsing alone": parse, "backtest": backtested}


def measure(case: str, files: Sequence[Path]) -> dict[str, float]:
    """One case in this process; memory is its peak since it started."""
    begun = time.monotonic()
    events = CASES[case](files)
    wall, used = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "events": events,
        "user": used.ru_utime,
        "system": used.ru_stime,
        "wall": wall,
        "bytes": used.ru_maxrss * 1024,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=MILLION, help="how many, about (1000000)")
    parser.add_argument("--case", choices=list(CASES), help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="*", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.case:
        print(json.dumps(measure(given.case, given.files)))
        return 0
    if given.events < 1:
        parser.error("--events is at least 1")
    print(f"{datetime.datetime.now(tz=datetime.UTC).date()}, {machine()}\n{versions()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), given.events)
        size = sum(file.stat().st_size for file in files)
        results = {case: _child(case, files) for case in CASES}
    events = int(results["backtest"]["events"])
    print(f"{events:,} events, {size / 1e9:.2f} GB, {DAYS} days of four applications\n")
    print("| case | CPU seconds (user, system) | wall seconds | events per CPU-second | peak memory |")
    print("|---|---|---|---|---|")
    for case, used in results.items():
        print(
            f"| {case} | {_cpu(used):.1f} ({used['user']:.1f}, {used['system']:.1f}) | {used['wall']:.1f}"
            f" | {used['events'] / _cpu(used):,.0f} | {used['bytes'] / 1e9:.2f} GB |"
        )
    ratio = _cpu(results["backtest"]) / _cpu(results["parsing alone"])
    print(f"\nA backtest takes {ratio:.1f} times the CPU of parsing its lines.")
    if events < MILLION * 0.9:
        print("The marks are those of a million events: not looked at.")
        return 0
    used = results["backtest"]
    seconds = _cpu(used) * MILLION / events
    held = seconds <= MARK_SECONDS and used["bytes"] <= MARK_BYTES
    print(
        f"{'holds' if held else 'MISSED'}: {seconds:.1f} CPU seconds a million (mark {MARK_SECONDS:.0f}),"
        f" {used['bytes'] / 1e9:.2f} GB (mark {MARK_BYTES / 1e9:.0f})"
    )
    return 0 if held else 1


def _cpu(used: dict[str, float]) -> float:
    return used["user"] + used["system"]


def _child(case: str, files: Sequence[Path]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.replay", "--case", case, *map(str, files)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    sys.exit(main())
