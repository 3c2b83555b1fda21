"""What a sample owes to chance, as far as something else that is known of all tells."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from operator import mul


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return fsum(map(mul, one, other))


class Controls:
    """Quantities of a sample's units whose mean in the whole population is known, to correct means by.

    ``columns`` are those quantities, each less that known mean. A view with mean ``usual`` in a sample
    without luck, and ``variance`` a unit, has in the population the mean ``usual - b c``: c are the columns'
    means in the sample, which are its luck, b the slopes of the view's regression on them. Its variance is
    ``((1 - R^2) / k + R^2 / n) variance`` for a sample of k out of n units, instead of ``variance / k``.
    (Hammersley & Handscomb, Monte Carlo Methods, 1964, 5.5.)

    Where the sample is the population nothing changes. Where the means are not ``known`` of this population,
    neither is the luck, and nothing is taken back.
    **Misleads** where the view does not follow the controls in a line: what is left is more than it says.

    >>> Controls([[-1.0, 3.0]], population=1000).mean([0.2, 0.8], usual=0.5, variance=1 / 12)
    (0.35, 8.333333333333333e-05)
    """

    __slots__ = ("_axes", "_known", "_population", "_size")

    def __init__(self, columns: Sequence[Sequence[float]], population: int, known: bool = True) -> None:
        self._size = len(columns[0])
        self._population = max(population, self._size)
        self._known = known
        self._axes: list[tuple[list[float], float, float, list[float]]] = []
        """Orthogonal columns (Gram-Schmidt): each with its square, its luck, and how much of each earlier one
        was taken off. One that does not vary is a column of zeros."""
        for column in columns:
            luck = fsum(column) / self._size
            axis = [x - luck for x in column]
            taken = []
            for earlier, square, its_luck, _ in self._axes:
                share = _dot(axis, earlier) / square if square > 0.0 else 0.0
                axis = [x - share * y for x, y in zip(axis, earlier, strict=True)]
                luck -= share * its_luck
                taken.append(share)
            self._axes.append((axis, _dot(axis, axis), luck, taken))

    def mean(
        self, views: Sequence[float], usual: float, variance: float, at: Sequence[float] = ()
    ) -> tuple[float, float]:
        """Mean of a view over the population, and the variance of that estimate; with ``at``, over a part of
        it in which the controls have these means."""
        centre = fsum(views) / self._size
        centred = [view - centre for view in views]
        total = _dot(centred, centred)
        mean, explained = usual, 0.0
        moved: list[float] = []
        for place, (axis, square, luck, taken) in enumerate(self._axes):
            move = at[place] if at else 0.0
            move -= fsum(map(mul, taken, moved))
            moved.append(move)
            if square <= 0.0 or total <= 0.0:
                continue
            slope = _dot(centred, axis) / square
            mean += slope * (move - luck if self._known else move)
            explained += slope * slope * square / total
        explained = min(explained, 1.0) if self._known else 0.0
        return mean, variance * ((1.0 - explained) / self._size + explained / self._population)
