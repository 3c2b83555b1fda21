"""What a baseline of costs defends: ties, free requests, and hours of the day that differ or do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from detectors.baseline import DAY_MS, ArmingPolicy
from detectors.cost import CostDetector
from detectors.cost_cycle import Cycle
from detectors.cost_normal import normal
from detectors.cost_reference import CostReference, log_cost
from detectors.cost_scale import CostScale
from detectors.tilted_esr import USUAL, WEIGHTS
from detectors.unit import NO_PROFILE, Unit
from tests.detectors.streams import dollars

Draw = Callable[[Random, int], float]
PER_DAY = 10_000
SPACING = DAY_MS // PER_DAY
POLICY = ArmingPolicy()


def swing(time: int) -> float:
    return math.sin(2.0 * math.pi * time / DAY_MS)


def images(random: Random, _: int) -> float:
    return 0.08 if random.random() < 0.15 else 0.04


def rare(random: Random, _: int) -> float:
    return 0.5 if random.random() < 0.02 else 0.005


def lengths(random: Random, _: int) -> float:
    return random.choice((100.0, 100.0, 100.0, 200.0, 300.0))


def half_cached(random: Random, _: int) -> float:
    return dollars(random) if random.random() < 0.5 else 0.0


def images_by_day(random: Random, time: int) -> float:
    return 0.08 if random.random() < 0.15 * (1.0 + 0.5 * swing(time)) else 0.04


def cached_by_night(random: Random, time: int) -> float:
    return 0.0 if random.random() < 0.25 * (1.0 - 0.4 * swing(time)) else dollars(random)


def capped(random: Random, time: int) -> float:
    """Two in a hundred at a cap, which does not follow the time of day as the others do."""
    return 0.05 if random.random() < 0.02 else min(dollars(random, math.exp(0.25 * swing(time))), 0.05)


def two_models(random: Random, _: int) -> float:
    """Each within a tenth of its own price, twenty times apart."""
    return 0.002 * math.exp(0.1 * random.gauss(0.0, 1.0)) * (20.0 if random.random() < 0.5 else 1.0)


def by_day(random: Random, time: int) -> float:
    return dollars(random, math.exp(0.25 * swing(time)))


def units(draw: Draw, seed: int, first: int, stop: int) -> list[Unit]:
    random = Random(f"{seed} {first}")
    times = [at * SPACING for at in range(first, stop)]
    return [(time, draw(random, time), f"{seed}-{time}", NO_PROFILE, None) for time in times]


def alarms(detector: CostDetector, stream: list[Unit]) -> list[int]:
    """The units that fire, starting anew after each."""
    fired, done = [], 0
    while done < len(stream):
        done, hit = detector.run(stream, done, len(stream), 1, True)
        if hit:
            fired.append(done - 1)
            detector.reset()
        detector.outliers.clear()
    return fired


def learned(draw: Draw, seed: int, n: int = 3 * PER_DAY) -> CostReference:
    reference = CostReference()
    stream = units(draw, seed, 0, n)
    reference.learn_all(stream, [log_cost(unit[1]) for unit in stream])
    return reference


@pytest.mark.parametrize(
    ("draw", "cycle"),
    [
        (images, Cycle.NONE),
        (half_cached, Cycle.BY_HOUR),
        (two_models, Cycle.NONE),
        (by_day, Cycle.BY_HOUR),
        (capped, Cycle.BY_HOUR),
        (images_by_day, Cycle.DEAREST),
    ],
)
def test_what_is_made_of_the_time_of_day(draw: Draw, cycle: Cycle) -> None:
    reference = learned(draw, 3)
    assert normal(reference, True, 1.0).cycle is cycle
    assert normal(reference, False, 1.0).cycle is Cycle.UNSEEN


@pytest.mark.parametrize(
    ("draw", "seed"),
    [
        (images, 1),
        (rare, 0),
        (lengths, 0),
        (half_cached, 0),
        (two_models, 0),
        (cached_by_night, 1),
        (capped, 1),
    ],
)
def test_few_values_caps_and_free_ones_are_healthy(draw: Draw, seed: int) -> None:
    """A profile of the day that is drawn in any case, and a sample that forgets the free ones, bring 24
    false alarms of the half cached in this week, and 107 of the rare price: at one hour of each day."""
    assert alarms(CostDetector(4.0, POLICY), units(draw, seed, 0, 10 * PER_DAY)) == []


@pytest.mark.parametrize(
    ("draw", "changed", "index"),
    [
        (images, lambda random, _: 0.08 if random.random() < 0.3 else 0.04, 304),
        (images, lambda random, time: 1.1 * images(random, time), 15),
        (images_by_day, lambda random, _: 0.08 if random.random() < 0.5 else 0.04, 91),
        (half_cached, lambda random, _: dollars(random) if random.random() < 0.7 else 0.0, 443),
    ],
)
def test_where_a_change_of_few_values_fires(draw: Draw, changed: Draw, index: int) -> None:
    detector = CostDetector(4.0, POLICY)
    before = units(draw, 5, 0, 4 * PER_DAY)
    assert alarms(detector, before) == []
    assert alarms(detector, units(changed, 5, 4 * PER_DAY, 4 * PER_DAY + 1_000))[0] == index


@pytest.mark.parametrize(
    "shares",
    [{100.0: 0.6, 200.0: 0.2, 300.0: 0.2}, {0.04: 0.85, 0.08: 0.15}, {0.0: 0.3, 1.0: 0.4, 2.0: 0.3}],
)
def test_ties_weigh_what_is_defended(shares: dict[float, float]) -> None:
    """Of 20 references: what is defended without a margin, against the weights' means by the true shares. By
    the means of untied ranks alone the small bets would gain 0.2 % with every healthy unit."""
    values, parts = list(shares), list(shares.values())
    error, plain = [0.0] * 8, [0.0] * 8
    for seed in range(20):
        reference = learned(lambda random, _: random.choices(values, parts)[0], seed, 4_000)
        found = normal(reference, False, 0.0)
        places, _ = CostScale((), found.sample, 0, found.p99).places([log_cost(value) for value in values])
        for k in range(8):
            true = sum([part * WEIGHTS[place][k] for part, place in zip(parts, places, strict=True)])
            error[k] += (found.weights[k] / true - 1.0) / 20.0
            plain[k] += (USUAL[k] / true - 1.0) / 20.0
    assert max([abs(one) for one in error[:4]]) < 0.001
    assert max([abs(one) for one in error]) < 0.02
    assert max([abs(one) for one in plain]) > 0.1


def test_what_a_sample_owes_to_its_share_of_free_ones_is_taken_back() -> None:
    """The mean rank of 30 references in their own samples: a tenth of the error of 1/2, in squares."""
    plain = estimated = 0.0
    for seed in range(30):
        stream = units(half_cached, seed, 0, 5_000)
        logs = [log_cost(unit[1]) for unit in stream]
        reference = CostReference()
        reference.learn_all(stream, logs)
        found = normal(reference, False, 0.0)
        ranks = CostScale((), found.sample, 0, found.p99).ranks(stream)
        true = sum(ranks) / len(ranks)
        plain += (0.5 - true) ** 2
        estimated += (found.rank - true) ** 2
    assert estimated < 0.1 * plain


def older(baseline: dict[str, Any]) -> dict[str, Any]:
    """As versions before the cycle of the day was told wrote it."""
    return {key: value for key, value in baseline.items() if key not in ("cycle", "p99")}


@pytest.mark.parametrize(("draw", "n"), [(by_day, 31_000), (by_day, 250)])
def test_baselines_of_older_versions_are_what_they_were(draw: Draw, n: int) -> None:
    """One with a profile and one that forgives, both continuous, where nothing has changed."""
    detector = CostDetector(4.0, POLICY)
    alarms(detector, units(draw, 1, 0, n))
    again = CostDetector(4.0, POLICY)
    learned = {at: detector.learned(at) for at, version in enumerate(detector.learning) if version}
    again.restore(older(detector.baseline()), detector.snapshot(), learned)
    assert again.baseline() == detector.baseline()
    stream = units(lambda random, time: 1.5 * draw(random, time), 2, n, n + 900)
    assert alarms(again, stream) == alarms(detector, stream)


def test_a_reference_of_an_older_version_does_not_know_the_free_ones_by_hour() -> None:
    reference = learned(cached_by_night, 1)
    assert reference.free_hours()
    state = reference.snapshot()
    state["hours"] = state["hours"][:2]
    again = CostReference()
    sample = {
        at: reference.sample.part(at) for at, version in enumerate(reference.sample.versions) if version
    }
    again.restore(state, sample)
    assert again.free_hours() == []
    assert again.free == reference.free
    # Its margin is then that of all hours alike.
    assert normal(again, True, 1.0).rank < normal(reference, True, 1.0).rank
