"""What a rule can see, and how soon: the figure to look at before the rule is trusted.

After a shift of the mean above ``m0`` the logarithm of bet k's sum grows by
``g_k = E ln(1 + lam_k (y - m0))`` a unit; the detector fires after about ``ln(A) / max_k g_k`` units. For
0/1 units that expectation is exact; otherwise its second order ``lam d - lam^2 (v + d^2) / 2`` stands for
it. An upper figure: measured medians are 0.3 to 0.9 of it (docs/detectors.md).
"""

from __future__ import annotations

from math import exp, log, log1p, sqrt
from statistics import NormalDist
from typing import NamedTuple

from detectors.baseline import ArmingPolicy, Stage, wilson
from detectors.cost_reference import SAMPLE
from detectors.esr import MixtureESR, fraction_bets, rate_bets
from detectors.rules import Rule
from detectors.tilted_esr import KEPT, POSITIONS, USUAL, VARIANCE, WEIGHTS, TiltedESR
from schemas.catalog import Measure
from schemas.signal import SignalName

REFERENCE = 5_000
"""Units of the baseline that a plan assumes: a full one."""
SCORE_VARIANCE = 0.0625
"""Variance of a faithfulness score around a healthy mean, of real answers (docs/detectors.md)."""
SPREAD = 0.7
"""Standard deviation of ln(cost) that a plan assumes: heavy tails, as requests have."""
SCORES = [NormalDist().inv_cdf(place / POSITIONS) for place in range(1, POSITIONS, 2)]
"""Normal scores of the ranks in a full sample."""
TYPICAL = {Measure.SCORE: 0.88, Measure.RATE: 0.02}
"""What is normal where nothing is known yet."""


class Plan(NamedTuple):
    """``shift`` in the signal's own words; ``units`` and ``days`` until it is seen, both upper figures."""

    shift: str
    units: float
    days: float


def threshold(rule: Rule, per_day: float, segments: int = 1) -> float:
    """A: the mean number of units to a false alarm that the rule's budget asks for at this volume."""
    policy = ArmingPolicy()
    return max(segments * per_day * 7.0 * rule.budget_weeks, policy.least_threshold)


def _rate(share: float) -> str:
    return f"{share:.1%}" if share >= 0.01 else f"{share:.2%}"


def rate_delay(esr: MixtureESR, rate: float) -> float:
    """Units until a rise of a 0/1 mean to ``rate`` is seen.

    >>> esr = MixtureESR(0.022, 0.02, rate_bets(0.022), 280_000.0)
    >>> round(rate_delay(esr, 0.10))
    164
    """
    gains = [rate * log1p(lam * (1 - esr.m0)) + (1 - rate) * log1p(-lam * esr.m0) for lam in esr.bets]
    return log(esr.threshold) / max(gains) if max(gains) > 0 else float("inf")


def mean_delay(esr: MixtureESR, mean: float, variance: float) -> float:
    """Units until a rise of a bounded mean to ``mean`` is seen, second order."""
    d = mean - esr.m0
    gains = [lam * d - lam * lam * (variance + d * d) / 2 for lam in esr.bets]
    return log(esr.threshold) / max(gains) if max(gains) > 0 else float("inf")


def shift_delay(esr: TiltedESR, shift: float) -> float:
    """Units until a shift of the normal scores, in their standard deviations, is seen by its ranks."""
    likelihood = [exp(shift * z - shift * shift / 2) for z in SCORES]
    total = sum(likelihood)
    gains = []
    for k, m in enumerate(esr.m0):
        logs = [log(KEPT + (1.0 - KEPT) * row[k] / m) for row in WEIGHTS[1::2]]
        gains.append(sum([gain * weight for gain, weight in zip(logs, likelihood, strict=True)]) / total)
    return log(esr.threshold) / max(gains) if max(gains) > 0 else float("inf")


def plans(rule: Rule, per_day: float, segments: int = 1, normal: float | None = None) -> list[Plan]:
    """What a rule sees how soon at ``per_day`` units a day in one of ``segments`` segments.

    ``normal`` is the signal's usual value (score or rate); a typical one if it is not known.
    """
    if rule.direction == "changed":
        return []
    needed = threshold(rule, per_day, segments)
    errors = ArmingPolicy().errors(Stage.PINNED, segments)
    found: list[tuple[str, float]] = []
    if rule.measure is Measure.RATE:
        usual = normal if normal is not None else TYPICAL[Measure.RATE]
        m0 = rule.bound or max(wilson(usual, REFERENCE, errors), 1e-3)
        esr = MixtureESR(m0, m0 * (1 - m0), rate_bets(m0), needed)
        base = usual if rule.bound is None else rule.bound
        for times, moves in ((1.5, 1), (2.5, 2), (5.0, 5)):
            # Of a rate near 0 a multiple is nothing: a move that the rule would tell of is the least shown.
            rate = max(base * times, base + moves * (rule.min_effect or 0.001))
            if rate < 1.0:
                found.append((f"{_rate(base)} → {_rate(rate)}", rate_delay(esr, rate)))
    elif rule.measure is Measure.SCORE:
        usual = normal if normal is not None else TYPICAL[Measure.SCORE]
        bad = 1.0 - (rule.bound or usual)
        m0 = bad if rule.bound else bad + errors * sqrt(SCORE_VARIANCE / REFERENCE)
        esr = MixtureESR(m0, SCORE_VARIANCE, fraction_bets(m0), needed)
        for drop in (0.05, 0.10, 0.23):
            if bad + drop >= 1.0:
                continue
            delay = mean_delay(esr, bad + drop, 1.4 * SCORE_VARIANCE)
            found.append((f"{1 - bad:.2f} → {1 - bad - drop:.2f}", delay))
    else:
        # Cost per success is watched on two sides, each at twice the threshold: this is the side of costs.
        sides = 2 if rule.signal is SignalName.COST_PER_SUCCESS else 1
        margins = [errors * sqrt(variance / SAMPLE) for variance in VARIANCE]
        tilted = TiltedESR([m + margin for m, margin in zip(USUAL, margins, strict=True)], 2 * sides * needed)
        for factor in (1.2, 1.5, 3.0):
            found.append((f"×{factor:g}", shift_delay(tilted, log(factor) / SPREAD)))
    return [Plan(shift, units, units / per_day) for shift, units in found]
