"""How many requests a bucket may hold: a negative binomial count, and where an observed one stands in it."""

from __future__ import annotations

from hashlib import blake2b
from math import exp, lgamma, log, log1p

from detectors.declared.incomplete_beta import incomplete_beta

LEAST_DISPERSION = 1e-4
"""Nobody's traffic is steadier than one per cent of its mean."""


def below(count: int, mean: float, dispersion: float) -> float:
    """P(X <= ``count``) for X negative binomial with this mean and variance ``mean + dispersion mean^2``.

    ``dispersion`` 0 would be a Poisson count; it is at least 1e-4 here.

    >>> round(below(0, 2.0, 1e-4), 4), round(below(1, 2.0, 0.5), 4)   # exp(-2) = 0.1353
    (0.1354, 0.5)
    """
    if count < 0:
        return 0.0
    size = 1.0 / max(dispersion, LEAST_DISPERSION)
    return incomplete_beta(size, count + 1.0, size / (size + mean))


def exactly(count: int, mean: float, dispersion: float) -> float:
    """P(X = ``count``) of the same law."""
    size = 1.0 / max(dispersion, LEAST_DISPERSION)
    return exp(
        lgamma(size + count)
        - lgamma(size)
        - lgamma(count + 1.0)
        - size * log1p(mean / size)
        + (count * log(mean / (size + mean)) if count else 0.0)
    )


def standing(count: int, mean: float, dispersion: float, chance: float) -> float:
    """The randomised probability integral transform: ``P(X < count) + chance P(X = count)``.

    Uniform on [0, 1] if the count has this law and ``chance`` is uniform and independent of it
    (Czado, Gneiting & Held 2009, Biometrics 65:1254); stochastically smaller if its mean is smaller.

    >>> round(standing(0, 2.0, 1e-4, 0.5), 4), round(standing(9, 2.0, 1e-4, 0.5), 4)
    (0.0677, 0.9999)
    """
    less = below(count - 1, mean, dispersion)
    return min(less + chance * exactly(count, mean, dispersion), 1.0)


def chance(*parts: object) -> float:
    """A number in [0, 1) that a name decides: the same at every run, as good as random between names.

    >>> chance("app", 1) == chance("app", 1), chance("app", 1) == chance("app", 2)
    (True, False)
    """
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest()) / 2**48
