"""The e-SR on ranks: equal to its equations, fires where it should, never on a null stream, stays finite."""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.esr import BETS
from detectors.tilted_esr import POSITIONS, USUAL, VARIANCE, TiltedESR, position

NORMAL = NormalDist()
TILTS = [0.07 * (1.6 / 0.07) ** (k / 7) for k in range(BETS)]


class Textbook:
    """The equations of the docstring, one by one, as slowly as they are written."""

    def __init__(self, m0: list[float]) -> None:
        self.m0, self.n = m0, 0
        self.m, self.path, self.since = [0.0] * BETS, [0.0] * BETS, [0] * BETS

    def update(self, place: int) -> float:
        z = NORMAL.inv_cdf(min(place / POSITIONS, 0.99))
        for k, tilt in enumerate(TILTS):
            e = 0.1 + 0.9 * math.exp(tilt * z) / self.m0[k]
            self.m[k] = (self.m[k] + 1.0) * e
            if self.path[k] <= 0.0:
                self.path[k], self.since[k] = 0.0, self.n
            self.path[k] += math.log(e)
        self.n += 1
        return sum(self.m) / BETS

    def change_point(self) -> int:
        return self.since[max(range(BETS), key=self.path.__getitem__)]


def place(random: Random, shift: float) -> int:
    """Of a unit among 1,000 others, shifted by so many standard deviations."""
    below = int(NORMAL.cdf(random.gauss(shift, 1.0)) * 1_001)
    return position(below, below, 1_000)


@pytest.mark.parametrize("shift", [0.26, 0.58, 1.57])
def test_it_is_the_textbook(shift: float) -> None:
    defended = [usual * 1.002 for usual in USUAL]
    for seed in range(3):
        random = Random(seed)
        ours, textbook, fired = TiltedESR(defended, 50_000.0), Textbook(defended), False
        for unit in range(6_000):
            where = place(random, shift if unit >= 3_000 else 0.0)
            statistic = textbook.update(where)
            fired = ours.run((where,)) == 0
            assert ours.statistic() == pytest.approx(statistic, rel=1e-9)
            if fired:
                assert statistic >= 50_000.0
                assert ours.leader()[1] == textbook.change_point()
                break
        assert fired, "a shift is found"
        assert unit > 3_000


@pytest.mark.parametrize(
    ("shift", "index", "change"), [(0.26, 3_122, 3_107), (0.58, 3_094, 3_039), (1.57, 3_011, 2_999)]
)
def test_where_it_fires(shift: float, index: int, change: int) -> None:
    random, detector = Random(11), TiltedESR(USUAL, 50_000.0)
    places = [place(random, shift if unit >= 3_000 else 0.0) for unit in range(10_000)]
    assert (detector.run(places), detector.leader()[1]) == (index, change)


def test_it_never_fires_on_a_null_stream() -> None:
    random, detector = Random(5), TiltedESR(USUAL, 1e6)
    assert detector.run([place(random, 0.0) for _ in range(20_000)]) == 20_000


def test_the_weights_have_the_means_that_are_said_of_them() -> None:
    """And a sample of any size, ties or not, has none above them."""
    random = Random(3)
    for size, distinct in ((1_000, 10**9), (1_000, 7), (200, 10**9), (200, 1)):
        sample = sorted([random.randrange(distinct) for _ in range(size)])
        detector, total = TiltedESR(USUAL, 1e300), [0.0] * BETS
        for one in sample:
            below = sum([other < one for other in sample])
            up_to = sum([other <= one for other in sample])
            detector.reset()
            detector.run((position(below, up_to, size),))
            total = [
                t + (m - 0.1) / 0.9 * usual for t, m, usual in zip(total, detector._m, USUAL, strict=True)
            ]
        for mean, usual, variance in zip(total, USUAL, VARIANCE, strict=True):
            assert mean / size <= usual + 0.1 * math.sqrt(variance)


def test_left_running_on_a_strong_shift_it_stays_finite() -> None:
    detector = TiltedESR(USUAL, 5_000.0)
    detector.run([POSITIONS - 1] * 20_000, math.inf)
    assert math.isfinite(detector.statistic())
    orjson.loads(orjson.dumps(detector.snapshot()))


def test_better_is_never_an_alarm_and_leaves_no_denormals() -> None:
    detector = TiltedESR(USUAL, 5_000.0)
    assert detector.run([20] * 20_000) == 20_000
    assert all(p == 0.0 or p > 1e-300 for p in detector.snapshot()["p"])


@settings(deadline=None, max_examples=60)
@given(
    before=st.lists(st.integers(1, POSITIONS - 1), max_size=200),
    after=st.lists(st.integers(1, POSITIONS - 1), max_size=60),
    cut=st.integers(0, 200),
)
def test_restored_or_split_it_goes_on_alike(before: list[int], after: list[int], cut: int) -> None:
    whole, pieces = TiltedESR(USUAL, 1e9), TiltedESR(USUAL, 1e9)
    whole.run(before + after)
    pieces.run(before[:cut])
    pieces.run(before[cut:])
    restored = TiltedESR(USUAL, 1e9)
    restored.restore(orjson.loads(orjson.dumps(pieces.snapshot())))
    restored.run(after)
    assert orjson.dumps(restored.snapshot()) == orjson.dumps(whole.snapshot())


def test_reset_forgets_everything() -> None:
    used, fresh = TiltedESR(USUAL, 5_000.0), TiltedESR(USUAL, 5_000.0)
    used.run([1_900] * 50, math.inf)
    used.reset()
    assert used.snapshot() == fresh.snapshot()


def test_means_that_are_none_are_named() -> None:
    with pytest.raises(ValueError, match="not 8 positive means"):
        TiltedESR([1.0] * 7, 5_000.0)
    with pytest.raises(ValueError, match="threshold below 1"):
        TiltedESR(USUAL, 0.5)
