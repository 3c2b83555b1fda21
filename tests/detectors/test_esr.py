"""The e-SR: equal to its equations, fires where it should, never on a null stream, stays finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.esr import BETS, MixtureESR, fraction_bets, rank_bets, rate_bets
from tests.detectors.streams import badness, rate


class Textbook:
    """The equations of the docstring, one by one, as slowly as they are written."""

    def __init__(self, m0: float, variance: float, bets: tuple[float, float], threshold: float) -> None:
        low, high = bets
        shifts = [low * (high / low) ** (k / (BETS - 1)) for k in range(BETS)]
        self.m0, self.threshold, self.n = m0, threshold, 0
        self.lam = [min(d / (variance + d * d), 0.9 / m0) for d in shifts]
        self.m, self.path, self.since = [0.0] * BETS, [0.0] * BETS, [0] * BETS

    def update(self, y: float) -> bool:
        for k, lam in enumerate(self.lam):
            e = 1.0 + lam * (y - self.m0)
            self.m[k] = (self.m[k] + 1.0) * e
            if self.path[k] <= 0.0:
                self.path[k], self.since[k] = 0.0, self.n
            self.path[k] += math.log(e)
        self.n += 1
        return sum(self.m) / BETS >= self.threshold

    def change_point(self) -> int:
        return self.since[max(range(BETS), key=self.path.__getitem__)]


Draw = Callable[[Random, bool], float]
CASES: dict[str, tuple[float, float, tuple[float, float], Draw]] = {
    "rate": (0.023, 0.0196, rate_bets(0.023), lambda r, bad: rate(r, 0.10 if bad else 0.02)),
    "rare rate": (0.001, 0.0002, rate_bets(0.001), lambda r, bad: rate(r, 0.05 if bad else 0.0005)),
    "common rate": (0.3, 0.21, rate_bets(0.3), lambda r, bad: rate(r, 0.5 if bad else 0.28)),
    "faithfulness": (0.13, 0.06, fraction_bets(0.13), lambda r, bad: badness(r, 0.3 if bad else 0.12)),
    "good faithfulness": (0.05, 0.03, fraction_bets(0.05), lambda r, bad: badness(r, 0.2 if bad else 0.04)),
    "rank": (0.51, 1 / 12, rank_bets(0.51), lambda r, bad: r.random() ** (0.5 if bad else 1.0)),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_textbook(name: str) -> None:
    m0, variance, bets, draw = CASES[name]
    for seed in range(3):
        random = Random(seed)
        ours, textbook = (
            MixtureESR(m0, variance, bets, 50_000.0),
            Textbook(m0, variance, bets, 50_000.0),
        )
        fired = []
        for unit in range(6_000):
            y = draw(random, unit >= 4_000)
            alarm = textbook.update(y)
            assert ours.update(y) is alarm, unit
            if unit % 97 == 0 or alarm:
                assert ours.statistic() == pytest.approx(sum(textbook.m) / BETS, rel=1e-9)
            if alarm:
                fired.append(unit)
                assert ours.change_point() == textbook.change_point()
                break
        assert fired, "a large shift is found"
        assert fired[0] > 4_000


@pytest.mark.parametrize(
    ("share", "index", "change"),
    [(0.05, 3_324, 2_974), (0.10, 3_021, 2_974), (0.30, 3_009, 2_974)],
)
def test_where_it_fires(share: float, index: int, change: int) -> None:
    random = Random(11)
    detector = MixtureESR(0.0245, 0.0196, rate_bets(0.0245), 50_000.0)
    for unit in range(10_000):
        if detector.update(rate(random, share if unit >= 3_000 else 0.02)):
            break
    assert (unit, detector.change_point()) == (index, change)


@pytest.mark.parametrize("name", CASES)
def test_never_fires_below_m0(name: str) -> None:
    m0, variance, bets, draw = CASES[name]
    detector = MixtureESR(m0, variance, bets, 1e6)
    random = Random(5)
    assert not any(detector.update(draw(random, False)) for _ in range(5_000))


def test_better_is_never_an_alarm_and_leaves_no_denormals() -> None:
    detector = MixtureESR(0.5, 1 / 12, rank_bets(0.5), 5_000.0)
    assert not any(detector.update(0.01) for _ in range(20_000))
    state = detector.snapshot()
    assert all(p == 0.0 or p > 1e-300 for p in state["p"])


def test_left_running_on_a_strong_shift_it_stays_finite() -> None:
    detector = MixtureESR(0.02, 0.0196, rate_bets(0.02), 5_000.0)
    for _ in range(20_000):
        detector.update(1.0)
    assert math.isfinite(detector.statistic())
    assert math.isfinite(detector.evidence())
    orjson.loads(orjson.dumps(detector.snapshot()))


@settings(deadline=None, max_examples=60)
@given(
    before=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.3, 1.0]), max_size=60),
    after=st.lists(st.sampled_from([0.0, 0.0, 0.5, 1.0]), max_size=60),
    m0=st.floats(0.001, 0.6),
)
def test_a_restored_one_goes_on_alike(before: list[float], after: list[float], m0: float) -> None:
    kept = MixtureESR(m0, 0.05, rate_bets(m0), 5_000.0)
    for y in before:
        kept.update(y)
    restored = MixtureESR(m0, 0.05, rate_bets(m0), 5_000.0)
    restored.restore(orjson.loads(orjson.dumps(kept.snapshot())))
    for y in after:
        assert kept.update(y) is restored.update(y)
    assert kept.statistic() == restored.statistic()
    assert kept.change_point() == restored.change_point()


def test_reset_forgets_everything() -> None:
    used, fresh = (MixtureESR(0.1, 0.09, rate_bets(0.1), 5_000.0) for _ in range(2))
    for _ in range(50):
        used.update(1.0)
    used.reset()
    assert used.snapshot() == fresh.snapshot()


@pytest.mark.parametrize("m0", [0.0, -1.0])
def test_refuses_a_null_that_cannot_be(m0: float) -> None:
    with pytest.raises(ValueError, match="m0"):
        MixtureESR(m0, 0.1, (0.02, 0.4), 5_000.0)
