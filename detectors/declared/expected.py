"""How many pages an objective brings by chance, from an app that is within it."""

from __future__ import annotations

from math import ceil

from detectors.declared.burn_rate import LEAST_BAD
from detectors.declared.incomplete_beta import binomial_tail
from detectors.declared.policy import BUCKET_MS, DAY_MS, Slo, Tier

HALF = 0.5
"""The part of its budget that the app of these figures uses."""


def chance(policy: Slo, tier: Tier, per_day: float) -> float:
    """P(a tier fires at one bucket's end) of independent failures at half of the budget: an upper figure, the
    long window alone. 0 where the traffic never brings ``min_units``.

    >>> policy = Slo(0.99, min_units=50)
    >>> [f"{chance(policy, tier, 2_000):.0e}" for tier in policy.tiers]
    ['2e-14', '1e-22', '9e-07']
    """
    n = round(per_day * tier.long_ms / DAY_MS)
    if n < policy.min_units:
        return 0.0
    bad = max(ceil(tier.rate * policy.budget * n - 1e-9), LEAST_BAD)
    return binomial_tail(n, HALF * policy.budget, bad)


def pages_a_month(policy: Slo, per_day: float) -> float:
    """Expected false alarms in 30 days, at most: every bucket's end, every tier (union bound).

    >>> round(pages_a_month(Slo(0.99), 2_000), 4)
    0.0074
    """
    ends = 30 * DAY_MS / BUCKET_MS
    return ends * sum([chance(policy, tier, per_day) for tier in policy.tiers])


def blind(policy: Slo, per_day: float) -> list[Tier]:
    """The tiers that are never asked at this traffic: their long windows hold fewer than ``min_units``."""
    return [tier for tier in policy.tiers if per_day * tier.long_ms / DAY_MS < policy.min_units]
