"""The range of an onset: where it lies exactly, and when nothing is told."""

from __future__ import annotations

from random import Random

from detectors.onset import onset_range
from detectors.series import Series, series
from tests.detectors.streams import HEALTHY, badness, rate


def units(ys: list[float]) -> Series:
    made = [(at * 1_000, y, f"t{at}", HEALTHY, None) for at, y in enumerate(ys)]
    return series(made, shares=all(y in (0.0, 1.0) for y in ys))


def test_a_jump_that_nobody_can_miss() -> None:
    """From one unit to the next everything fails; the last healthy one may have been luck."""
    assert onset_range(units([0.0] * 200 + [1.0] * 30), 0.02, 200_000) == (198_000, 200_000)


def test_the_detectors_own_estimate_is_within() -> None:
    assert onset_range(units([0.0] * 200 + [1.0] * 30), 0.02, 214_000) == (198_000, 214_000)
    assert onset_range(units([0.0] * 200 + [1.0] * 30), 0.02, 180_000) == (180_000, 200_000)


def test_a_small_move_has_a_wide_range_and_a_large_one_a_narrow_one() -> None:
    random = Random(3)
    healthy = [badness(random, 0.12) for _ in range(250)]
    small = onset_range(units(healthy + [badness(random, 0.25) for _ in range(130)]), 0.12, 250_000)
    large = onset_range(units(healthy + [badness(random, 0.5) for _ in range(130)]), 0.12, 250_000)
    assert small is not None
    assert large is not None
    assert small[1] - small[0] > 4 * (large[1] - large[0])
    assert small[0] <= 250_000 <= small[1]
    assert large[0] <= 250_000 <= large[1]


def test_nothing_is_told_where_it_began_before_all_that_is_remembered() -> None:
    random = Random(4)
    assert onset_range(units([rate(random, 0.3) for _ in range(300)]), 0.02, 0) is None
    assert onset_range(units([0.0] * 5), 0.02, 0) is None


def test_how_often_it_holds() -> None:
    """Of 60 changes at random places, with an estimate at the very end: 57 ranges should begin before."""
    found = []
    for seed in range(60):
        random = Random(seed)
        at = random.randrange(60, 300)
        ys = [badness(random, 0.12 if place < at else 0.35) for place in range(at + 60)]
        found.append((at * 1_000, onset_range(units(ys), 0.12, len(ys) * 1_000)))
    told = [(at, one) for at, one in found if one is not None]
    assert len(told) == 60
    assert sum(one[0] < at for at, one in told) == 58, "no later than the range's beginning"
