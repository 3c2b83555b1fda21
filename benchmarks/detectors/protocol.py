"""Run lengths on nulls, settings matched to a run length, and delays after a change: one runner for all."""

from __future__ import annotations

import atexit
import math
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from multiprocessing import get_context
from multiprocessing.pool import Pool
from typing import NamedTuple, TypeVar

import numpy as np

from benchmarks.detectors.contenders import FIELD
from benchmarks.detectors.streams import Array, Stream, badness, log_costs, rate, times
from benchmarks.detectors.watchers import Contender, Watcher

NULL_UNITS = 50_000
BEFORE, HORIZON = 3_000, 10_000
THREE_DAYS = 31_500
"""Requests after which three full days have passed, at 10,000 a day."""
CHANGED, CALIBRATE, VERIFY = 0, 1_000_000, 2_000_000
"""Added to the seed: streams with a change, nulls that settings come from, nulls that measure them."""
LEAST_STREAMS = 6
QUIET = math.exp(-1)
"""Share of null streams without an alarm within 50,000 units, at a run length of 50,000."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class Scenario(NamedTuple):
    """``stream(rng, healthy, changed)`` makes so many healthy units and then so many changed ones."""

    name: str
    family: str
    reference: int
    stream: Callable[[np.random.Generator, int, int], Stream]


class Delays(NamedTuple):
    """Units from the change to the alarm, over the streams that did not alarm before it; ``early`` is the
    share of those that did."""

    median: float
    p95: float
    missed: float
    early: float


class NullRuns(NamedTuple):
    """P(alarm within 50,000 healthy units), the run length that follows, and the share's standard error."""

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


def _score(mean: float, reference: int) -> Callable[[np.random.Generator, int, int], Stream]:
    def make(rng: np.random.Generator, healthy: int, changed: int) -> Stream:
        ys = np.concatenate([badness(rng, healthy, 0.88), badness(rng, changed, mean)])
        return Stream("faithfulness", ys, times(rng, len(ys)), reference)

    return make


def _rate(share: float, reference: int) -> Callable[[np.random.Generator, int, int], Stream]:
    def make(rng: np.random.Generator, healthy: int, changed: int) -> Stream:
        ys = np.concatenate([rate(rng, healthy, 0.02), rate(rng, changed, share)])
        return Stream("rate", ys, times(rng, len(ys)), reference)

    return make


def _cost(factor: float, tail: float, reference: int) -> Callable[[np.random.Generator, int, int], Stream]:
    def make(rng: np.random.Generator, healthy: int, changed: int) -> Stream:
        at = times(rng, healthy + changed)
        logs = log_costs(rng, at)
        logs[healthy:] += math.log(factor)
        if tail:
            logs[healthy:] += np.where(rng.random(changed) < tail, math.log(10), 0.0)
        return Stream("cost", np.exp(logs), at, reference)

    return make


SCENARIOS = {scenario.name: scenario for scenario in scenarios()}


class Job(NamedTuple):
    """One stream, and the contenders that watch it, each at its setting (None: its peak is asked for)."""

    scenario: str
    seed: int
    settings: tuple[tuple[str, float | None], ...]
    changed: bool


def in_parallel(work: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> list[Result]:
    """In the order of the tasks; each is a value that can be sent to another process."""
    if workers <= 1:
        return [work(task) for task in tasks]
    # One at a time: the first streams are watched by the slow contenders too.
    return list(_pool(workers).imap(work, tasks))


@cache
def _pool(workers: int) -> Pool:
    """The same processes for the whole run: starting one costs as much as a hundred streams."""
    pool = get_context("spawn").Pool(workers)
    atexit.register(pool.terminate)
    return pool


def watch(job: Job) -> list[float]:
    """Each contender's peak over the null, or its delay: units from the change to the alarm, NaN where that
    came before the change, infinite where it did not come. On a null: 1.0 if there was an alarm, else 0.0."""
    scenario = SCENARIOS[job.scenario]
    healthy = scenario.reference + (BEFORE if job.changed else NULL_UNITS)
    stream = scenario.stream(np.random.default_rng(job.seed), healthy, HORIZON if job.changed else 0)
    known = {contender.name: contender for contender in FIELD[scenario.family]}
    armed: dict[object, Watcher] = {}
    found = []
    for name, setting in job.settings:
        arm = known[name].arm
        watcher = armed[arm] if arm in armed else armed.setdefault(arm, arm(stream))
        if setting is None:
            found.append(watcher.peak(scenario.reference, healthy))
            continue
        at = watcher.first(scenario.reference, len(stream.y), setting)
        if not job.changed:
            found.append(float(at is not None))
        elif at is None:
            found.append(math.inf)
        else:
            found.append(at - healthy + 1.0 if at >= healthy else math.nan)
    return found


def _watch_all(
    scenario: Scenario,
    settings: dict[str, float | None],
    streams: dict[str, int],
    seed: int,
    changed: bool,
    workers: int,
) -> dict[str, Array]:
    """By contender: what :func:`watch` says of its first so many streams."""
    jobs = []
    for r in range(max(streams.values())):
        chosen = tuple([(name, setting) for name, setting in settings.items() if r < streams[name]])
        jobs.append(Job(scenario.name, seed + r, chosen, changed))
    found: dict[str, list[float]] = {name: [] for name in settings}
    for job, values in zip(jobs, in_parallel(watch, jobs, workers), strict=True):
        for (name, _), value in zip(job.settings, values, strict=True):
            found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


def part_of(streams: int, contenders: Iterable[Contender]) -> dict[str, int]:
    """How many streams each contender is given: all, or fewer where it is slow."""
    return {one.name: max(round(streams * one.part), min(streams, LEAST_STREAMS)) for one in contenders}


def matched_settings(
    scenario: Scenario, contenders: Sequence[Contender], streams: int, seed: int, workers: int = 1
) -> dict[str, float]:
    """The setting that 1 - 1/e of null streams reach within 50,000 units: a run length of 50,000. A
    contender with a setting of its own keeps it."""
    settings = {one.name: one.setting for one in contenders if one.setting is not None}
    searched: dict[str, float | None] = {one.name: None for one in contenders if one.setting is None}
    if searched:
        peaks = _watch_all(scenario, searched, part_of(streams, contenders), seed + CALIBRATE, False, workers)
        for name, values in peaks.items():
            settings[name] = float(np.quantile(values, QUIET, method="higher"))
    return {one.name: settings[one.name] for one in contenders}


def null_runs(
    scenario: Scenario,
    contenders: Sequence[Contender],
    settings: dict[str, float],
    streams: int,
    seed: int,
    workers: int = 1,
) -> dict[str, NullRuns]:
    """How often each contender alarms on fresh null streams at its setting."""
    counts = part_of(streams, contenders)
    alarms = _watch_all(scenario, dict(settings), counts, seed + VERIFY, False, workers)
    return {name: _null_runs(float(values.mean()), len(values)) for name, values in alarms.items()}


def _null_runs(share: float, streams: int) -> NullRuns:
    quiet = max(1 - share, 0.5 / streams)
    length = -NULL_UNITS / math.log(quiet) if share else math.inf
    return NullRuns(share, length, math.sqrt(share * (1 - share) / streams))


def delays(
    scenario: Scenario,
    contenders: Sequence[Contender],
    settings: dict[str, float],
    streams: int,
    seed: int,
    workers: int = 1,
) -> dict[str, Array]:
    """Delays by contender (see :func:`watch`), stream by stream: the same streams for all of them."""
    counts = part_of(streams, contenders)
    return _watch_all(scenario, dict(settings), counts, seed + CHANGED, True, workers)


def summary(found: Array) -> Delays:
    """Over streams without an early alarm; a miss counts as an infinite delay."""
    counted = found[~np.isnan(found)]
    if not len(counted):
        return Delays(math.nan, math.nan, math.nan, 1.0)
    return Delays(
        float(np.quantile(counted, 0.5, method="higher")),
        float(np.quantile(counted, 0.95, method="higher")),
        float(np.isinf(counted).mean()),
        1.0 - len(counted) / len(found),
    )
