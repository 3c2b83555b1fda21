"""``python -m benchmarks.detectors``: run lengths and delays of the shipped detectors, and of the field's.

Exit status 0: every bound that is claimed holds (within its interval), no change is seen later than by a
tuned ADWIN, and attribution reaches its marks; 1: something of that is broken.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.detectors import comparison, nab, nulls, recovery
from benchmarks.detectors.attribution import report
from benchmarks.detectors.contenders import FIELD
from benchmarks.detectors.fleet import fleet
from benchmarks.machine import machine

FAMILIES = tuple(FIELD)
PARTS = (*FAMILIES, "comparison", "nulls", "fleet", "recovery", "attribution", "nab")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    parser.add_argument(
        "--streams",
        type=int,
        default=100,
        help="streams a figure (100); a twentieth of incidents a kind and signal",
    )
    parser.add_argument("--seed", type=int, default=5_000_000, help="first seed (5000000)")
    parser.add_argument(
        "--only",
        choices=PARTS,
        help="one part: a family of signals with our detectors alone, or all of them with the field's",
    )
    parser.add_argument("--segments", type=int, default=1_000, help="segments of the fleet (1000)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument("--nab", type=Path, default=Path("data/nab"), help="folder of NAB's files (data/nab)")
    given = parser.parse_args()
    print(f"{machine()}; seeds from {given.seed}, {given.streams} streams\n", flush=True)
    chosen = (given.only,) if given.only else PARTS[len(FAMILIES) :]
    sound = True
    for part in chosen:
        if part == "nulls":
            sound = _nulls(given.streams, given.seed, given.workers) and sound
        elif part == "fleet":
            sound = _fleet(given.segments, given.seed) and sound
        elif part == "recovery":
            print(recovery.table(list(recovery.recovery(given.streams, given.seed))) + "\n", flush=True)
        elif part == "attribution":
            sound = report(max(given.streams // 20, 1), given.seed, given.workers) and sound
            print()
        elif part == "nab":
            print(nab.table(given.nab) + "\n", flush=True)
        else:
            families = FAMILIES if part == "comparison" else (part,)
            for family in families:
                field = part == "comparison"
                sound = _family(family, field, given.streams, given.seed, given.workers) and sound
    return 0 if sound else 1


def _family(family: str, field: bool, streams: int, seed: int, workers: int) -> bool:
    found = comparison.compare(family, comparison.contenders_of(family, field), streams, seed, workers)
    print(comparison.table(family, found) + "\n")
    sound = True
    for text, holds in comparison.claims(family, found):
        print(f"{text}: {'holds' if holds else 'BROKEN'}")
        sound = sound and holds
    print(flush=True)
    return sound


def _nulls(streams: int, seed: int, workers: int) -> bool:
    found = nulls.nulls(streams, seed, workers)
    print(nulls.table(found) + "\n", flush=True)
    return all(one.holds for one in found if one.claimed)


def _fleet(segments: int, seed: int) -> bool:
    sound = True
    for signal in ("faithfulness", "rate"):
        done = fleet(signal, segments, 200, 4.0, seed)
        # One page in four weeks is allowed: by chance five or more come once in 270 such spans.
        holds = done.pages <= 4
        sound = sound and holds
        print(
            f"fleet: {signal}, {done.segments:,} healthy segments of 200 units a day, {done.weeks:g} weeks:"
            f" {done.pages} false pages, {done.allowed:g} allowed: {'holds' if holds else 'BROKEN'}",
            flush=True,
        )
    print()
    return sound


if __name__ == "__main__":
    sys.exit(main())
