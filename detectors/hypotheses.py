"""What may explain a move: everything got worse, or one value did, or there is more of one; weighed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, combinations
from math import comb, exp, log
from typing import NamedTuple

from detectors.changes import Change
from detectors.likelihood import Group, likelihood, log_beta, log_sum
from detectors.series import USER, Entries, Key, Series

LEAST_UNITS = 5
"""Units that a value must have, and what it is compared with."""
SPLITS = 64
"""Places at which a change is tried, at most."""
TAKEN_OVER = 0.95
"""Part of the units since its arrival that a value must have to count as having replaced the others."""
LEAD_MS = 3_600_000
"""How long before a value's first unit its change may have been announced."""

# Prior odds against "everything got worse at an unknown time, for a reason that no dimension names".
REPLACED = 4.0
"""Recorded values that replaced all others, together: about seven outages of ten follow a change of any kind
(Beyer et al., Site Reliability Engineering, 2016, chapter 1), and here one is known to have happened."""
ARRIVED = 1.0
"""Recorded values that others remained beside, together."""
VALUES = 0.5
"""All other values of dimensions, together."""
USERS = 0.5
"""All users, and sets of two or three of them, together."""
COINCIDENCE = 0.3
"""Prior odds of "everything moved when this value arrived on a part" against "at an unknown time"."""
OTHERWISE = 1.0
"""Prior odds of "all moved alike, and this value always differed" against "all moved alike"."""
GROWTH = 0.05
"""Part of the values whose share changes by itself, for no reason that matters here."""
CROWD = 4
"""Users that sets are made of: those that alone explain most."""
NEGLIGIBLE = 0.01
MATTERS = {USER: 0.15}
MATTERS_ELSE = 0.4
"""Part of the move that a value must account for at one of every eighth split to be looked at; of users, who
may be one of three, less."""
COARSE = 8
SPARSE = 2
"""Every so many splits of the grid are tried where only a rough answer is needed."""
LIKELY = 12
"""Splits that are looked at more closely."""
FINER = 3.0
"""Log odds that splits between those of the grid may add to what is tried on the grid first."""


class Candidate(NamedTuple):
    """One way to explain the move: the units ``entries`` of ``key`` differ from slot ``start`` on.

    ``log_odds`` are posterior, against everything having got worse alike. ``arrived``: because the value was
    recorded as new, and not because it was always there and has changed.
    """

    key: Key
    entries: Entries
    start: int
    log_odds: float
    arrived: bool = False


class _Sums:
    """All units, summed up, and the hypothesis that all of them moved at once."""

    __slots__ = (
        "every",
        "everything",
        "excess",
        "grid",
        "likely",
        "model",
        "n",
        "ns",
        "series",
        "slots",
        "total",
        "totals",
    )

    def __init__(self, series: Series, normal: float) -> None:
        self.series = series
        self.model = model = likelihood(series, normal)
        self.slots = slots = len(series.times)
        self.ns = ns = list(accumulate(series.ns, initial=0))
        scores = [model.score(many, total) for many, total in zip(series.ns, series.totals, strict=True)]
        self.totals = totals = list(accumulate(scores, initial=0.0))
        sums = accumulate(series.totals, initial=0.0)
        self.excess = [total - many * normal for many, total in zip(ns, sums, strict=True)]
        self.n, self.total = n, total = ns[-1], totals[-1]
        self.every = every = [at for at in range(1, slots) if LEAST_UNITS <= ns[at] <= n - LEAST_UNITS]
        self.grid = every[:: -(-len(every) // SPLITS)] if every else []
        found = [model.alone(n, total, False)]
        by_split = []
        for at in every:
            before, b = totals[at], ns[at]
            if before / b < (total - before) / (n - b):
                moved = model.alone(n - b, total - before, False)
                by_split.append((model.alone(b, before, True) + moved, at))
            # It may have moved within a block, of which nothing more is known.
            c = ns[at + 1]
            if c - b > 1 and n - c >= LEAST_UNITS:
                later = total - totals[at + 1]
                if before / b < later / (n - c):
                    found.append(
                        model.alone(b, before, True)
                        + model.alone(c - b, totals[at + 1] - before, False)
                        + model.alone(n - c, later, False)
                    )
        self.likely = [at for _, at in sorted(by_split)[-LIKELY:]]
        found += [one for one, _ in by_split]
        self.everything = log_sum(found) - log(len(every) + 1)

    def ours(self, entries: Entries) -> tuple[list[int], list[int], list[float]]:
        """The slots of a value's units, and running numbers and scores of them."""
        score = self.model.score
        return (
            [at for at, _, _ in entries],
            list(accumulate([n for _, n, _ in entries], initial=0)),
            list(accumulate([score(n, total) for _, n, total in entries], initial=0.0)),
        )


def candidates(series: Series, normal: float, changes: Iterable[Change], onset: int) -> list[Candidate]:
    """Every value and set of users by its posterior odds, those below 1 in 100 left out; best first.

    A value that was recorded as new, or (as a *mix*) has become more frequent, explains the move if its units
    share one mean and all others stayed at another: one split by label, no time to be guessed. A value that
    was always there explains it *within* itself if its units moved at some time and the others never did;
    the time is averaged over. Against them stands "everything moved at some time", alone, or with this value
    having differed from the start.

    A block's units come at one time: a change within it is tried as a mean of its own for the block.

    The prior odds of a kind are divided by its candidates, which is what corrects for their number
    (Scott & Berger 2010): a hundred users are not a hundred chances to blame one.
    """
    n = sum(series.ns)
    if n < 2 * LEAST_UNITS:
        return []
    sums = _Sums(series, normal)
    recorded: dict[Key, list[Change]] = {}
    for change in changes:
        recorded.setdefault(Key(change.dimension, (change.current,)), []).append(change)
    by_key = {
        key: entries
        for key, entries in series.entries.items()
        if LEAST_UNITS <= sum([many for _, many, _ in entries]) <= n - LEAST_UNITS
    }
    arrived = [key for key in by_key if _arrived(sums, by_key[key], recorded.get(key, ()), onset)]
    known = [key for key in by_key if key not in arrived and key.dimension != USER]
    users = [key for key in by_key if key.dimension == USER]
    found: list[Candidate] = []
    for key in arrived:
        entries = by_key[key]
        first = entries[0][0]
        # Of a block in which it arrived nobody knows which units came later.
        known_from = first + (series.ns[first] > 1)
        ours = sum([many for at, many, _ in entries if at >= known_from])
        replaced = sums.ns[first] >= LEAST_UNITS and ours >= TAKEN_OVER * (n - sums.ns[known_from])
        odds = log((REPLACED if replaced else ARRIVED) / len(arrived))
        start = first if sums.ns[first] >= LEAST_UNITS else 0
        label = _by_label(sums, entries)
        if label is not None:
            against = sums.everything if replaced else log_sum([sums.everything, _coincided(sums, start)])
            found.append(Candidate(key, entries, start, odds + label - against, arrived=True))
    rough = {key: _rough(sums, key, by_key[key]) for key in (*known, *users)}
    for key in known:
        found += _weighed(sums, key, by_key[key], rough[key], log(VALUES / len(known)))
    for key in users:
        found += _weighed(sums, key, by_key[key], rough[key], log(USERS / len(users)))
    crowd = _crowd({key: rough[key] for key in users})
    for size in (2, 3):
        odds = log(USERS / (CROWD * comb(len(users), size))) if len(users) >= size else 0.0
        for names in combinations(crowd, size):
            entries = together([by_key[Key(USER, (name,))] for name in names])
            if sum([many for _, many, _ in entries]) <= n - LEAST_UNITS:
                key = Key(USER, names)
                found += _weighed(sums, key, entries, _rough(sums, key, entries), odds)
    return sorted([one for one in found if one.log_odds > log(NEGLIGIBLE)], key=lambda one: -one.log_odds)


def together(parts: Iterable[Entries]) -> Entries:
    """The units of several values that exclude each other."""
    slots: dict[int, tuple[int, float]] = {}
    for entries in parts:
        for at, n, total in entries:
            m, more = slots.get(at, (0, 0.0))
            slots[at] = m + n, more + total
    return [(at, *slots[at]) for at in sorted(slots)]


def _arrived(sums: _Sums, entries: Entries, changes: Iterable[Change], onset: int) -> bool:
    """Whether a value was recorded as new where its first units are: within the memory, or before it but
    no farther from the onset than that is from now."""
    first, times = entries[0][0], sums.series.times
    if sums.ns[first] >= LEAST_UNITS:
        return any(change.time > times[first - 1] - LEAD_MS for change in changes)
    return any(change.time >= onset - (times[-1] - onset) for change in changes)


def _coincided(sums: _Sums, start: int) -> float:
    """Everything moved at this moment, not only the value that arrived."""
    b, before = sums.ns[start], sums.totals[start]
    moved = sums.model.alone(b, before, True) + sums.model.alone(sums.n - b, sums.total - before, False)
    return moved + log(COINCIDENCE)


def _by_label(sums: _Sums, entries: Entries) -> float | None:
    """Its units have one mean, larger than the others'; None where it is not."""
    _, ns, totals = sums.ours(entries)
    n, ours = ns[-1], totals[-1]
    rest = sums.n - n
    if ours / n <= (sums.total - ours) / rest:
        return None
    return sums.model.alone(n, ours, False) + sums.model.alone(rest, sums.total - ours, True)


def _rough(sums: _Sums, key: Key, entries: Entries) -> list[tuple[float, int]] | None:
    """Its units have moved, at a few splits; None where they account for too little of the move."""
    if not _matters(sums, entries, MATTERS.get(key.dimension, MATTERS_ELSE)):
        return None
    return _within(sums, entries, sums.grid[::SPARSE])


def _weighed(
    sums: _Sums, key: Key, entries: Entries, rough: list[tuple[float, int]] | None, odds: float
) -> list[Candidate]:
    """A value that was there before: as a mix that has changed, and within itself."""
    if rough is None:
        return []
    found = []
    growth = _growth(sums, entries)
    label = _by_label(sums, entries) if growth is not None else None
    if label is not None and growth is not None:
        found.append((label + growth[0], growth[1]))
    within = _over(rough, len(sums.grid[::SPARSE]))
    best = max([one for one, _ in found + within], default=-1e300)
    if odds + best - sums.everything < log(NEGLIGIBLE) - FINER:
        return []
    every = _within(sums, entries, sums.every)
    found += _over(every, len(sums.every))
    against = _against(sums, entries, [at for _, at in sorted(every)[-LIKELY:]])
    return [Candidate(key, entries, start, odds + one - against) for one, start in found]


def _crowd(users: Mapping[Key, list[tuple[float, int]] | None]) -> list[str]:
    """The users that sets are made of: those who alone explain most. However little that is: where others
    moved too, each of them alone is no explanation at all."""
    ranked = [(-max(rough)[0], key.values[0]) for key, rough in users.items() if rough]
    return [user for _, user in sorted(ranked)[:CROWD]]


def _matters(sums: _Sums, entries: Entries, least: float) -> bool:
    """Whether its units account for enough of the move at some split, to spare the rest a closer look."""
    n, normal = sums.n, sums.model.normal
    slots = [at for at, _, _ in entries]
    ours = list(accumulate([total - many * normal for _, many, total in entries], initial=0.0))
    for at in sums.grid[::COARSE]:
        b = sums.ns[at]
        moved = (sums.excess[-1] - sums.excess[at]) / (n - b) - sums.excess[at] / b
        early = ours[bisect_left(slots, at)]
        if moved > 0.0 and (ours[-1] - early) / (n - b) - early / b >= least * moved:
            return True
    return False


def _growth(sums: _Sums, entries: Entries) -> tuple[float, int] | None:
    """Log odds that its share of the units has grown, at most 20 to 1 (any share may), and from where."""
    slots, ns, _ = sums.ours(entries)
    n, all_units = ns[-1], sums.n
    same = log_beta(1.0 + n, 1.0 + all_units - n)
    found = []
    for at in sums.grid:
        b, early = sums.ns[at], ns[bisect_left(slots, at)]
        late = n - early
        if late >= LEAST_UNITS and late * b > early * (all_units - b):
            one = log_beta(1.0 + early, 1.0 + b - early)
            found.append((one + log_beta(1.0 + late, 1.0 + all_units - b - late) - same, at))
    if not found:
        return None
    odds = log_sum([one for one, _ in found]) - log(len(sums.grid))
    return -log(GROWTH + (1.0 - GROWTH) * exp(-max(odds, -50.0))), max(found)[1]


def _within(sums: _Sums, entries: Entries, grid: Sequence[int]) -> list[tuple[float, int]]:
    """Its units have moved at this split and the others never have, for each split that may be."""
    found = []
    slots, ns, totals = sums.ours(entries)
    n, total, alone = ns[-1], totals[-1], sums.model.alone
    rest, others = sums.n - n, sums.total - total
    calm = alone(rest, others, True)
    for at in grid:
        place = bisect_left(slots, at)
        early, before = ns[place], totals[place]
        late, now = n - early, total - before
        if late < LEAST_UNITS:
            break
        usual, of = (before, early) if early else (sums.totals[at], sums.ns[at])
        if now * of > usual * late and now * rest > others * late:
            found.append((calm + alone(early, before, True) + alone(late, now, False), at))
    return found


def _over(found: list[tuple[float, int]], splits: int) -> list[tuple[float, int]]:
    """Averaged over all splits; the likeliest one."""
    return [(log_sum([one for one, _ in found]) - log(splits), max(found)[1])] if found else []


def _against(sums: _Sums, entries: Entries, likely: Iterable[int]) -> float:
    """Everything moved: alone, or with this value having differed from the start; asked of the splits that
    explain most, since the rest adds nothing."""
    slots, ns, totals = sums.ours(entries)
    n, total = ns[-1], totals[-1]
    found = []
    for at in {*sums.likely, *likely}:
        place = bisect_left(slots, at)
        early, before = ns[place], totals[place]
        b, all_before = sums.ns[at], sums.totals[at]
        theirs = Group(b - early, all_before - before)
        since = Group(sums.n - b - n + early, sums.total - all_before - total + before)
        ours = Group(early, before), Group(n - early, total - before)
        found.append(sums.model.together(ours, (theirs, since)))
    if not found:
        return sums.everything
    return log_sum([sums.everything, log_sum(found) - log(len(sums.every)) + log(OTHERWISE)])
