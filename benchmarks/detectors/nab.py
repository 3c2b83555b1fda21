"""A smoke test on real series: some files of the Numenta Anomaly Benchmark, where they are at hand.

NAB's labels are criticised (Wu & Keogh, arXiv 2009.13807) and its series are metrics of machines, not
units of requests: this shows whether a detector copes with real series, not which is best. Nothing is
tuned on them: ours as shipped, the others at their usual settings.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean, pstdev
from typing import NamedTuple

from river import drift

from benchmarks.detectors.searched import River
from detectors.baseline import ArmingPolicy
from detectors.cost import CostDetector

PROBATION = 0.15
"""Part of a file in which NAB counts nothing: detectors learn there."""
BUDGET_WEEKS = 8.0
"""Of each of our two directions, so four weeks together."""
LEAST = 1e-6
"""Floor of a value whose inverse is watched."""
DAY_MS = 86_400_000
EWMA_WEIGHT, EWMA_LIMIT = 0.05, 3.0


class Series(NamedTuple):
    """``windows`` are the labelled spans of time; times in ms."""

    name: str
    times: list[int]
    values: list[float]
    windows: list[tuple[int, int]]


class Score(NamedTuple):
    name: str
    found: int
    windows: int
    false_per_1000: float
    episodes_per_1000: float
    """False alarms of less than a day after the one before are one episode, as they are one incident."""


def series(folder: Path) -> list[Series]:
    """Every file of ``data`` that ``labels/combined_windows.json`` knows."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    found = []
    for path in sorted((folder / "data").glob("*/*.csv")):
        name = f"{path.parent.name}/{path.name}"
        with path.open() as lines:
            rows = [(_ms(row["timestamp"]), float(row["value"])) for row in csv.DictReader(lines)]
        windows = [(_ms(begin), _ms(end)) for begin, end in labels[name]]
        found.append(Series(name, [time for time, _ in rows], [value for _, value in rows], windows))
    return found


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def ours(one: Series) -> list[int]:
    """The detector of costs on the values and on their inverses: what rises, and what falls."""
    found: list[int] = []
    for values in (one.values, [1.0 / max(value, LEAST) for value in one.values]):
        detector = CostDetector(BUDGET_WEEKS, ArmingPolicy())
        for at, (time, value) in enumerate(zip(one.times, values, strict=True)):
            if detector.update(time, f"{at}", value, 1, True):
                found.append(at)
                detector.reset()
    return sorted(found)


def adwin(one: Series) -> list[int]:
    return _river(drift.ADWIN(), one)


def page_hinkley(one: Series) -> list[int]:
    return _river(drift.PageHinkley(), one)


def _river(detector: River, one: Series) -> list[int]:
    found = []
    for at, z in enumerate(_standardised(one)):
        detector.update(z)
        if detector.drift_detected:
            found.append(at)
    return found


def ewma(one: Series) -> list[int]:
    """Both ways, from 0 again after each alarm."""
    limit = EWMA_LIMIT * math.sqrt(EWMA_WEIGHT / (2.0 - EWMA_WEIGHT))
    level, found = 0.0, []
    for at, z in enumerate(_standardised(one)):
        level += EWMA_WEIGHT * (z - level)
        if abs(level) >= limit:
            found.append(at)
            level = 0.0
    return found


def _standardised(one: Series) -> list[float]:
    """By the probationary part."""
    start = one.values[: _counted_from(one)]
    mean, deviation = fmean(start), pstdev(start) or 1.0
    return [(value - mean) / deviation for value in one.values]


def _counted_from(one: Series) -> int:
    return int(PROBATION * len(one.values))


DETECTORS: dict[str, Callable[[Series], list[int]]] = {
    "cost detector, both directions": ours,
    "ADWIN, defaults": adwin,
    "Page-Hinkley, defaults": page_hinkley,
    f"EWMA {EWMA_WEIGHT:g} at {EWMA_LIMIT:g} sigma": ewma,
}


def score(name: str, detect: Callable[[Series], list[int]], all_series: Sequence[Series]) -> Score:
    """A window is found by any alarm in it; every alarm outside of all windows is false."""
    found = windows = false = episodes = points = 0
    for one in all_series:
        start = _counted_from(one)
        alarms = [one.times[at] for at in detect(one) if at >= start]
        points += len(one.values) - start
        windows += len(one.windows)
        found += sum([any(begin <= time <= end for time in alarms) for begin, end in one.windows])
        wrong = [time for time in alarms if not any(begin <= time <= end for begin, end in one.windows)]
        false += len(wrong)
        episodes += sum([at == 0 or time - wrong[at - 1] >= DAY_MS for at, time in enumerate(wrong)])
    return Score(name, found, windows, 1000.0 * false / points, 1000.0 * episodes / points)


def table(folder: Path) -> str:
    """Markdown, or one line that says why there is none."""
    if not (folder / "labels" / "combined_windows.json").is_file():
        return f"NAB: skipped, {folder}/labels/combined_windows.json is not here (--nab names the folder)"
    all_series = series(folder)
    lines = [
        f"| NAB, {len(all_series)} files | windows found | false alarms per 1,000 points | episodes |",
        "|---|---|---|---|",
    ]
    for name, detect in DETECTORS.items():
        one = score(name, detect, all_series)
        lines.append(
            f"| {one.name} | {one.found} of {one.windows} | {one.false_per_1000:.2f}"
            f" | {one.episodes_per_1000:.2f} |"
        )
    return "\n".join(lines)
