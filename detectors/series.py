"""Units in the order of time, one by one or summed up in blocks, and which of them have a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from detectors.blocks import MARKED, Block, Cell, Scale, folded, measured, token_of, total, units_of
from detectors.unit import Unit
from schemas.observation import Profile

USER = "user_id"
DISPERSED = 50
"""Single units from which on their dispersion is told."""


class Key(NamedTuple):
    """A value of a dimension, or a set of users."""

    dimension: str
    values: tuple[str, ...]


Entries = list[tuple[int, int, float]]
"""Units of one value: the slot, how many of its units have it, and their sum."""


class Series(NamedTuple):
    """Slots in the order of time: a block, or a single unit.

    ``times`` are those of a slot's first unit, ``totals`` sums of y (of amounts: of their logarithms, less
    the time of day; ``shares``: y lies between 0 and 1), ``variance`` that of single units. ``dispersion``
    of shares is that variance in parts of ``m (1 - m)``, the largest that units of their mean m can have:
    1 where they are 0 and 1, or too few to tell.
    """

    times: list[int]
    ns: list[int]
    totals: list[float]
    entries: dict[Key, Entries]
    shares: bool
    variance: float
    dispersion: float = 1.0


def time_of(slot: Block | Unit) -> int:
    """The event time of its first unit."""
    return slot.time if isinstance(slot, Block) else slot[0]


def series(
    slots: Sequence[Block | Unit],
    *,
    scale: Scale = Scale.FRACTION,
    shares: bool = False,
    lane: int = 1,
    names: Mapping[str, str] | None = None,
    level: Callable[[int], float] | None = None,
) -> Series:
    """``slots`` in the order of time, the y of single units having been read; in blocks it is in ``lane``.

    ``names`` are those of the users that may be named, by token (None: all who have one); ``level`` is what
    the time of day adds to an amount's logarithm.
    """
    made = Series([], [], [], {}, shares, 0.0)
    entries = made.entries
    keys: dict[Profile, list[Key]] = {}
    single: list[float] = []
    for at, slot in enumerate(slots):
        time = time_of(slot)
        if isinstance(slot, Block):
            end = time_of(slots[at + 1]) if at + 1 < len(slots) else time
            added = _mean(level, time, end) if level is not None else 0.0
            n, whole = slot.n, total(scale, slot.whole, lane) - slot.n * added
            for key, cell in _cells(slot, names or {}):
                many = units_of(cell)
                entries.setdefault(key, []).append((at, many, total(scale, cell, lane) - many * added))
        else:
            _, y, _, profile, user = slot
            n, whole = 1, measured(scale, y) - (level(time) if level is not None else 0.0)
            single.append(whole)
            named = keys.get(profile)
            if named is None:
                named = keys[profile] = [Key(name, (one,)) for name, one in profile.dimensions().items()]
            for key in named:
                entries.setdefault(key, []).append((at, 1, whole))
            if user and not user.startswith(MARKED) and (names is None or token_of(user) in names):
                entries.setdefault(Key(USER, (user,)), []).append((at, 1, whole))
        made.times.append(time)
        made.ns.append(n)
        made.totals.append(whole)
    mean = sum(single) / len(single) if single else 0.0
    variance = sum([(one - mean) ** 2 for one in single]) / max(len(single), 1)
    largest = mean * (1.0 - mean) if shares and len(single) >= DISPERSED else 0.0
    return made._replace(variance=variance, dispersion=variance / largest if largest > 0.0 else 1.0)


def _cells(block: Block, names: Mapping[str, str]) -> list[tuple[Key, Cell]]:
    cells = [(Key(str(name[0]), (str(name[1]),)), cell) for name, cell in folded(block.cells).items()]
    return cells + [(Key(USER, (names[user],)), cell) for user, cell in block.users.items() if user in names]


def _mean(level: Callable[[int], float], start: int, end: int) -> float:
    """Of the hours of a block."""
    span = max(end - start, 0)
    return sum([level(start + span * part // 8) for part in (1, 3, 5, 7)]) / 4.0
