"""The benchmark's runner: one contract for every contender, and the re-implementations against river."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from river import drift

from benchmarks.detectors.comparison import Ratio, paired_ratio
from benchmarks.detectors.contenders import FIELD
from benchmarks.detectors.field import Traced, burn_rates, cusum, ewma, page_hinkley, window_means
from benchmarks.detectors.protocol import SCENARIOS, THREE_DAYS, in_parallel, matched_settings, watch
from benchmarks.detectors.protocol import Job as WatchJob
from benchmarks.detectors.streams import Stream
from benchmarks.detectors.watchers import Contender, Watcher

FIRST = {
    family: next(scenario for scenario in SCENARIOS.values() if scenario.family == family) for family in FIELD
}
EVERY = [
    pytest.param(family, contender, id=f"{family}: {contender.name}")
    for family, contenders in FIELD.items()
    for contender in contenders
    if contender.setting is None
]


@cache
def stream(family: str) -> Stream:
    """900 units after the reference, the last 600 much worse."""
    scenario = FIRST[family]
    made = scenario.stream(np.random.default_rng(7), scenario.reference + 900, 0)
    worse = made.y[-600:]
    if family == "cost":
        worse *= 1.6
    else:
        worse[::4] = 1.0
    return made


@cache
def armed(family: str, name: str) -> tuple[Watcher, float]:
    """A contender on its family's stream, and its peak over the last 900 units."""
    contender = next(one for one in FIELD[family] if one.name == name)
    watcher = contender.arm(stream(family))
    return watcher, watcher.peak(FIRST[family].reference, len(stream(family).y))


@pytest.mark.parametrize(("family", "contender"), EVERY)
def test_it_alarms_up_to_its_peak_and_not_above(family: str, contender: Contender) -> None:
    watcher, peak = armed(family, contender.name)
    start, stop = FIRST[family].reference, len(stream(family).y)
    at = watcher.first(start, stop, peak * (1.0 - 1e-9))
    assert at is not None
    assert start <= at < stop
    assert watcher.first(start, stop, peak * 1.05 + 1e-6) is None


@pytest.mark.parametrize(("family", "contender"), EVERY)
def test_a_rarer_setting_is_no_earlier_and_the_future_changes_nothing(
    family: str, contender: Contender
) -> None:
    watcher, peak = armed(family, contender.name)
    start, stop = FIRST[family].reference, len(stream(family).y)
    rare = watcher.first(start, stop, peak * (1.0 - 1e-9))
    often = watcher.first(start, stop, peak * 0.5)
    assert rare is not None
    assert often is not None
    assert often <= rare
    assert watcher.first(start, rare, peak * (1.0 - 1e-9)) is None
    assert watcher.first(start, rare + 1, peak * (1.0 - 1e-9)) == rare


@pytest.mark.parametrize("alpha", [1.0, 0.9999])
@pytest.mark.parametrize("threshold", [2.0, 5.0, 9.0])
def test_page_hinkley_is_rivers(alpha: float, threshold: float) -> None:
    healthy = stream("faithfulness")
    theirs = drift.PageHinkley(delta=0.02, threshold=threshold, alpha=alpha, mode="up")
    first = None
    for at, y in enumerate(healthy.y.tolist()):
        theirs.update(y)
        if theirs.drift_detected:
            first = at
            break
    ours = Traced(healthy, page_hinkley(0.02, alpha))
    assert first is not None
    assert ours.first(0, len(healthy.y), threshold) == first


def test_cusum_is_the_recursion() -> None:
    steps = np.random.default_rng(3).standard_normal(500)
    level, levels = 0.0, []
    for step in steps:
        level = max(0.0, level + step)
        levels.append(level)
    assert cusum(steps) == pytest.approx(levels)


def test_ewma_follows_a_step() -> None:
    y = np.array([0.0, 1.0] * 50 + [3.5] * 10)
    level = ewma(0.5)(Stream("faithfulness", y, np.arange(110.0), 100), 100, 110)
    assert level == pytest.approx([6.0 * (1.0 - 0.5**n) for n in range(1, 11)]), "3.5 is six deviations above"


def test_windows_are_of_event_time_and_need_their_units() -> None:
    at = np.array([0.0, 10.0, 20.0, 300.0, 310.0])
    one = Stream("rate", np.array([1.0, 0.0, 0.0, 1.0, 1.0]), at, 3)
    assert window_means(one, 300.0).tolist() == pytest.approx([1.0, 0.5, 1 / 3, 1 / 3, 2 / 3])
    assert window_means(one, 300.0, least=3)[:2].tolist() == [-math.inf, -math.inf]


def test_a_burn_rate_needs_both_windows() -> None:
    """An hour that is all bad burns at 1 / budget; five quiet minutes end the page of the first pair."""
    at = np.arange(0.0, 8 * 86_400.0, 10.0)
    reference = len(at) - 390
    y = np.zeros(len(at))
    y[: reference - 1_000 : 144] = 1.0
    y[reference : reference + 360] = 1.0
    one = Stream("rate", y, at, reference)
    levels = burn_rates(one, reference, len(at))
    budget = y[:reference].mean()
    assert levels[359] == pytest.approx(1.0 / budget / 14.4)
    assert levels[389] < 0.5 * levels[359]


def test_a_ratio_of_delays_is_paired_and_knows_misses() -> None:
    ours = np.arange(1.0, 201.0)
    assert paired_ratio(2.0 * ours, ours) == Ratio(2.0, 2.0, 2.0)
    assert math.isinf(paired_ratio(np.full(200, math.inf), ours).value)


def test_a_matched_setting_is_a_quantile_of_the_peaks_in_any_number_of_processes() -> None:
    contender = FIELD["rate"][3]
    scenario = FIRST["rate"]
    setting = matched_settings(scenario, [contender], 9, 1)[contender.name]
    jobs = [WatchJob(scenario.name, 1_000_001 + r, ((contender.name, None),), False) for r in range(9)]
    peaks = sorted(value for (value,) in in_parallel(watch, jobs, 2))
    assert setting == peaks[3], "three of nine below: 1/e of them"


def test_the_docs_name_every_contender() -> None:
    text = (Path(__file__).parents[2] / "docs" / "detectors-benchmark.md").read_text()
    assert {one.name for contenders in FIELD.values() for one in contenders if one.name not in text} == set()


def test_a_change_is_counted_from_its_first_unit() -> None:
    name = FIELD["cost"][0].name
    (delay,) = watch(WatchJob("cost x3", 2, ((name, 50_000.0),), True))
    assert 5 <= delay <= 60
    assert FIRST["cost"].reference == THREE_DAYS
