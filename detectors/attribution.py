"""Which value of which dimension explains a move, and which dimensions did not change at all."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from math import exp
from typing import Literal, NamedTuple

from detectors.changes import Change
from detectors.hypotheses import LEAST_UNITS, USER, Candidate, Key, candidates, values
from detectors.unit import Unit
from schemas.signal import Cause

ORDER = (
    "served_model",
    "prompt_version",
    "index_version",
    "model",
    "release",
    "system_prompt_version",
    "provider",
)
"""Of dimensions that changed on the same units, the one to name; an application's own come next, by name."""

LEAST_SHARE = 0.5
"""Part of the move that a cause must account for; of a set of users, all of them together."""
NAMED = 0.5
"""Posterior probability from which on a cause is named: likelier than everything else together."""
NAMED_LATER = 0.95
"""The same for the further alarms of an incident: each of them is another chance to be wrong."""
ALIKE = 0.9
"""Overlap from which on two values count as being on the same units."""


class Verdict(NamedTuple):
    """The cause, if one stands out, and what did not change, in words."""

    cause: Cause | None
    ruled_out: tuple[str, ...]


def attribute(
    before: list[Unit],
    after: list[Unit],
    normal: float,
    changes: Iterable[Change],
    onset: int,
    later: bool = False,
) -> Verdict:
    """Explain the rise of ``y`` (badness, or dollars) of the units after ``onset`` over ``normal``.

    Where the remembered units are split is asked anew for each explanation, since the onset is off by
    dozens or hundreds of units: ``detectors.hypotheses`` weighs each value, and each set of up to three
    users, against "everything got worse alike". The likeliest is named if

    - its posterior probability is at least 1/2 (19/20 where ``later``, at a further alarm of an incident);
    - it accounts for half of the move. A value v moved the mean by ``D(v) = p1 (m1 - normal) - p0 (m0 -
      normal)``, p its share of the units and m its mean before and after; over all values of a dimension
      these add up to the whole move.

    ``effect`` is the larger part of D(v) (Kitagawa 1955): *within*, ``(p0 + p1) / 2 (m1 - m0)``, its own
    units got worse; *mix*, ``(p1 - p0) ((m0 + m1) / 2 - normal)``, there are more of them and they are as
    bad as ever. A value with fewer than five units before is *within*: nothing is known of what it was.

    Of several on the same units the one with the recorded change nearest to the onset is named, then by
    ``ORDER``. Of a set of users the one who accounts for most is named, with that user's own share.

    It finds what coincides, not what causes. It **misleads** when the real cause is in no dimension and
    another change happened at the onset, or so near to it that few units lie between. It is **silent**
    where the few hundred units remembered cannot tell: a version that replaced another while the move is
    small, above all where the onset lies further back than they reach, about 1,300 units.
    docs/detectors.md has how often.
    """
    units = before + after
    changes = tuple(changes)
    ruled_out = _unchanged(units) if before else ()
    found = [
        one
        for one in candidates(units, normal, changes, onset)
        if share_of(units, one.places, one.start, normal) >= LEAST_SHARE
    ]
    if not found:
        return Verdict(None, ruled_out)
    alike = [one for one in found if _alike(one, found[0])]
    everything = 1.0 + sum([exp(min(one.log_odds, 600.0)) for one in found])
    probability = sum([exp(min(one.log_odds, 600.0)) for one in alike]) / everything
    if probability < (NAMED_LATER if later else NAMED):
        return Verdict(None, ruled_out)
    return Verdict(_cause(units, alike, normal, changes, onset), ruled_out)


def share_of(units: list[Unit], places: tuple[int, ...], start: int, normal: float) -> float:
    """The part of the move since unit ``start`` that the units at ``places`` account for; below 0 or above 1
    where others moved too."""
    moved = _level(units, range(start, len(units)), len(units) - start, normal)
    moved -= _level(units, range(start), start, normal)
    if moved <= 0.0:
        return 0.0
    early = bisect_left(places, start)
    ours = _level(units, places[early:], len(units) - start, normal)
    return (ours - _level(units, places[:early], start, normal)) / moved


def effect_of(
    units: list[Unit], places: tuple[int, ...], start: int, normal: float
) -> Literal["within", "mix"]:
    """Whether more of the contribution is the value's own move or its larger share of the units."""
    early = bisect_left(places, start)
    was, now = places[:early], places[early:]
    if len(was) < LEAST_UNITS or not now:
        return "within"
    p0, p1 = len(was) / start, len(now) / (len(units) - start)
    m0, m1 = (sum([units[at][1] for at in one]) / len(one) for one in (was, now))
    within, mix = (p0 + p1) / 2.0 * (m1 - m0), (p1 - p0) * ((m0 + m1) / 2.0 - normal)
    return "mix" if mix > within else "within"


def _level(units: list[Unit], places: Iterable[int], n: int, normal: float) -> float:
    return sum([units[at][1] - normal for at in places]) / n if n else 0.0


def _alike(one: Candidate, best: Candidate) -> bool:
    """The same value, another on the same units, or a set with a user in common."""
    if one.key.dimension == USER == best.key.dimension:
        return not set(one.key.values).isdisjoint(best.key.values)
    ours, theirs = set(one.places), set(best.places)
    return len(ours & theirs) >= ALIKE * len(ours | theirs)


def _cause(
    units: list[Unit], alike: list[Candidate], normal: float, changes: tuple[Change, ...], onset: int
) -> Cause:
    def recorded(key: Key) -> Change | None:
        matching = [c for c in changes if c.dimension == key.dimension and (c.current,) == key.values]
        return min(matching, key=lambda change: abs(change.time - onset)) if matching else None

    def preference(one: Candidate) -> tuple[float, int, str, tuple[str, ...]]:
        change = recorded(one.key)
        distance = abs(change.time - onset) if change is not None else float("inf")
        return distance, _place(one.key.dimension), one.key.dimension, one.key.values

    best = alike[0]
    places, value, start = best.places, best.key.values[0], best.start
    if best.key.dimension == USER:
        by_user = {user: [at for at in places if units[at][4] == user] for user in best.key.values}
        value = max(by_user, key=lambda user: share_of(units, tuple(by_user[user]), start, normal))
        places = tuple(by_user[value])
        key = Key(USER, (value,))
    else:
        chosen = min(alike, key=preference)
        key, places, value, start = chosen.key, chosen.places, chosen.key.values[0], chosen.start
    previous = _previous(units, key, places, start, recorded(key))
    return Cause(
        dimension=key.dimension,
        previous=previous,
        current=value,
        share=round(min(max(share_of(units, places, start, normal), 0.0), 1.0), 3),
        effect=effect_of(units, places, start, normal),
    )


def _previous(
    units: list[Unit], key: Key, places: tuple[int, ...], start: int, change: Change | None
) -> str | None:
    """What a value that is new or has at least doubled gave way to; None for users, and for others."""
    early = bisect_left(places, start)
    grown = early * (len(units) - start) <= 0.5 * (len(places) - early) * start
    if not grown or key.dimension == USER:
        return None
    if change is not None and change.previous is not None:
        return change.previous
    earlier = {one: len(at) for one, at in values(units[:start]).items() if one.dimension == key.dimension}
    usual = max(earlier, key=earlier.__getitem__, default=key)
    return None if usual == key else usual.values[0]


def _place(dimension: str) -> int:
    return ORDER.index(dimension) if dimension in ORDER else len(ORDER) + (dimension == USER)


def _unchanged(units: list[Unit]) -> tuple[str, ...]:
    """The dimensions that every unit named, with one and the same value."""
    constant = {
        key.dimension for key, at in values(units).items() if len(at) == len(units) and key.dimension != USER
    }
    names = sorted(constant, key=lambda dimension: (_place(dimension), dimension))
    return (", ".join(names) + " unchanged",) if names else ()
