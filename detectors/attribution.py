"""Which value of which dimension explains a move, and which dimensions did not change at all."""

from __future__ import annotations

from collections.abc import Iterable
from math import exp
from typing import Literal, NamedTuple

from detectors.changes import Change
from detectors.hypotheses import LEAST_UNITS, Candidate, candidates
from detectors.series import USER, Entries, Key, Series
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
NAMED_LATER = 2.0 / 3.0
"""The same for the further alarms of an incident: each of them is another chance to be wrong."""
ARRIVED_LATER = 0.95
"""The same for what was recorded as new: of all explanations, the one that a coincidence can bring about."""
ALIKE = 0.9
"""Overlap from which on two values count as being on the same units."""


class Verdict(NamedTuple):
    """The cause, if one stands out, and what did not change, in words."""

    cause: Cause | None
    ruled_out: tuple[str, ...]


def attribute(
    series: Series,
    normal: float,
    changes: Iterable[Change],
    onset: int,
    later: bool = False,
) -> Verdict:
    """Explain the rise of ``y`` (badness, or the logarithm of an amount) after ``onset`` over ``normal``.

    Where the remembered units are split is asked anew for each explanation, since the onset is off by
    dozens or hundreds of units: ``detectors.hypotheses`` weighs each value, and each set of up to three
    users, against "everything got worse alike". The likeliest is named if

    - its posterior probability is at least 1/2; where ``later``, at a further alarm of an incident, 2/3, or
      19/20 of a value that was recorded as new;
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
    where too few units tell: at the first alarm of a small move, or of two or three users together; each
    further alarm asks again. docs/detectors.md has how often.
    """
    changes = tuple(changes)
    ruled_out = _unchanged(series) if series.times[:1] < [onset] else ()
    found = [
        one
        for one in candidates(series, normal, changes, onset)
        if share_of(series, one.entries, one.start, normal) >= LEAST_SHARE
    ]
    if not found:
        return Verdict(None, ruled_out)
    alike = [one for one in found if _alike(one, found[0])]
    everything = 1.0 + sum([exp(min(one.log_odds, 600.0)) for one in found])
    probability = sum([exp(min(one.log_odds, 600.0)) for one in alike]) / everything
    least = NAMED if not later else ARRIVED_LATER if found[0].arrived else NAMED_LATER
    if probability < least:
        return Verdict(None, ruled_out)
    return Verdict(_cause(series, alike, normal, changes, onset), ruled_out)


def share_of(series: Series, entries: Entries, start: int, normal: float) -> float:
    """The part of the move since slot ``start`` that these units account for; below 0 or above 1 where others
    moved too."""
    n0, n1 = sum(series.ns[:start]), sum(series.ns[start:])
    moved = _level(series.ns[start:], series.totals[start:], n1, normal)
    moved -= _level(series.ns[:start], series.totals[:start], n0, normal)
    if moved <= 0.0:
        return 0.0
    was, now = _split(entries, start)
    ours = (now[1] - now[0] * normal) / n1 if n1 else 0.0
    return (ours - ((was[1] - was[0] * normal) / n0 if n0 else 0.0)) / moved


def effect_of(series: Series, entries: Entries, start: int, normal: float) -> Literal["within", "mix"]:
    """Whether more of the contribution is the value's own move or its larger share of the units."""
    was, now = _split(entries, start)
    if was[0] < LEAST_UNITS or not now[0]:
        return "within"
    p0, p1 = was[0] / sum(series.ns[:start]), now[0] / sum(series.ns[start:])
    m0, m1 = was[1] / was[0], now[1] / now[0]
    within, mix = (p0 + p1) / 2.0 * (m1 - m0), (p1 - p0) * ((m0 + m1) / 2.0 - normal)
    return "mix" if mix > within else "within"


def _split(entries: Entries, start: int) -> tuple[tuple[int, float], tuple[int, float]]:
    """Number and sum of units before a slot and since."""
    was = [one for one in entries if one[0] < start]
    now = entries[len(was) :]
    return (
        (sum([n for _, n, _ in was]), sum([total for _, _, total in was])),
        (sum([n for _, n, _ in now]), sum([total for _, _, total in now])),
    )


def _level(ns: list[int], totals: list[float], n: int, normal: float) -> float:
    return (sum(totals) - n * normal) / n if n else 0.0


def _alike(one: Candidate, best: Candidate) -> bool:
    """The same value, another on the same units, or a set with a user in common."""
    if one.key.dimension == USER == best.key.dimension:
        return not set(one.key.values).isdisjoint(best.key.values)
    ours, theirs = ({at: n for at, n, _ in each.entries} for each in (one, best))
    both = sum([min(n, theirs.get(at, 0)) for at, n in ours.items()])
    return both >= ALIKE * (sum(ours.values()) + sum(theirs.values()) - both)


def _cause(
    series: Series, alike: list[Candidate], normal: float, changes: tuple[Change, ...], onset: int
) -> Cause:
    def recorded(key: Key) -> Change | None:
        matching = [c for c in changes if c.dimension == key.dimension and (c.current,) == key.values]
        return min(matching, key=lambda change: abs(change.time - onset)) if matching else None

    def preference(one: Candidate) -> tuple[float, int, str, tuple[str, ...]]:
        change = recorded(one.key)
        distance = abs(change.time - onset) if change is not None else float("inf")
        return distance, _place(one.key.dimension), one.key.dimension, one.key.values

    best = alike[0]
    key, entries, start = best.key, best.entries, best.start
    if key.dimension == USER:
        users = [Key(USER, (user,)) for user in key.values]
        key = max(users, key=lambda user: share_of(series, series.entries[user], start, normal))
        entries = series.entries[key]
    else:
        key, entries, start = min(alike, key=preference)[:3]
    previous = _previous(series, key, entries, start, recorded(key))
    return Cause(
        dimension=key.dimension,
        previous=previous,
        current=key.values[0],
        share=round(min(max(share_of(series, entries, start, normal), 0.0), 1.0), 3),
        effect=effect_of(series, entries, start, normal),
    )


def _previous(series: Series, key: Key, entries: Entries, start: int, change: Change | None) -> str | None:
    """What a value that is new or has at least doubled gave way to; None for users, and for others."""
    (early, _), (late, _) = _split(entries, start)
    grown = early * sum(series.ns[start:]) <= 0.5 * late * sum(series.ns[:start])
    if not grown or key.dimension == USER:
        return None
    if change is not None and change.previous is not None:
        return change.previous
    earlier = {
        one: _split(theirs, start)[0][0]
        for one, theirs in series.entries.items()
        if one.dimension == key.dimension
    }
    usual = max(earlier, key=earlier.__getitem__, default=key)
    return None if usual == key or not earlier[usual] else usual.values[0]


def _place(dimension: str) -> int:
    return ORDER.index(dimension) if dimension in ORDER else len(ORDER) + (dimension == USER)


def _unchanged(series: Series) -> tuple[str, ...]:
    """The dimensions that every unit named, with one and the same value."""
    n = sum(series.ns)
    constant = {
        key.dimension
        for key, entries in series.entries.items()
        if sum([many for _, many, _ in entries]) == n and key.dimension != USER
    }
    names = sorted(constant, key=lambda dimension: (_place(dimension), dimension))
    return (", ".join(names) + " unchanged",) if names else ()
