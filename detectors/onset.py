"""When a change began, as a range: the splits of the remembered units that are plausible."""

from __future__ import annotations

from math import exp, log

from detectors.likelihood import likelihood, log_sum
from detectors.unit import Unit

LEVEL = 0.9
"""Posterior probability of the range."""
EARLIER = 0.1
"""Prior odds that it began before all that is remembered, against a moment within."""
LEAST_BEFORE = 5
"""Units before a split that are needed to call them healthy."""


def onset_range(units: list[Unit], normal: float, onset: int) -> tuple[int, int] | None:
    """The event times (epoch ms) between which the rise of ``y`` began, at a probability of 90 %.

    The posterior of a single change point (Smith, Biometrika 62, 1975): for each unit, how well "those before
    it share one mean, about ``normal``, and those from it on share a larger one" explains all of them, times
    the time since the unit before it, any moment being alike likely beforehand. A twentieth is cut off at
    either end; ``onset``, the detector's own estimate, is always within.

    None where the beginning may lie before all that is remembered (probability above a twentieth).

    **Misleads** on a gradual change, of which it shows the part that stands out, and where the alarm is
    false: then it is the range of nothing. How often it holds the true time is measured in docs/detectors.md.
    """
    n = len(units)
    if n <= LEAST_BEFORE:
        return None
    model = likelihood([unit[1] for unit in units], normal)
    total, before = sum(model.scores), sum(model.scores[:LEAST_BEFORE])
    span = units[-1][0] - units[0][0] + 1
    weights = [model.alone(n, total, False) + log(EARLIER * span)]
    for at in range(LEAST_BEFORE, n):
        weight = -1e300
        if before * (n - at) < (total - before) * at:
            gap = max(units[at][0] - units[at - 1][0], 1)
            weight = model.alone(at, before, True) + model.alone(n - at, total - before, False) + log(gap)
        weights.append(weight)
        before += model.scores[at]
    everything, tail = log_sum(weights), (1.0 - LEVEL) / 2.0
    passed = exp(weights[0] - everything)
    if passed > tail:
        return None
    first, last = onset, onset
    begun = False
    for at, weight in enumerate(weights[1:], LEAST_BEFORE):
        passed += exp(weight - everything)
        if not begun and passed > tail:
            first, begun = min(onset, units[at - 1][0]), True
        if passed >= 1.0 - tail:
            last = max(onset, units[at][0])
            break
    return first, last
