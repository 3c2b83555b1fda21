"""Run length on nulls, and delays at two thresholds: the guaranteed one, and one matched to a run length."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.detectors.streams import badness, log_costs, rate, times
from benchmarks.detectors.watchers import BoundedWatcher, CostWatcher, Watcher
from detectors.esr import fraction_bets, rate_bets

NULL_UNITS = 50_000
BEFORE, HORIZON = 3_000, 10_000
GUARANTEED = 50_000.0
THREE_DAYS = 31_500
"""Requests after which three full days have passed, at 10,000 a day."""
CHANGED, CALIBRATE, VERIFY = 0, 1_000_000, 2_000_000
"""Added to the seed: streams with a change, nulls that thresholds come from, nulls that measure them."""


class Scenario(NamedTuple):
    """``stream(rng, healthy, changed)`` makes so many healthy units and then so many changed ones."""

    name: str
    family: str
    reference: int
    stream: Callable[[np.random.Generator, int, int], Watcher]


class Delays(NamedTuple):
    threshold: float
    median: float
    p95: float
    missed: float
    early: float
    """Share of streams that alarmed before the change; they are in no delay."""


class NullRuns(NamedTuple):
    """P(alarm within 50,000 healthy units), the run length that follows, and its standard error."""

    alarmed: float
    run_length: float
    error: float


def scenarios() -> list[Scenario]:
    found = []
    for mean in (0.83, 0.78, 0.65):
        found.append(Scenario(f"faithfulness 0.88 -> {mean}", "faithfulness", 2_000, _score(mean, 2_000)))
    for share in (0.03, 0.05, 0.10):
        found.append(Scenario(f"rate 2 % -> {share:.0%}", "rate", 5_000, _rate(share, 5_000)))
    for factor in (1.2, 1.5, 3.0):
        found.append(Scenario(f"cost x{factor:g}", "cost", THREE_DAYS, _cost(factor, 0.0, THREE_DAYS)))
    found.append(Scenario("cost: 3 % of requests x10", "cost", THREE_DAYS, _cost(1.0, 0.03, THREE_DAYS)))
    return found


def _score(mean: float, reference: int) -> Callable[[np.random.Generator, int, int], Watcher]:
    def make(rng: np.random.Generator, healthy: int, changed: int) -> Watcher:
        ys = np.concatenate([badness(rng, healthy, 0.88), badness(rng, changed, mean)])
        return BoundedWatcher(ys.tolist(), reference, fraction_bets)

    return make


def _rate(share: float, reference: int) -> Callable[[np.random.Generator, int, int], Watcher]:
    def make(rng: np.random.Generator, healthy: int, changed: int) -> Watcher:
        ys = np.concatenate([rate(rng, healthy, 0.02), rate(rng, changed, share)])
        return BoundedWatcher(ys.tolist(), reference, rate_bets)

    return make


def _cost(factor: float, tail: float, reference: int) -> Callable[[np.random.Generator, int, int], Watcher]:
    def make(rng: np.random.Generator, healthy: int, changed: int) -> Watcher:
        at = times(rng, healthy + changed)
        logs = log_costs(rng, at)
        logs[healthy:] += math.log(factor)
        if tail:
            logs[healthy:] += np.where(rng.random(changed) < tail, math.log(10), 0.0)
        return CostWatcher(at.tolist(), np.exp(logs).tolist(), reference)

    return make


def matched_threshold(scenario: Scenario, streams: int, seed: int) -> float:
    """The threshold that 1 - 1/e of null streams reach within 50,000 units: a run length of 50,000."""
    peaks = [
        scenario.stream(np.random.default_rng(seed + CALIBRATE + r), scenario.reference + NULL_UNITS, 0).peak(
            scenario.reference, scenario.reference + NULL_UNITS
        )
        for r in range(streams)
    ]
    return float(np.quantile(peaks, math.exp(-1), method="higher"))


def null_runs(scenario: Scenario, streams: int, seed: int, threshold: float) -> NullRuns:
    """How often a detector at this threshold alarms on fresh null streams."""
    alarms = 0
    for r in range(streams):
        end = scenario.reference + NULL_UNITS
        watcher = scenario.stream(np.random.default_rng(seed + VERIFY + r), end, 0)
        alarms += watcher.first(scenario.reference, end, threshold) is not None
    share = alarms / streams
    quiet = max(1 - share, 0.5 / streams)
    length = -NULL_UNITS / math.log(quiet) if share else math.inf
    error = math.sqrt(share * (1 - share) / streams)
    return NullRuns(share, length, error)


def delays(scenario: Scenario, streams: int, seed: int, threshold: float) -> Delays:
    """Units from the change to the alarm, over streams that did not alarm before it."""
    start, change = scenario.reference, scenario.reference + BEFORE
    found: list[float] = []
    early = missed = 0
    for r in range(streams):
        watcher = scenario.stream(np.random.default_rng(seed + CHANGED + r), change, HORIZON)
        at = watcher.first(start, change + HORIZON, threshold)
        if at is not None and at < change:
            early += 1
        elif at is None:
            missed += 1
            found.append(math.inf)
        else:
            found.append(at - change + 1)
    counted = max(len(found), 1)
    return Delays(
        threshold,
        float(np.quantile(found, 0.5, method="higher")) if found else math.nan,
        float(np.quantile(found, 0.95, method="higher")) if found else math.nan,
        missed / counted,
        early / streams,
    )
