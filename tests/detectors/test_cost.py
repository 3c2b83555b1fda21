"""Cost: heavy tails, daily cycles, free requests, equal costs, and single requests that stand out."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from random import Random
from typing import Any

import pytest

from detectors.baseline import DAY_MS, ArmingPolicy, Stage
from detectors.cost import CostDetector
from detectors.cost_normal import normal
from detectors.cost_reference import SAMPLE, CostReference, log_cost
from tests.detectors.streams import dollars

POLICY = ArmingPolicy()


def cyclic(random: Random, time: int) -> float:
    return dollars(random, math.exp(0.25 * math.sin(2 * math.pi * time / DAY_MS)))


def run(detector: CostDetector, random: Random, start: int, n: int, spacing: int, factor: float) -> list[int]:
    fired = []
    for at in range(start, start + n):
        if detector.update(at * spacing, f"t{at}", factor * cyclic(random, at * spacing), 1, True):
            fired.append(at)
            detector.reset()
    return fired


@pytest.fixture(scope="module")
def pinned() -> dict[str, Any]:
    detector = CostDetector(4.0, POLICY)
    assert run(detector, Random(1), 0, 9_000, 30_000, 1.0) == []
    assert detector.pin is not None
    assert detector.pin.stage is Stage.PINNED
    return {"baseline": detector.baseline(), "state": detector.snapshot()}


def restored(state: dict[str, Any]) -> CostDetector:
    detector = CostDetector(4.0, POLICY)
    detector.restore(state["baseline"], state["state"])
    return detector


def test_the_second_pin_draws_a_profile_of_the_day(pinned: dict[str, Any]) -> None:
    assert restored(pinned).note() == "pinned, 8,641 units over 3 days, by hour of the day"


@pytest.mark.parametrize(("factor", "index"), [(1.5, 9_089), (3.0, 9_010)])
def test_where_it_fires(pinned: dict[str, Any], factor: float, index: int) -> None:
    detector = restored(pinned)
    assert run(detector, Random(7), 9_000, 400, 30_000, factor)[0] == index


def learned(seed: int, n: int) -> tuple[CostReference, list[int]]:
    """A reference of ``n`` requests, a minute apart, of which one in fifty is free; and their log costs."""
    random, reference, logs = Random(seed), CostReference(), []
    for at in range(n):
        cost = 0.0 if random.random() < 0.02 else dollars(random)
        logs.append(log_cost(cost))
        reference.learn(at * 60_000, f"{seed}-{at}", cost, logs[-1])
    return reference, logs


def mean_rank(reference: CostReference) -> tuple[float, float]:
    """What is defended of a flat sample's mean rank without a margin, and its variance."""
    mean = normal(reference, False, 0.0).rank
    return mean, (normal(reference, False, 1.0).rank - mean) ** 2


def test_what_a_sample_owes_to_chance_is_taken_back() -> None:
    """The mean rank of the whole reference in its sample is estimated better than by 1/2, and as well as it
    says: the errors of 40 references have a chi-square of 40, more than 63.7 once in a hundred times."""
    chi_square = plain = estimated = 0.0
    for seed in range(40):
        reference, logs = learned(seed, 4_000)
        sample = sorted(reference.residuals(()))
        mean, variance = mean_rank(reference)
        ranks = [(bisect_left(sample, r) + bisect_right(sample, r) + 1) / (2 * SAMPLE + 2) for r in logs]
        error = mean - sum(ranks) / len(ranks)
        chi_square += error * error / variance
        estimated += error * error
        plain += (0.5 - sum(ranks) / len(ranks)) ** 2
    assert chi_square < 63.7
    assert estimated < 0.25 * plain


def test_a_sample_that_is_the_whole_reference_owes_nothing() -> None:
    reference, _ = learned(1, 200)
    mean, variance = mean_rank(reference)
    assert mean == pytest.approx(0.5, abs=1e-12)
    assert variance == pytest.approx(1.0 / 12.0 / 200.0)


def test_equal_costs_owe_nothing() -> None:
    reference = CostReference()
    for at in range(3_000):
        reference.learn(at * 60_000, f"t{at}", 0.004, log_cost(0.004))
    mean, variance = mean_rank(reference)
    assert mean == 0.5
    assert variance == pytest.approx(1.0 / 12.0 / SAMPLE)


@pytest.mark.parametrize("incident", [100, 700, 1_500])
def test_an_incident_that_is_taken_back_moves_nothing_that_is_defended(incident: int) -> None:
    """However much longer it was than the memory of units, of which 256 are given."""
    random, reference = Random(incident), CostReference()
    recent: list[tuple[int, float]] = []
    for at in range(900 + incident):
        cost = dollars(random, 1.0 if at < 900 else 1.5)
        recent.append((at * 60_000, cost))
        reference.learn(at * 60_000, f"t{at}", cost, log_cost(cost))
    before = reference.n
    reference.forget(900 * 60_000, recent[-256:])
    assert reference.n == pytest.approx(before - incident, rel=0.1)
    for at in range(900 + incident, 1_500 + incident):
        cost = dollars(random)
        reference.learn(at * 60_000, f"t{at}", cost, log_cost(cost))
    mean, variance = mean_rank(reference)
    assert mean == pytest.approx(0.5, abs=3.0 * math.sqrt(variance))
    assert reference.mean == pytest.approx(0.0052, rel=0.15)


def test_a_burst_of_five_outliers_is_no_alarm(pinned: dict[str, Any]) -> None:
    detector = restored(pinned)
    burst = [detector.update(9_000 * 30_000 + at, f"b{at}", 5.0, 1, True) for at in range(12)]
    assert burst.index(True) == 5


def test_a_cycle_alone_does_not_fire(pinned: dict[str, Any]) -> None:
    assert run(restored(pinned), Random(8), 9_000, 9_000, 30_000, 1.0) == []


def test_a_cycle_alone_does_not_fire_a_flat_baseline_from_the_cheapest_hour() -> None:
    detector = CostDetector(4.0, POLICY)
    start = int(0.7 * DAY_MS) // 8_000
    assert run(detector, Random(9), start, 20_000, 8_000, 1.0) == []
    assert "forgives 1.64 times" in detector.note()


def test_equal_costs_are_no_alarm_and_the_first_other_one_stands_out() -> None:
    detector = CostDetector(4.0, POLICY)
    assert not any(detector.update(at * 1_000, f"t{at}", 0.01, 1, True) for at in range(2_000))
    assert not detector.outliers
    detector.update(2_000_000, "x", 0.014, 1, True)
    assert not detector.outliers
    detector.update(2_001_000, "y", 0.016, 1, True)
    assert detector.outliers


def test_free_requests_are_units_of_zero_dollars() -> None:
    random = Random(3)
    detector = CostDetector(4.0, POLICY)
    for at in range(300):
        detector.update(at * 60_000, f"t{at}", 0.0 if at % 2 else dollars(random), 1, True)
    assert detector.pin is not None
    assert detector.pin.mean == pytest.approx(0.0025, rel=0.3)
    fired = [at for at in range(400) if detector.update(at * 60_000, f"p{at}", dollars(random), 1, True)]
    assert fired, "a broken cache makes every request a paid one"


def test_an_all_free_segment_has_no_outliers() -> None:
    detector = CostDetector(4.0, POLICY)
    assert not any(detector.update(at, f"t{at}", 0.0, 1, True) for at in range(300))
    detector.update(301, "paid", 5.0, 1, True)
    assert not detector.outliers


def test_outliers_are_rare_among_the_healthy_and_never_missed_at_fifty_times(
    pinned: dict[str, Any],
) -> None:
    detector, random = restored(pinned), Random(12)
    healthy = big = 0
    for at in range(20_000):
        detector.update(9_000 * 30_000 + at * 30_000, f"t{at}", cyclic(random, at * 30_000), 1, True)
        healthy += len(detector.outliers)
    for at in range(200):
        detector.update(9_000 * 30_000, f"b{at}", 0.004 * 80, 1, True)
        big += len(detector.outliers)
    assert healthy < 20
    assert big == 200


def test_the_sample_does_not_depend_on_the_order_of_requests() -> None:
    random = Random(5)
    rows = [(at * 60_000, f"t{at}", dollars(random)) for at in range(4_000)]
    samples = []
    for order in (rows, sorted(rows, key=lambda row: row[2])):
        reference = CostReference()
        for time, trace_id, cost in order:
            reference.learn(time, trace_id, cost, log_cost(cost))
        samples.append(reference.sample.entries())
    assert samples[0] == samples[1]
    assert len(samples[0]) == SAMPLE
