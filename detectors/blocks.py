"""Older units, summed up by profile in blocks that double in length with age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import cache, lru_cache
from hashlib import blake2b
from math import log
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from detectors.unit import Unit
from schemas.catalog import RATES
from schemas.observation import Profile, profile_of

BLOCK = 64
"""Units of the shortest block; the lengths are powers of two of it."""
A_LENGTH = 4
"""Blocks of one length at most: two of five become one of twice that."""
OLD = 1_024
"""Length from which on blocks are written apart: they seldom change."""
LONGEST = 2_048
"""What would be longer is forgotten."""
PROFILES = 32
"""Profiles from which on a block sums by the values of dimensions instead."""
VALUES = 32
"""Values from which on a dimension names requests, not versions, and is left out."""
USERS = 8
"""Users of a block: those with most units."""
OFTEN = 3
"""Units of 64 from which on a user counts."""
STEPS = 1_000
"""Parts of one, in which fractions and logarithms are summed: whole numbers add up alike in any order."""
LEAST_AMOUNT = 1e-6
MARKED = "\0"
"""What the token of a user begins with: written down in place of a name that no alarm can need."""
LANE = 40
"""A cell is one whole number, so that cells add up at once: in its lowest 40 bits how many units; in the
next their sum, or (of conversations) in one lane after the other how many each rate counts."""
LANES = (1 << LANE) - 1
MASKS = tuple(dict.fromkeys(RATES.values()))

Read = Callable[[float], float]
"""A remembered value as a monitor's y: what it is for scores and costs, one bit of several for rates."""
Cell = int
Name = Profile | tuple[str, str]
"""Whose units a cell sums up: a profile's, or those of a dimension's value."""
Whose = TypeVar("Whose")
NOBODY: dict[str, Cell] = {}
"""The users of most blocks: one for all of them, as a dict of its own would be a tenth of a block."""


class Scale(Enum):
    """What is summed: a score as it is, an amount's logarithm, or how many conversations each rate counts."""

    FRACTION = "fraction"
    AMOUNT = "amount"
    BITS = "bits"


class Block(NamedTuple):
    """``n`` units from the number ``first`` on, the first of them at ``time``."""

    first: int
    n: int
    time: int
    whole: Cell
    cells: dict[Name, Cell]
    users: dict[str, Cell]


class Blocks:
    """Blocks of units, oldest first. Which there are depends on how many units there were, on nothing else.

    At most four of each length from 64 to 2,048: a block lies about four to eight times its length back, and
    the 24 of them reach some 16,000 units. Sums are exact.
    """

    __slots__ = ("_blocks", "_changed", "scale")

    def __init__(self, scale: Scale, blocks: Iterable[Block] = ()) -> None:
        self.scale = scale
        self._blocks = list(blocks)
        self._changed = False

    def absorb(self, first: int, units: Sequence[Unit]) -> None:
        """Add the next 64 units, the number of the first of them given."""
        blocks = self._blocks
        blocks.append(_summed(self.scale, first, units))
        at, n = len(blocks), BLOCK
        while True:
            start = at
            while start and blocks[start - 1].n == n:
                start -= 1
            if at - start <= A_LENGTH:
                return
            if n == LONGEST:
                del blocks[start]
                self._changed = True
                return
            blocks[start : start + 2] = [_merged(blocks[start], blocks[start + 1])]
            at, n = start + 1, 2 * n
            self._changed = self._changed or n >= OLD

    def with_units(self, first: int, units: Sequence[Unit]) -> Blocks:
        """These, and further units, as many as fill blocks of 64."""
        blocks = Blocks(self.scale, self._blocks)
        for at in range(0, len(units) - BLOCK + 1, BLOCK):
            blocks.absorb(first + at, units[at : at + BLOCK])
        return blocks

    def since(self, floor: int) -> list[Block]:
        """Those with no unit before the number ``floor``."""
        return [block for block in self._blocks if block.first >= floor]

    def write(self, everything: bool) -> dict[str, list[Any]]:
        """Two parts as JSON data, the old blocks only if they have changed since the last call."""
        young = [block for block in self._blocks if block.n < OLD]
        parts = {"blocks": [blocks_out(young)]}
        if everything or self._changed:
            parts["blocks:old"] = [blocks_out(self._blocks[: len(self._blocks) - len(young)])]
            self._changed = False
        return parts


def lane_of(scale: Scale, read: Read) -> int:
    """Where cells have what a monitor reads.

    >>> lane_of(Scale.FRACTION, float)
    1
    """
    if scale is not Scale.BITS:
        return 1
    return 1 + MASKS.index(sum([1 << bit for bit in range(32) if read(float(1 << bit))]))


def units_of(cell: Cell) -> int:
    """How many units a cell sums up."""
    return cell & LANES


def total(scale: Scale, cell: Cell, lane: int) -> float:
    """The sum of a cell's units as a monitor reads them; of amounts, of their logarithms."""
    found = cell >> LANE * lane & LANES
    if scale is Scale.BITS:
        return float(found)
    if scale is Scale.FRACTION:
        return found / STEPS
    return found / STEPS + units_of(cell) * LOG_LEAST


def measured(scale: Scale, y: float) -> float:
    """What is summed of one y.

    >>> measured(Scale.FRACTION, 0.25), measured(Scale.AMOUNT, 1.0)
    (0.25, 0.0)
    """
    return log(max(y, LEAST_AMOUNT)) if scale is Scale.AMOUNT else y


LOG_LEAST = log(LEAST_AMOUNT)


@cache
def _counted(bits: float) -> Cell:
    return 1 + sum([1 << LANE * lane for lane, mask in enumerate(MASKS, 1) if int(bits) & mask])


def _summed(scale: Scale, first: int, units: Sequence[Unit]) -> Block:
    profiles = list(map(itemgetter(3), units))
    ids, values = list(map(id, profiles)), _values(scale, list(map(itemgetter(1), units)))
    by_id = dict(zip(ids, profiles, strict=True))
    same: dict[Profile, int] = {}
    for key, profile in by_id.items():
        same.setdefault(profile, key)
    if len(same) < len(by_id):  # Some have been restored: a sum is rounded once for each profile.
        ids = [same[by_id[key]] for key in ids]
    cells: dict[Name, Cell] = {by_id[key]: cell for key, cell in _by(scale, ids, values).items()}
    users = _users(scale, list(map(itemgetter(4), units)), values)
    return Block(first, len(units), units[0][0], sum(cells.values()), cells, users)


def _values(scale: Scale, ys: list[float]) -> list[float]:
    if scale is not Scale.AMOUNT:
        return ys
    if min(ys) < LEAST_AMOUNT:
        ys = [max(y, LEAST_AMOUNT) for y in ys]
    return list(map(log, ys))


def _by(scale: Scale, keys: Sequence[Whose], values: Sequence[float]) -> dict[Whose, Cell]:
    """A cell for each key; rounded once, so the same for the same 64 units."""
    cells: dict[Whose, Cell] = dict(Counter(keys))
    if scale is Scale.BITS:
        if any(values):
            for key, bits in zip(keys, values, strict=True):
                if bits:
                    cells[key] += _counted(bits) - 1
        return cells
    sums = dict.fromkeys(cells, 0.0)
    for key, value in zip(keys, values, strict=True):
        sums[key] += value
    least = LOG_LEAST if scale is Scale.AMOUNT else 0.0
    for key, value in sums.items():
        cells[key] += round((value - cells[key] * least) * STEPS) << LANE
    return cells


def _users(scale: Scale, whose: list[str | None], values: Sequence[float]) -> dict[str, Cell]:
    """Those with three of the units at least."""
    counts = Counter(whose)
    del counts[None]
    if counts and min(counts)[:1] == MARKED:  # type: ignore[type-var,index]
        whose = [user and token_of(user) for user in whose]
        counts = Counter(whose)
        del counts[None]
    if not counts or max(counts.values()) < OFTEN:
        return NOBODY
    often = {user: token_of(user) for user, n in counts.items() if n >= OFTEN and user}
    theirs = [(often[user], value) for user, value in zip(whose, values, strict=True) if user in often]
    return _by(scale, [user for user, _ in theirs], [value for _, value in theirs])


def _merged(one: Block, other: Block) -> Block:
    cells, more = one.cells, other.cells
    if len(cells) > PROFILES or len(more) > PROFILES or _by_value(cells) or _by_value(more):
        cells, more = folded(cells), folded(more)
    users = _frequent(_added(one.users, other.users))
    return Block(one.first, one.n + other.n, one.time, one.whole + other.whole, _added(cells, more), users)


def _by_value(cells: dict[Name, Cell]) -> bool:
    return any(not isinstance(name, Profile) for name in cells)


def folded(cells: dict[Name, Cell]) -> dict[Name, Cell]:
    """Cells by the values of dimensions; without dimensions of more than 32 values."""
    by_value: dict[Name, Cell] = {}
    for name, cell in cells.items():
        for value in name.dimensions().items() if isinstance(name, Profile) else (name,):
            by_value[value] = by_value.get(value, 0) + cell
    many = Counter([str(name[0]) for name in by_value])
    return {name: cell for name, cell in by_value.items() if many[str(name[0])] <= VALUES}


def _added(one: dict[Whose, Cell], other: dict[Whose, Cell]) -> dict[Whose, Cell]:
    if not other:
        return one
    cells = dict(one)
    for name, cell in other.items():
        cells[name] = cells.get(name, 0) + cell
    return cells


def _frequent(users: dict[str, Cell]) -> dict[str, Cell]:
    if len(users) <= USERS:
        return users
    most = sorted(users, key=lambda user: (-units_of(users[user]), user))[:USERS]
    return {user: users[user] for user in most}


@lru_cache(maxsize=16_384)
def token_of(user: str) -> str:
    """What stands for a user's name."""
    return user if user[0] == MARKED else MARKED + blake2b(user.encode(), digest_size=4).hexdigest()


# -- as JSON data ------------------------------------------------------------------------------------------


def blocks_out(blocks: Sequence[Block]) -> list[Any]:
    """Blocks, each name once."""
    names: dict[Name, int] = {}
    written = [
        [
            block.first,
            block.n,
            block.time,
            _flat(block.whole),
            [[names.setdefault(name, len(names)), *_flat(cell)] for name, cell in block.cells.items()],
            [[int(user[1:], 16), *_flat(cell)] for user, cell in block.users.items()],
        ]
        for block in blocks
    ]
    return [[[isinstance(name, Profile), list(name)] for name in names], written]


def blocks_in(data: Sequence[Any]) -> list[Block]:
    """What :func:`blocks_out` made; data of no blocks gives none."""
    if not data:
        return []
    fields, written = data
    names: list[Name] = [profile_of(one) if profile else (one[0], one[1]) for profile, one in fields]
    return [
        Block(
            first,
            n,
            time,
            _cell(whole),
            {names[at]: _cell(flat) for at, *flat in cells},
            {MARKED + f"{user:08x}": _cell(flat) for user, *flat in users} or NOBODY,
        )
        for first, n, time, whole, cells, users in written
    ]


def _flat(cell: Cell) -> list[int]:
    lanes = [cell & LANES]
    while cell := cell >> LANE:
        lanes.append(cell & LANES)
    return lanes


def _cell(lanes: Sequence[int]) -> Cell:
    return sum([lane << LANE * at for at, lane in enumerate(lanes)])
