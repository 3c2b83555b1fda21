"""What may explain a move: everything got worse, or one value did, or there is more of one; weighed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate, combinations
from math import comb, exp, log
from typing import NamedTuple

from detectors.changes import Change
from detectors.likelihood import Group, likelihood, log_beta, log_sum
from detectors.memory import MARKED
from detectors.unit import Unit
from schemas.observation import Profile

USER = "user_id"
LEAST_UNITS = 5
"""Units that a value must have, and what it is compared with."""
SPLITS = 64
"""Places at which a change is tried, at most."""
TAKEN_OVER = 0.95
"""Part of the units since its arrival that a value must have to count as having replaced the others."""
LEAD_MS = 3_600_000
"""How long before a value's first unit its change may have been announced."""

# Prior odds against "everything got worse at an unknown time, for a reason that no dimension names".
REPLACED = 6.0
"""Recorded values that replaced all others, together: an unrelated replacement seldom falls into the few
hours that are remembered."""
ARRIVED = 1.0
"""Recorded values that others remained beside, together."""
VALUES = 0.5
"""All other values of dimensions, together."""
USERS = 0.5
"""All users, and sets of two or three of them, together."""
COINCIDENCE = 0.3
"""Prior odds of "everything moved when this value arrived on a part" against "at an unknown time"."""
OTHERWISE = 0.1
"""Prior odds of "all moved alike, and this value always differed" against "all moved alike"."""
GROWTH = 0.05
"""Part of the values whose share changes by itself, for no reason that matters here."""
CROWD = 4
"""Users that sets are made of: those that explain most alone."""
NEGLIGIBLE = 0.01
MATTERS = {USER: 0.15}
MATTERS_ELSE = 0.4
"""Part of the move that a value must account for at one of every eighth split to be looked at; of users, who
may be one of three, less."""
COARSE = 8
SPARSE = 2
"""Every so many splits of the grid are tried where only a rough answer is needed."""
FINER = 3.0
"""Log odds that splits between those of the grid may add to what is tried on the grid first."""


class Key(NamedTuple):
    """A value of a dimension, or a set of users."""

    dimension: str
    values: tuple[str, ...]


class Candidate(NamedTuple):
    """One way to explain the move: the units ``places`` of ``key`` differ from unit ``start`` on.

    ``log_odds`` are posterior, against everything having got worse alike.
    """

    key: Key
    places: tuple[int, ...]
    start: int
    log_odds: float


class _Sums:
    """The scores of all units, summed up, and the hypothesis that all of them moved at once."""

    __slots__ = ("cumulated", "every", "everything", "excess", "grid", "model", "n", "total", "ys")

    def __init__(self, ys: list[float], normal: float) -> None:
        self.model = model = likelihood(ys, normal)
        self.ys = [y - normal for y in ys]
        self.excess = list(accumulate(self.ys, initial=0.0))
        self.n = n = len(model.scores)
        self.cumulated = list(accumulate(model.scores, initial=0.0))
        self.total = total = self.cumulated[-1]
        self.grid = splits(n)
        found = [model.alone(n, total, False)]
        self.every = every = range(LEAST_UNITS, n - LEAST_UNITS + 1)
        for at in every:
            before = self.cumulated[at]
            if before / at < (total - before) / (n - at):
                found.append(model.alone(at, before, True) + model.alone(n - at, total - before, False))
        self.everything = log_sum(found) - log(len(every) + 1)


def splits(n: int) -> range:
    """Numbers of units after which a change of ``n`` units is tried, none nearer to an end than five.

    >>> list(splits(12)), len(splits(384))
    ([5, 6, 7], 63)
    """
    return range(LEAST_UNITS, n - LEAST_UNITS + 1, -(-n // SPLITS))


def candidates(units: list[Unit], normal: float, changes: Iterable[Change], onset: int) -> list[Candidate]:
    """Every value and set of users by its posterior odds, those below 1 in 100 left out; best first.

    A value that was recorded as new, or (as a *mix*) has become more frequent, explains the move if its units
    share one mean and all others stayed at another: one split by label, no time to be guessed. A value that
    was always there explains it *within* itself if its units moved at some time and the others never did;
    the time is averaged over. Against them stands "everything moved at some time", alone, or with this value
    having differed from the start.

    The prior odds of a kind are divided by its candidates, which is what corrects for their number
    (Scott & Berger 2010): a hundred users are not a hundred chances to blame one.
    """
    n = len(units)
    if n < 2 * LEAST_UNITS:
        return []
    sums = _Sums([unit[1] for unit in units], normal)
    recorded: dict[Key, list[Change]] = {}
    for change in changes:
        recorded.setdefault(Key(change.dimension, (change.current,)), []).append(change)
    by_key = {
        key: places for key, places in values(units).items() if LEAST_UNITS <= len(places) <= n - LEAST_UNITS
    }
    arrived = [key for key, places in by_key.items() if _arrived(units, places, recorded.get(key, ()), onset)]
    known = [key for key in by_key if key not in arrived and key.dimension != USER]
    users = [key for key in by_key if key.dimension == USER]
    found: list[Candidate] = []
    for key in arrived:
        places = by_key[key]
        replaced = len(places) >= TAKEN_OVER * (n - places[0]) and places[0] >= LEAST_UNITS
        odds = log((REPLACED if replaced else ARRIVED) / len(arrived))
        start = places[0] if places[0] >= LEAST_UNITS else 0
        label = _by_label(sums, places)
        if label is not None:
            against = sums.everything if replaced else log_sum([sums.everything, _coincided(sums, start)])
            found.append(Candidate(key, tuple(places), start, odds + label - against))
    for key in known:
        found += _weighed(sums, key, by_key[key], log(VALUES / len(known)))
    alone: list[Candidate] = []
    for key in users:
        alone += _weighed(sums, key, by_key[key], log(USERS / len(users)))
    found += alone
    alone.sort(key=lambda one: -one.log_odds)
    crowd = list(dict.fromkeys(one.key.values[0] for one in alone))[:CROWD]
    for size in (2, 3):
        odds = log(USERS / (CROWD * comb(len(users), size))) if len(users) >= size else 0.0
        for names in combinations(crowd, size):
            places = sorted(place for name in names for place in by_key[Key(USER, (name,))])
            if len(places) <= n - LEAST_UNITS:
                found += _weighed(sums, Key(USER, names), places, odds)
    return sorted([one for one in found if one.log_odds > log(NEGLIGIBLE)], key=lambda one: -one.log_odds)


def values(units: list[Unit]) -> dict[Key, list[int]]:
    """The places of the units that have a value, for each value of each dimension."""
    keys: dict[Profile, list[Key]] = {}
    places: dict[Key, list[int]] = {}
    for at, (_, _, _, profile, user) in enumerate(units):
        named = keys.get(profile)
        if named is None:
            named = keys[profile] = [Key(name, (value,)) for name, value in profile.dimensions().items()]
        for key in named:
            places.setdefault(key, []).append(at)
        if user is not None and not user.startswith(MARKED):
            places.setdefault(Key(USER, (user,)), []).append(at)
    return places


def _arrived(units: list[Unit], places: list[int], changes: Iterable[Change], onset: int) -> bool:
    """Whether a value was recorded as new where its first units are: within the memory, or before it but
    no farther from the onset than that is from now."""
    first = places[0]
    if first >= LEAST_UNITS:
        return any(change.time > units[first - 1][0] - LEAD_MS for change in changes)
    return any(change.time >= onset - (units[-1][0] - onset) for change in changes)


def _coincided(sums: _Sums, start: int) -> float:
    """Everything moved at this moment, not only the value that arrived."""
    before = sums.cumulated[start]
    moved = sums.model.alone(start, before, True) + sums.model.alone(
        sums.n - start, sums.total - before, False
    )
    return moved + log(COINCIDENCE)


def _by_label(sums: _Sums, places: list[int]) -> float | None:
    """Its units have one mean, larger than the others'; None where it is not."""
    scores = sums.model.scores
    ours, n = sum([scores[at] for at in places]), len(places)
    rest = sums.n - n
    if ours / n <= (sums.total - ours) / rest:
        return None
    return sums.model.alone(n, ours, False) + sums.model.alone(rest, sums.total - ours, True)


def _weighed(sums: _Sums, key: Key, places: list[int], odds: float) -> list[Candidate]:
    """A value that was there before: as a mix that has changed, and within itself."""
    if not _matters(sums, places, MATTERS.get(key.dimension, MATTERS_ELSE)):
        return []
    found = []
    growth = _growth(sums, places)
    label = _by_label(sums, places) if growth is not None else None
    if label is not None and growth is not None:
        found.append((label + growth[0], growth[1]))
    within = _within(sums, places, sums.grid[::SPARSE])
    best = max([one for one, _ in found + within], default=-1e300)
    if odds + best - sums.everything < log(NEGLIGIBLE) - FINER:
        return []
    found += _within(sums, places, sums.every)
    against = _against(sums, places)
    return [Candidate(key, tuple(places), start, odds + one - against) for one, start in found]


def _matters(sums: _Sums, places: list[int], least: float) -> bool:
    """Whether its units account for enough of the move at some split, to spare the rest a closer look."""
    n = sums.n
    ours = list(accumulate([sums.ys[at] for at in places], initial=0.0))
    for at in sums.grid[::COARSE]:
        moved = (sums.excess[n] - sums.excess[at]) / (n - at) - sums.excess[at] / at
        early = ours[bisect_left(places, at)]
        if moved > 0.0 and (ours[-1] - early) / (n - at) - early / at >= least * moved:
            return True
    return False


def _growth(sums: _Sums, places: list[int]) -> tuple[float, int] | None:
    """Log odds that its share of the units has grown, at most 20 to 1 (any share may), and from where."""
    n, all_units = len(places), sums.n
    same = log_beta(1.0 + n, 1.0 + all_units - n)
    found = []
    for at in sums.grid:
        early = bisect_left(places, at)
        late = n - early
        if late >= LEAST_UNITS and late * at > early * (all_units - at):
            one = log_beta(1.0 + early, 1.0 + at - early)
            found.append((one + log_beta(1.0 + late, 1.0 + all_units - at - late) - same, at))
    if not found:
        return None
    odds = log_sum([one for one, _ in found]) - log(len(sums.grid))
    return -log(GROWTH + (1.0 - GROWTH) * exp(-max(odds, -50.0))), max(found)[1]


def _within(sums: _Sums, places: list[int], grid: range) -> list[tuple[float, int]]:
    """Its units have moved at some time and the others never have; the likeliest time."""
    found = []
    n, total, alone = len(places), sum([sums.model.scores[at] for at in places]), sums.model.alone
    rest, others = sums.n - n, sums.total - total
    calm = alone(rest, others, True)
    for at, early, before in _cut(sums, places, grid):
        late, now = n - early, total - before
        usual, of = (before, early) if early else (sums.cumulated[at], at)
        if now * of > usual * late and now * rest > others * late:
            found.append((calm + alone(early, before, True) + alone(late, now, False), at))
    return [(log_sum([one for one, _ in found]) - log(len(grid)), max(found)[1])] if found else []


def _against(sums: _Sums, places: list[int]) -> float:
    """Everything moved: alone, or with this value having differed from the start."""
    n, total = len(places), sum([sums.model.scores[at] for at in places])
    grid = sums.grid[::SPARSE]
    found = []
    for at, early, before in _cut(sums, places, grid):
        theirs = Group(at - early, sums.cumulated[at] - before)
        since = Group(sums.n - at - n + early, sums.total - sums.cumulated[at] - total + before)
        ours = Group(early, before), Group(n - early, total - before)
        found.append(sums.model.together(ours, (theirs, since)))
    if not found:
        return sums.everything
    return log_sum([sums.everything, log_sum(found) - log(len(grid)) + log(OTHERWISE)])


def _cut(sums: _Sums, places: list[int], grid: range) -> list[tuple[int, int, float]]:
    """For each split after which five of its units lie: how many are before it, and their sum."""
    scores, n = sums.model.scores, len(places)
    found, early, before = [], 0, 0.0
    for at in grid:
        while early < n and places[early] < at:
            before += scores[places[early]]
            early += 1
        if n - early < LEAST_UNITS:
            break
        found.append((at, early, before))
    return found
