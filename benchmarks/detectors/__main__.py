"""``python -m benchmarks.detectors``: run lengths and delays of the shipped detectors.

Exit status 0: every bound that is claimed holds (within two standard errors); 1: one is broken.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.detectors.attribution import report
from benchmarks.detectors.fleet import fleet
from benchmarks.detectors.protocol import (
    GUARANTEED,
    NULL_UNITS,
    Delays,
    delays,
    matched_threshold,
    null_runs,
    scenarios,
)
from benchmarks.machine import machine


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__)
    parser.add_argument(
        "--streams",
        type=int,
        default=200,
        help="streams a figure (200); cost: half of it; a twentieth of incidents",
    )
    parser.add_argument("--seed", type=int, default=5_000_000, help="first seed (5000000)")
    parser.add_argument("--only", choices=["faithfulness", "rate", "cost", "fleet", "attribution"])
    parser.add_argument("--segments", type=int, default=1_000, help="segments of the fleet (1000)")
    given = parser.parse_args()
    print(f"{machine()}; seeds from {given.seed}, {given.streams} streams (cost: half)\n", flush=True)
    sound = True
    if given.only not in ("fleet", "attribution"):
        sound = _families(given.streams, given.seed, given.only) and sound
    if given.only in (None, "fleet"):
        sound = _fleet(given.segments, given.seed) and sound
    if given.only in (None, "attribution"):
        print()
        sound = report(max(given.streams // 20, 1), given.seed) and sound
    return 0 if sound else 1


def _families(streams: int, seed: int, only: str | None) -> bool:
    sound, matched = True, {}
    print("| median / p95 (missed) | at a matched run length | at the guaranteed threshold |")
    print("|---|---|---|")
    lines = []
    for scenario in scenarios():
        if only not in (None, scenario.family):
            continue
        r = streams // 2 if scenario.family == "cost" else streams
        if scenario.family not in matched:
            threshold = matched[scenario.family] = matched_threshold(scenario, r, seed)
            at_matched = null_runs(scenario, r, seed, threshold)
            nulls = null_runs(scenario, r, seed, GUARANTEED)
            bound = min(1.0, NULL_UNITS / GUARANTEED)
            holds = nulls.alarmed - 2 * nulls.error <= 1 - 2.718281828**-bound
            sound = sound and holds
            lines.append(
                f"{scenario.family}: at A = 50,000 {nulls.alarmed:.2f} of null streams alarm within 50,000"
                f" units (+- {nulls.error:.2f}), a run length of {nulls.run_length:,.0f}: the bound of 50,000"
                f" {'holds' if holds else 'is BROKEN'}; matched threshold {threshold:,.0f}, measured again"
                f" {at_matched.alarmed:.2f}, {at_matched.run_length:,.0f}"
            )
        found = delays(scenario, r, seed, matched[scenario.family])
        safe = delays(scenario, r, seed, GUARANTEED)
        print(f"| {scenario.name} | {_text(found)} | {_text(safe)} |", flush=True)
    print("\n" + "\n".join(lines), flush=True)
    return sound


def _text(found: Delays) -> str:
    return f"{found.median:,.0f} / {found.p95:,.0f} ({found.missed:.0%})"


def _fleet(segments: int, seed: int) -> bool:
    print()
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
    return sound


if __name__ == "__main__":
    sys.exit(main())
