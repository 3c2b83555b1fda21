"""What a sample owes to chance, as far as something else that is known of all tells."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum


def controlled_mean(
    views: Sequence[float], controls: Sequence[float], usual: float, variance: float, population: int
) -> tuple[float, float]:
    """Mean of a view over the population a sample was drawn from, and the variance of that estimate.

    ``views`` and ``controls`` are of the sample's units; the view's mean is ``usual`` in a sample without
    luck, with ``variance`` a unit, and the control's mean in the ``population`` (units) is 0, exactly. Its
    mean c in the sample is the sample's luck, which the view follows with slope b = cov(view, control) /
    var(control) and correlation rho: ``usual - b c``, with variance ``((1 - rho^2) / k + rho^2 / n)
    variance`` instead of ``variance / k``. (Hammersley & Handscomb, Monte Carlo Methods, 1964, 5.5.)

    Where the sample is the population nothing changes. **Misleads** where the view does not follow the
    control in a line: what is left is then more than it says.

    >>> controlled_mean([0.2, 0.8], [-1.0, 3.0], usual=0.5, variance=1 / 12, population=1000)
    (0.35, 8.333333333333333e-05)
    """
    size = len(views)
    mean, luck = fsum(views) / size, fsum(controls) / size
    v2 = fsum([(v - mean) ** 2 for v in views])
    c2 = fsum([(c - luck) ** 2 for c in controls])
    vc = fsum([(v - mean) * (c - luck) for v, c in zip(views, controls, strict=True)])
    if v2 <= 0.0 or c2 <= 0.0:
        return usual, variance / size
    explained = min(vc * vc / (v2 * c2), 1.0)
    return usual - vc / c2 * luck, variance * ((1.0 - explained) / size + explained / max(population, size))
