"""Several exact tests under one level: the chance of any false "worse" is at most alpha."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Tail(NamedTuple):
    """``p``: how likely so bad a result is if nothing is wrong; ``least``: the least it could be."""

    name: str
    p: float
    least: float


class Family(NamedTuple):
    """``broken``: the significant tests. ``adjusted``: the smallest p, times ``share``, at most 1."""

    broken: list[Tail]
    adjusted: float
    share: int


def decide(tests: Sequence[Tail], alpha: float) -> Family:
    """Bonferroni over the tests that could be significant at all (Tarone, Biometrics 46, 1990).

    A slice of three cases can never reach 1 %: to count it would only weaken the others. The level holds
    however the slices overlap.

    >>> decide([Tail("a", 0.03, 0.001), Tail("tiny", 0.5, 0.5)], 0.05)
    Family(broken=[Tail(name='a', p=0.03, least=0.001)], adjusted=0.03, share=1)
    >>> decide([Tail("a", 0.03, 0.001), Tail("b", 0.9, 0.001)], 0.05).broken
    []
    """
    share = next(
        (k for k in range(1, len(tests) + 1) if sum(test.least <= alpha / k for test in tests) <= k), 1
    )
    able = [test for test in tests if test.least <= alpha / share]
    broken = sorted((test for test in able if test.p <= alpha / share), key=lambda test: (test.p, test.name))
    return Family(broken, min((min(1.0, test.p * share) for test in able), default=1.0), share)
