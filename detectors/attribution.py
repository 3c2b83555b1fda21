"""Which value of which dimension explains a move, and which dimensions did not change at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from detectors.changes import Change
from detectors.contrast import worse
from detectors.unit import Unit
from schemas.observation import Profile
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
USER = "user_id"

LEAST_UNITS = 5
"""Units that a slice, and what it is compared with, must have."""
LEAST_SHARE = 0.5
"""Part of the move that a cause must account for."""
SIGNIFICANCE = 0.01
"""Error of the contrast over all candidates together (Bonferroni)."""
TAKEN_OVER = 0.9
"""Part of the units since the onset that a value must have to count as having replaced the others."""
VETO_UNITS = 8
"""Earlier units of a new value that must look like the later ones."""


class Verdict(NamedTuple):
    """The cause, if one stands out, and what did not change, in words."""

    cause: Cause | None
    ruled_out: tuple[str, ...]


class _Slice(NamedTuple):
    dimension: str
    value: str
    mask: int
    """Bit i: unit i after the onset has this value."""
    share: float
    grown: bool


def attribute(
    before: list[Unit], after: list[Unit], normal: float, changes: Iterable[Change], onset: int
) -> Verdict:
    """Explain the rise of ``y`` (badness, or dollars) of the units after ``onset`` over ``normal``.

    A value v of a dimension moved the mean by ``D(v) = sum_after,v (y - normal) / n_after - sum_before,v
    (y - normal) / n_before``; over all values of one dimension these add up to the whole move, whether the
    value became worse or more frequent. v is a cause if

    - it accounts for at least half of the move: ``share = D(v) / D``;
    - its units are worse than the others (rank-sum or Fisher, 1 % over all candidates, Bonferroni): than
      all others if v is new or at least doubled, than the others since the onset if it is not;
    - the others since the onset have not moved half as far themselves;
    - being new, it was not already there, and harmless, before the onset.

    A value whose arrival was recorded needs no test where it has replaced the others at the onset: it has
    nine in ten of the units since and none before.

    A value that covers everything before and after has nobody to be compared with, and explains nothing.
    Of several that explain as much, the narrowest is named; of several on the same units, the one with
    the recorded change nearest to the onset, then by ``ORDER``.

    Heuristic: it finds what coincides, not what causes. It **misleads** when two things were changed at
    once, and when the real cause is in no dimension while another change happened at the onset. It is
    silent when the onset lies further back than the units remembered.
    """
    units = before + after
    dimensions = _values(units, len(before))
    ruled_out = _unchanged(dimensions, len(units)) if before else ()
    moved = _mean_excess(after, normal) - (_mean_excess(before, normal) if before else 0.0)
    if not after or moved <= 0.0:
        return Verdict(None, ruled_out)
    everyone = (1 << len(after)) - 1
    candidates: list[_Slice] = []
    tested = 0
    for dimension, values in dimensions.items():
        for value, (early, late) in values.items():
            count = late.bit_count()
            if count < LEAST_UNITS:
                continue
            tested += 1
            excess = _excess(after, late, normal) / len(after)
            earlier = _excess(before, early, normal) / len(before) if before else 0.0
            share = (excess - earlier) / moved
            grown = bool(before) and early.bit_count() / len(before) <= 0.5 * count / len(after)
            if share >= LEAST_SHARE:
                candidates.append(_Slice(dimension, value, late, min(share, 1.0), grown))
    level = SIGNIFICANCE / max(tested, 1)
    changes = tuple(changes)
    recorded = {(change.dimension, change.current) for change in changes}
    causes = [
        candidate
        for candidate in candidates
        if (
            (candidate.dimension, candidate.value) in recorded
            and _took_over(candidate, dimensions, before, after, normal)
        )
        or _stands_out(candidate, dimensions, before, after, everyone, normal, level)
    ]
    return Verdict(_choose(causes, dimensions, before, changes, onset), ruled_out)


def _took_over(
    candidate: _Slice,
    dimensions: dict[str, dict[str, tuple[int, int]]],
    before: list[Unit],
    after: list[Unit],
    normal: float,
) -> bool:
    """Whether a value whose arrival was recorded has replaced the others just where the move begins.

    It has (nearly) all units since the onset and none before, and those before were not bad yet. That the
    units since are worse than normal is what the detector has just shown, on far more units than are
    remembered; a second test against the few remembered ones would only lose power.
    """
    early, late = dimensions[candidate.dimension][candidate.value]
    if early or late.bit_count() < TAKEN_OVER * len(after) or len(before) < LEAST_UNITS:
        return False
    return _mean_excess(before, normal) <= 0.5 * _mean_excess(after, normal)


def _stands_out(
    candidate: _Slice,
    dimensions: dict[str, dict[str, tuple[int, int]]],
    before: list[Unit],
    after: list[Unit],
    everyone: int,
    normal: float,
    level: float,
) -> bool:
    early, late = dimensions[candidate.dimension][candidate.value]
    ours = _of(after, late)
    others = _of(after, everyone & ~late)
    rise = sum(ours) / len(ours) - normal
    if len(others) >= LEAST_UNITS and sum(others) / len(others) - normal > 0.5 * rise:
        return False
    if candidate.grown:
        ours_before = _of(before, early)
        if len(ours_before) >= VETO_UNITS and worse(ours, ours_before) < SIGNIFICANCE:
            return False
        others = others + _of(before, ((1 << len(before)) - 1) & ~early)
    return len(others) >= LEAST_UNITS and worse(ours, others) < level


def _choose(
    causes: list[_Slice],
    dimensions: dict[str, dict[str, tuple[int, int]]],
    before: list[Unit],
    changes: tuple[Change, ...],
    onset: int,
) -> Cause | None:
    if not causes:
        return None
    best = max(cause.share for cause in causes)
    strong = [cause for cause in causes if cause.share >= best - 0.1]
    narrow = min(strong, key=lambda cause: cause.mask.bit_count()).mask
    same = [c for c in strong if (c.mask & narrow).bit_count() >= 0.9 * (c.mask | narrow).bit_count()]

    def recorded(cause: _Slice) -> Change | None:
        matching = [c for c in changes if c.dimension == cause.dimension and c.current == cause.value]
        return min(matching, key=lambda c: abs(c.time - onset)) if matching else None

    def preference(cause: _Slice) -> tuple[float, int, str, str]:
        change = recorded(cause)
        distance = abs(change.time - onset) if change is not None else float("inf")
        return distance, _place(cause.dimension), cause.dimension, cause.value

    chosen = min(same, key=preference)
    previous = None
    if chosen.grown and chosen.dimension != USER:
        change = recorded(chosen)
        previous = change.previous if change is not None else None
        if previous is None:
            early = {value: masks[0].bit_count() for value, masks in dimensions[chosen.dimension].items()}
            usual = max(early, key=early.__getitem__)
            previous = usual if early[usual] and usual != chosen.value else None
    return Cause(
        dimension=chosen.dimension, previous=previous, current=chosen.value, share=round(chosen.share, 3)
    )


def _place(dimension: str) -> int:
    if dimension == USER:
        return len(ORDER) + 1
    return ORDER.index(dimension) if dimension in ORDER else len(ORDER)


def _values(units: list[Unit], split: int) -> dict[str, dict[str, tuple[int, int]]]:
    """Dimension to value to (mask over the units before the split, mask over those after)."""
    named: dict[Profile, dict[str, str]] = {}
    masks: dict[str, dict[str, list[int]]] = {}
    for at, (_, _, _, profile, user) in enumerate(units):
        dimensions = named.get(profile)
        if dimensions is None:
            dimensions = named[profile] = profile.dimensions()
        side, bit = (0, 1 << at) if at < split else (1, 1 << (at - split))
        for dimension, value in dimensions.items():
            masks.setdefault(dimension, {}).setdefault(value, [0, 0])[side] |= bit
        if user is not None:
            masks.setdefault(USER, {}).setdefault(user, [0, 0])[side] |= bit
    return {
        dimension: {value: (early, late) for value, (early, late) in values.items()}
        for dimension, values in masks.items()
    }


def _unchanged(dimensions: dict[str, dict[str, tuple[int, int]]], n: int) -> tuple[str, ...]:
    """The dimensions that every unit named, with one and the same value."""
    constant = [
        dimension
        for dimension, values in dimensions.items()
        if dimension != USER
        and len(values) == 1
        and all(early.bit_count() + late.bit_count() == n for early, late in values.values())
    ]
    names = sorted(constant, key=lambda dimension: (_place(dimension), dimension))
    return (", ".join(names) + " unchanged",) if names else ()


def _of(units: list[Unit], mask: int) -> list[float]:
    return [unit[1] for at, unit in enumerate(units) if mask >> at & 1]


def _excess(units: list[Unit], mask: int, normal: float) -> float:
    return sum([y - normal for y in _of(units, mask)])


def _mean_excess(units: list[Unit], normal: float) -> float:
    return sum([unit[1] - normal for unit in units]) / len(units) if units else 0.0
