"""Simulated incidents: a segment that learns what is normal, and then something in it gets worse.

The traffic is that of one route with a daily cycle, twelve tenants whose plan, language, region and sdk are
their own, two providers, two indexes, a tier that has always been worse, and sixty users of whom few ask
most. What goes wrong is planted in one value of one dimension, or in none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.detectors.streams import Array, badness, log_costs, times
from schemas.observation import Profile

TENANTS, USERS = 12, 60
WORSE_TIER = 0.1
"""Share of the traffic that has always been worse."""
LARGEST = {"score": 0.35, "rate": 0.25, "cost": 2.0}
"""Largest moves of the mean that are planted; of a cost, in shares of what is normal."""
WITHIN = {"score": 0.6, "rate": 0.8, "cost": 30.0}
"""As far as one value's own units can get worse."""
LEAST = {"score": 0.03, "rate": 0.005, "cost": 0.05}
"""``min_effect`` of the default rules."""
ABOVE = 1.3
"""The smallest move planted, in least effects."""
TIER = {"score": 0.2, "rate": 0.08, "cost": 2.0}
"""By how much the worse tier has always been worse."""
Key = tuple[Any, ...]
Indices = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


class Traffic:
    """``n`` units in their order, as arrays; ``ys`` is what the signal's detector will see.

    ``values`` holds for each dimension the index of its value, and ``names`` what the index stands for.
    """

    def __init__(self, rng: np.random.Generator, signal: str, n: int, per_day: float) -> None:
        self.rng, self.signal, self.n = rng, signal, n
        self.move = 0.0
        """What was planted, in least effects of the rule."""
        at = times(rng, n, per_day)
        self.at: Indices = (at * 1000).astype(np.int64)
        tenant = rng.choice(TENANTS, n, p=_zipf(TENANTS))
        self.user: Indices = rng.choice(USERS, n, p=_zipf(USERS))
        self.values: dict[str, Indices] = {
            "tenant": tenant,
            "provider": (rng.random(n) < 0.3).astype(np.int64),
            "index_version": (rng.random(n) < 0.2).astype(np.int64),
            "tier": (rng.random(n) < WORSE_TIER).astype(np.int64),
            "served_model": np.zeros(n, np.int64),
            "prompt_version": np.zeros(n, np.int64),
            "release": np.zeros(n, np.int64),
        }
        self._base: Array = (
            badness(rng, n, 0.88)
            if signal == "score"
            else rng.random(n)
            if signal == "rate"
            else np.exp(log_costs(rng, at))
        )
        self._bad: Array = np.zeros(n)
        self.worsen(self.values["tier"] == 1, TIER[signal])

    def worsen(self, units: Mask, by: float) -> None:
        """Raise the mean of these units by ``by``; of costs, by this share of what is normal."""
        self._bad[units] += by

    def ys(self) -> Array:
        if self.signal == "rate":
            return (self._base < 0.02 + self._bad).astype(float)
        if self.signal == "cost":
            dearer: Array = self._base * (1.0 + self._bad)
            return dearer
        # Answers that fail: 0.25 supported on average instead of 0.88.
        failing = self.rng.random(self.n) < self._bad / 0.63
        found: Array = np.where(failing, self.rng.beta(6.0, 2.0, self.n).round(3), self._base)
        return found

    def profiles(self) -> list[Profile]:
        """One per unit, the same object for the same values."""
        known: dict[Key, Profile] = {}
        made = []
        for key in zip(*[column.tolist() for column in self.values.values()], strict=True):
            profile = known.get(key)
            if profile is None:
                profile = known[key] = _profile(dict(zip(self.values, key, strict=True)))
            made.append(profile)
        return made


def _profile(at: dict[str, int]) -> Profile:
    tenant = at["tenant"]
    return Profile(
        "prod",
        "chat",
        provider=f"p{at['provider']}",
        model="gpt",
        served_model=f"gpt-{at['served_model']}",
        prompt_version=f"v{at['prompt_version']}",
        system_prompt_version="s1",
        index_version=f"i{at['index_version']}",
        release=f"r{at['release']}",
        versions=(
            ("language", f"l{tenant % 4}"),
            ("plan", f"plan{tenant % 2}"),
            ("region", f"region{tenant // 4}"),
            ("sdk", f"sdk{tenant % 5}"),
            ("tenant", f"t{tenant}"),
            ("tier", "usual" if at["tier"] == 0 else "hard"),
        ),
    )


def _zipf(n: int) -> Array:
    weights: Array = 1.0 / np.arange(2, n + 2)
    shares: Array = weights / weights.sum()
    return shares


class Planted(NamedTuple):
    """What may be named: (dimension, value) pairs, none where nothing is to blame; and by what effect.

    ``arrived`` is the first unit of a version that replaced another, guilty or not.
    """

    causes: frozenset[tuple[str, str]]
    effect: str | None
    announced: tuple[tuple[int, str, str | None, str], ...] = ()
    arrived: int | None = None


Plant = Callable[[Traffic, int], Planted]
VERSIONS = {"served_model": "gpt-", "prompt_version": "v", "release": "r", "index_version": "i"}
NEW = 7


def _move(traffic: Traffic, share: float = 1.0) -> float:
    """A move of the mean from just above the least effect to a large one, evenly on a log scale."""
    signal = traffic.signal
    low, high = ABOVE * LEAST[signal], min(LARGEST[signal], share * WITHIN[signal])
    assert low < high, (signal, share)
    move = float(np.exp(traffic.rng.uniform(math.log(low), math.log(high))))
    traffic.move = move / LEAST[signal]
    return move


def _since(traffic: Traffic, change: int) -> Mask:
    since: Mask = np.arange(traffic.n) >= change
    return since


def _arrive(traffic: Traffic, dimension: str, units: Mask) -> tuple[str, str]:
    traffic.values[dimension][units] = NEW
    return dimension, f"{VERSIONS[dimension]}{NEW}"


def _some_version(traffic: Traffic) -> str:
    return str(traffic.rng.choice(list(VERSIONS)))


def replaced(traffic: Traffic, change: int) -> Planted:
    since = _since(traffic, change)
    named = _arrive(traffic, _some_version(traffic), since)
    traffic.worsen(since, _move(traffic))
    return Planted(frozenset([named]), "within", arrived=change)


def announced(traffic: Traffic, change: int) -> Planted:
    """As ``replaced``, and somebody said so, up to a quarter of an hour before."""
    planted = replaced(traffic, change)
    ((dimension, value),) = planted.causes
    time = int(traffic.at[change] - traffic.rng.uniform(0, 900_000))
    return planted._replace(announced=((time, dimension, None, value),))


def canary(traffic: Traffic, change: int) -> Planted:
    share = traffic.rng.uniform(0.1, 0.5)
    units = _since(traffic, change) & (traffic.rng.random(traffic.n) < share)
    named = _arrive(traffic, _some_version(traffic), units)
    traffic.worsen(units, _move(traffic, share) / share)
    return Planted(frozenset([named]), "within")


def one_user(traffic: Traffic, change: int) -> Planted:
    """A user asks a tenth to a third of everything since, and gets (or costs) worse."""
    share = traffic.rng.uniform(0.1, 0.35)
    units = _since(traffic, change) & (traffic.rng.random(traffic.n) < share)
    user = int(traffic.rng.integers(USERS))
    traffic.user[units] = user
    units |= _since(traffic, change) & (traffic.user == user)
    traffic.worsen(units, _move(traffic, share) / share)
    return Planted(frozenset([("user_id", f"u{user}")]), "within")


def few_users(traffic: Traffic, change: int) -> Planted:
    """Two or three users do, in equal parts: any of them may be named."""
    count = int(traffic.rng.integers(2, 4))
    share = traffic.rng.uniform(0.08, 0.15)
    users = traffic.rng.choice(USERS, count, replace=False)
    since, drawn = _since(traffic, change), traffic.rng.random(traffic.n)
    for place, user in enumerate(users.tolist()):
        traffic.user[since & (drawn >= place * share) & (drawn < (place + 1) * share)] = user
    units = since & np.isin(traffic.user, users)
    traffic.worsen(units, _move(traffic, count * share) / (count * share))
    return Planted(frozenset(("user_id", f"u{user}") for user in users.tolist()), "within")


def slice_worse(traffic: Traffic, change: int) -> Planted:
    """An index or a provider that was always there gets worse within itself."""
    dimension, value, share = [("index_version", "i1", 0.2), ("provider", "p1", 0.3)][
        int(traffic.rng.integers(2))
    ]
    units = _since(traffic, change) & (traffic.values[dimension] == 1)
    traffic.worsen(units, _move(traffic, share) / share)
    return Planted(frozenset([(dimension, value)]), "within")


def mix_shift(traffic: Traffic, change: int) -> Planted:
    """The tier that was always worse grows from a tenth of the traffic, and is as bad as ever."""
    worse = TIER[traffic.signal]
    least = ABOVE * LEAST[traffic.signal] / worse
    grows = traffic.rng.uniform(max(least, 0.2), 0.75)
    units = _since(traffic, change) & (traffic.values["tier"] == 0)
    units &= traffic.rng.random(traffic.n) < grows
    traffic.values["tier"][units] = 1
    traffic.move = (1.0 - WORSE_TIER) * grows * worse / LEAST[traffic.signal]
    traffic.worsen(units, worse)
    return Planted(frozenset([("tier", "hard")]), "mix")


def two_dimensions(traffic: Traffic, change: int) -> Planted:
    """Two versions on the same units: either may be named."""
    share = 1.0 if traffic.rng.random() < 0.5 else traffic.rng.uniform(0.15, 0.5)
    units = _since(traffic, change) & (traffic.rng.random(traffic.n) < share)
    one, other = traffic.rng.choice(list(VERSIONS), 2, replace=False)
    named = [_arrive(traffic, str(one), units), _arrive(traffic, str(other), units)]
    traffic.worsen(units, _move(traffic, share) / share)
    return Planted(frozenset(named), "within")


def everything(traffic: Traffic, change: int) -> Planted:
    """All units get worse alike."""
    traffic.worsen(_since(traffic, change), _move(traffic))
    return Planted(frozenset(), None)


def harmless_before(traffic: Traffic, change: int) -> Planted:
    """All units get worse; at any time of the traffic before (a fortnight at most) a version was replaced."""
    age = min(float(traffic.at[change] - traffic.at[0]), 14 * 86_400_000)
    since = traffic.at >= traffic.at[change] - traffic.rng.uniform(0.0, age)
    _arrive(traffic, _some_version(traffic), since)
    return everything(traffic, change)._replace(arrived=int(np.argmax(since)))


def decoy_before(traffic: Traffic, change: int) -> Planted:
    """All units get worse, one hour to a day after a version was replaced, harmlessly."""
    age = np.exp(traffic.rng.uniform(math.log(3_600_000), math.log(86_400_000)))
    since = traffic.at >= traffic.at[change] - age
    _arrive(traffic, _some_version(traffic), since)
    return everything(traffic, change)._replace(arrived=int(np.argmax(since)))


def decoy_part(traffic: Traffic, change: int) -> Planted:
    """All units get worse, and at the same moment a part of them gets a new version."""
    share = traffic.rng.uniform(0.1, 0.5)
    units = _since(traffic, change) & (traffic.rng.random(traffic.n) < share)
    _arrive(traffic, _some_version(traffic), units)
    return everything(traffic, change)


CAUSED: dict[str, Plant] = {
    "a version replaced": replaced,
    "replaced, announced": announced,
    "a canary of 10-50 %": canary,
    "one user": one_user,
    "two or three users": few_users,
    "a slice gets worse": slice_worse,
    "a worse slice grows": mix_shift,
    "two dimensions at once": two_dimensions,
}
UNCAUSED: dict[str, Plant] = {
    "everything worse": everything,
    "a version some time before": harmless_before,
    "a decoy on a part": decoy_part,
}
ADVERSE: dict[str, Plant] = {"a decoy 1-24 h before": decoy_before}
"""Where no method can both name 95 % of the versions that broke something and blame 5 % of those that did
not: see ``benchmarks.detectors.observer``."""
