"""Marginal likelihoods, against numbers worked out by hand."""

from __future__ import annotations

from math import log

import pytest

from detectors.likelihood import Group, Ranks, Rates, likelihood, normal_scores


def test_a_rate_of_its_own_against_the_formula() -> None:
    """Two units at a mean of (1 + 10 * 0.1) / (10 + 10) = 0.1: beta(0.2, 1.8); one hit has its mean."""
    rates = Rates([0.0] * 9 + [1.0], 0.1)
    assert rates.alone(1, 1.0, False) == pytest.approx(log(0.1))
    assert rates.alone(1, 0.0, False) == pytest.approx(log(0.9))
    assert rates.alone(2, 2.0, False) == pytest.approx(log(0.1 * 1.2 / 3.0))
    assert rates.alone(2, 2.0, True) == pytest.approx(log(0.1 * 11.0 / 101.0)), "100 units at the normal rate"


def test_a_group_of_ranks_against_the_formula() -> None:
    ranks = Ranks([1.0, 2.0, 3.0])
    assert ranks.scores == pytest.approx([-0.9674, 0.0, 0.9674], abs=1e-4)
    variance = 2 * 0.96742**2 / 3
    assert ranks.alone(1, 1.0, False) == pytest.approx(0.5 * (0.3 / 1.3 / variance - log(1.3)), abs=1e-4)
    assert ranks.alone(0, 0.0, False) == 0.0


def test_ties_share_a_rank_and_order_changes_nothing() -> None:
    scores = normal_scores([0.0, 5.0, 0.0, 0.0])
    assert scores[0] == scores[2] == scores[3] < scores[1]
    assert sum(scores) == pytest.approx(0.0)
    assert normal_scores([7.0] * 4) == [0.0] * 4


def test_an_outlier_counts_as_the_largest_and_no_more() -> None:
    assert normal_scores([1.0, 2.0, 3.0]) == normal_scores([1.0, 2.0, 3e9])


def test_groups_that_moved_alike_are_better_explained_together_and_others_apart() -> None:
    """Ten of 100 where there were two of 100: in both groups, or all of it in one."""
    model = likelihood([0.0] * 376 + [1.0] * 24, 0.02)
    assert isinstance(model, Rates)

    def in_favour(ours: Group, others: Group) -> float:
        was = Group(100, 2.0)
        one_alone = model.alone(ours.n, ours.total, False) + model.alone(100, 2.0, True)
        others_stayed = model.alone(100 + others.n, 2.0 + others.total, True)
        return model.together((was, ours), (was, others)) - one_alone - others_stayed

    assert in_favour(Group(100, 10.0), Group(100, 10.0)) > 2.0
    assert in_favour(Group(100, 18.0), Group(100, 2.0)) < -2.0
