"""Marginal likelihoods, against numbers worked out by hand."""

from __future__ import annotations

from math import exp, log

import pytest

from detectors.likelihood import Group, Means, Rates, likelihood
from detectors.series import Series, series
from schemas.observation import Profile


def many(ys: list[float], shares: bool = True) -> Series:
    return series([(at, y, "", Profile(), None) for at, y in enumerate(ys)], shares=shares)


def test_a_rate_of_its_own_against_the_formula() -> None:
    """Two units at a mean of (1 + 10 * 0.1) / (10 + 10) = 0.1: beta(0.2, 1.8); one hit has its mean."""
    rates = Rates(many([0.0] * 9 + [1.0]), 0.1)
    assert rates.alone(1, 1.0, False) == pytest.approx(log(0.1))
    assert rates.alone(1, 0.0, False) == pytest.approx(log(0.9))
    assert rates.alone(2, 2.0, False) == pytest.approx(log(0.1 * 1.2 / 3.0))
    calm = 0.1 * 11.0 / 101.0
    either = (calm + 0.1 * 1.2 / 3.0) / 2.0
    assert rates.alone(2, 2.0, True) == pytest.approx(log(either)), "100 units at the normal rate, or its own"


def test_shares_that_vary_less_count_for_more_units_of_0_and_1() -> None:
    """Halves of 1/4 and 3/4 vary by a quarter of what halves of 0 and 1 do: each counts for four."""
    quarters = many([0.25, 0.75] * 30)
    assert quarters.dispersion == pytest.approx(0.25)
    rates, binary = Rates(quarters, 0.5), Rates(quarters._replace(dispersion=1.0), 0.5)
    for calm in (False, True):
        assert rates.alone(3, 1.0, calm) == pytest.approx(binary.alone(12, 4.0, calm))
    assert many([0.0, 1.0] * 30).dispersion == pytest.approx(1.0)
    assert many([0.25, 0.75] * 24).dispersion == 1.0, "too few to tell"
    constant = Rates(many([0.5] * 60), 0.5)
    assert constant.alone(1, 0.5, False) == pytest.approx(binary.alone(5, 2.5, False)), "five at most"


def test_a_group_of_amounts_against_the_formula() -> None:
    """Excess over 1 in units of variance 4: one mean, normal around 1 with variance 4, or 0.04."""
    means = Means(many([1.0, 5.0], shares=False), 1.0)
    assert means.score(2, 6.0) == 4.0
    wild = 0.5 * (2 / 3 * 16 / (2 * 4) - log(3.0))
    assert means.alone(2, 4.0, False) == pytest.approx(wild)
    calm = 0.5 * (0.02 / 1.02 * 16 / (2 * 4) - log(1.02))
    assert means.alone(2, 4.0, True) == pytest.approx(log((exp(calm) + exp(wild)) / 2.0))
    assert means.alone(0, 0.0, False) == 0.0


def test_groups_that_moved_alike_are_better_explained_together_and_others_apart() -> None:
    """Ten of 100 where there were two of 100: in both groups, or all of it in one."""
    model = likelihood(many([0.0] * 376 + [1.0] * 24), 0.02)
    assert isinstance(model, Rates)

    def in_favour(ours: Group, others: Group) -> float:
        was = Group(100, 2.0)
        one_alone = model.alone(ours.n, ours.total, False) + model.alone(100, 2.0, True)
        others_stayed = model.alone(100 + others.n, 2.0 + others.total, True)
        return model.together((was, ours), (was, others)) - one_alone - others_stayed

    assert in_favour(Group(100, 10.0), Group(100, 10.0)) > 2.0
    assert in_favour(Group(100, 18.0), Group(100, 2.0)) < -2.0
