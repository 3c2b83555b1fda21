"""Every contender on the same streams, at the same run length: its delays, and their ratio to ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.detectors.contenders import ADWIN, FIELD, OURS, SAFE
from benchmarks.detectors.protocol import (
    SCENARIOS,
    Delays,
    NullRuns,
    delays,
    matched_settings,
    null_runs,
    part_of,
    summary,
)
from benchmarks.detectors.streams import Array
from benchmarks.detectors.watchers import Contender

RESAMPLES = 1_000


class Ratio(NamedTuple):
    """Median delay over ours, with the 95 % interval of a bootstrap over streams."""

    value: float
    low: float
    high: float


class Standing(NamedTuple):
    """One contender: its setting, how it ran on fresh nulls, and by scenario what it saw."""

    name: str
    streams: int
    setting: float
    nulls: NullRuns
    delays: dict[str, Delays]
    ratios: dict[str, Ratio]


def compare(
    family: str, contenders: Sequence[Contender], streams: int, seed: int, workers: int
) -> list[Standing]:
    """Ours is among the contenders."""
    chosen = [scenario for scenario in SCENARIOS.values() if scenario.family == family]
    settings = matched_settings(chosen[0], contenders, streams, seed, workers)
    nulls = null_runs(chosen[0], contenders, settings, streams, seed, workers)
    seen = {one.name: delays(one, contenders, settings, streams, seed, workers) for one in chosen}
    counts = part_of(streams, contenders)
    return [
        Standing(
            one.name,
            counts[one.name],
            settings[one.name],
            nulls[one.name],
            {scenario: summary(found[one.name]) for scenario, found in seen.items()},
            {scenario: paired_ratio(found[one.name], found[OURS.name]) for scenario, found in seen.items()},
        )
        for one in contenders
    ]


def paired_ratio(theirs: Array, ours: Array) -> Ratio:
    """Of medians over the same streams; streams with an early alarm are left out of that side's median. A
    median that is missed is infinite, and so is its ratio.

    >>> paired_ratio(np.array([20.0, 40.0, np.nan]), np.array([10.0, 20.0, 30.0])).value
    1.5
    """
    ours = ours[: len(theirs)]
    with np.errstate(invalid="ignore"):
        drawn = np.random.default_rng(0).integers(0, len(ours), (RESAMPLES, len(ours)))
        ratios = np.array([_median(theirs[chosen]) / _median(ours[chosen]) for chosen in drawn])
    ratios = ratios[~np.isnan(ratios)]
    if not len(ratios):
        return Ratio(math.nan, math.nan, math.nan)
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    return Ratio(_median(theirs) / _median(ours), float(low), float(high))


def _median(found: Array) -> float:
    """Of what is no NaN; between two middle values the mean, infinite where one of them is."""
    counted = np.sort(found[~np.isnan(found)])
    n = len(counted)
    return float((counted[(n - 1) // 2] + counted[n // 2]) / 2.0) if n else math.nan


def claims(family: str, found: Sequence[Standing]) -> list[tuple[str, bool]]:
    """What docs/detectors-benchmark.md claims, and whether the figures agree: the guaranteed run length (two
    standard errors), and that no change is seen later than by ADWIN (95 % interval)."""
    by_name = {one.name: one for one in found}
    safe = by_name[SAFE.name].nulls
    bound = 1.0 - math.exp(-1.0)
    said = [
        (
            f"{family}: at A = 50,000 {safe.alarmed:.2f} (+- {safe.error:.2f}) of null streams alarm within"
            f" 50,000 units, a run length of {safe.run_length:,.0f}, at most {bound:.2f} allowed",
            safe.alarmed - 2 * safe.error <= bound,
        )
    ]
    if ADWIN.name in by_name:
        for scenario, ratio in by_name[ADWIN.name].ratios.items():
            text = (
                f"{scenario}: ADWIN takes {ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}] of our delay"
            )
            said.append((text, ratio.high >= 1.0))
    return said


def table(family: str, found: Sequence[Standing]) -> str:
    """Markdown: a row per contender, a column per scenario."""
    names = [scenario.name for scenario in SCENARIOS.values() if scenario.family == family]
    lines = [
        f"| {family} | streams | alarm in 50k, run length | " + " | ".join(names) + " |",
        "|---|---|---|" + "---|" * len(names),
    ]
    for one in found:
        length = "unlimited" if math.isinf(one.nulls.run_length) else f"{one.nulls.run_length / 1_000:,.0f}k"
        cells = [_cell(one.delays[name], one.ratios[name], one.name == OURS.name) for name in names]
        head = f"| {one.name} | {one.streams} | {one.nulls.alarmed:.2f}, {length} | "
        lines.append(head + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(seen: Delays, ratio: Ratio, ours: bool) -> str:
    missed = f" ({seen.missed:.0%})" if seen.missed else ""
    text = f"{_units(seen.median)} / {_units(seen.p95)}{missed}"
    if ours or math.isnan(ratio.value):
        return text
    return f"{text}; {_times(ratio.value)} [{_times(ratio.low)}, {_times(ratio.high)}]"


def _units(value: float) -> str:
    return ">10k" if math.isinf(value) else f"{value:,.0f}"


def _times(value: float) -> str:
    return "-" if math.isinf(value) else f"{value:.2f}"


def contenders_of(family: str, field: bool) -> list[Contender]:
    return FIELD[family] if field else [OURS, SAFE]
