"""The last units of one kind in a segment, remembered once for all the monitors that watch them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import heappush, heappushpop
from typing import Any

from detectors.blocks import MARKED, Block, Blocks, Read, Scale, blocks_in, token_of
from detectors.sparse_units import HISTORY, SparseUnits
from detectors.unit import Unit
from schemas.observation import Profile, profile_of

RING = 256
"""Units kept one by one."""
STRIDE = 32
"""Every 32nd unit is kept for longer, as sparse units: they reach 1,024 units further back."""
CHUNK = 64
"""Units that are written down together; once 64 are there, they are not written again."""
RECENT_SLOTS = RING // CHUNK + 1
PAST_SLOTS = -(-HISTORY // CHUNK) + 1
"""Chunks that what is remembered can lie in: a new one takes the place of the oldest."""
EXAMPLES = 3
"""Units that an alarm names."""
NAMED_USERS = 5
"""Units of one user from which on an alarm may name that user."""
USERS = "users"


class UnitMemory:
    """Units by their number, the first ever being 0: the last 256 (up to 319, since they leave 64 at a
    time), and those before them as 32 single ones and summed up in :class:`~detectors.blocks.Blocks`.

    :meth:`extend` by a batch, let each monitor look back from where it stands in it, then :meth:`trim`.
    What is remembered at a number depends on the number alone, so how units are split over batches changes
    nothing, and neither does writing down and restoring.

    Written in chunks of 64 units, each once when it is full; only the last one is written again. A full
    chunk names traces only where an alarm to come could name them (among those since the change, the three
    worst: so those with fewer than three worse ones after them), and users by a token of 4 bytes; the names
    of users with five units are written beside. About 1.1 kB a chunk, compressed.
    """

    __slots__ = ("_first", "_names", "_past", "_units", "_written", "blocks")

    def __init__(self, scale: Scale = Scale.FRACTION) -> None:
        self.blocks = Blocks(scale)
        self._first = 0
        self._units: list[Unit] = []
        self._past = SparseUnits()
        self._names: dict[str, str] = {}
        """Token to name of users whose units have been restored."""
        self._written = 0
        """Units below this number are written down."""

    @property
    def count(self) -> int:
        """Units so far: the number of the next one."""
        return self._first + len(self._units)

    def extend(self, units: Iterable[Unit]) -> int:
        """Remember a batch; the number of its first unit."""
        number = self.count
        self._units.extend(units)
        return number

    def trim(self) -> None:
        """Forget what nobody can ask for any more: the batch has been watched."""
        gone = (len(self._units) - RING) // CHUNK * CHUNK
        if gone <= 0:
            return
        for at in range(0, gone, CHUNK):
            self.blocks.absorb(self._first + at, self._units[at : at + CHUNK])
        first = -(self._first + 1) % STRIDE
        for at in range(first, gone, STRIDE):
            self._past.add(self._first + at, self._units[at])
        del self._units[:gone]
        self._first += gone

    def older(self, upto: int, floor: int = 0) -> tuple[list[Block], list[Unit]]:
        """All units from ``floor`` to ``upto``, none of the ring before it: those in blocks, and the 256 to
        319 after them."""
        end = max((upto - RING) // CHUNK * CHUNK, self._first)
        blocks = self.blocks.with_units(self._first, self._units[: end - self._first])
        return blocks.since(floor), self._units[max(end, floor) - self._first : upto - self._first]

    def ring(self, upto: int, floor: int = 0) -> list[Unit]:
        """The last units before the number ``upto``, none below ``floor``, at most 256."""
        start = max(upto - RING, floor, self._first)
        return self._units[start - self._first : upto - self._first]

    def past(self, upto: int, floor: int = 0) -> list[Unit]:
        """Every 32nd of the units before those of the ring, without their trace_ids, at most 32."""
        end = upto - RING
        kept = [unit for number, unit in self._past.items() if floor <= number < end]
        start = max(self._first, floor)
        start += -(start + 1) % STRIDE
        kept += [_nameless(self._units[n - self._first]) for n in range(start, min(end, self.count), STRIDE)]
        return kept[-HISTORY:]

    def names(self) -> dict[str, str]:
        """Token to name of the users that are known."""
        known = {u[4] for u in self._units} | {*self._past.users()}
        return self._names | {token_of(name): name for name in known if name and name[0] != MARKED}

    def named(self, units: list[Unit]) -> list[Unit]:
        """Units with their users' names where a name is known: a user is one and the same, whether a unit
        of theirs has been restored or not."""
        if not any(unit[4] and unit[4][0] == MARKED for unit in units):
            return units
        names = self.names()
        return [
            (unit[0], unit[1], unit[2], unit[3], names.get(unit[4], unit[4]) if unit[4] else None)
            for unit in units
        ]

    # -- state -----------------------------------------------------------------------------------------

    def write(self, reads: Sequence[Read]) -> dict[str, Any]:
        """Parts that have changed since the last call, each as JSON data; ``reads`` are the monitors'."""
        start, count = self._written, self.count
        if start == count:
            return {}
        self._written = count
        parts: dict[str, Any] = {}
        full = count // CHUNK
        if start // CHUNK != full:
            names = self._to_name(reads)
            for chunk in range(max(start, self._first) // CHUNK, full):
                numbers, units = self._chunk(chunk)
                named = [u if n in names else _nameless(u) for n, u in zip(numbers, units, strict=True)]
                parts[f"{chunk % RECENT_SLOTS}"] = columns(numbers, named, _short)
            self._write_past(start, parts)
            parts[USERS] = self.users()
            parts |= self.blocks.write(not start)
        if count % CHUNK:
            parts[f"{full % RECENT_SLOTS}"] = columns(*self._chunk(full), str)
        return parts

    def _chunk(self, chunk: int) -> tuple[range, list[Unit]]:
        begin = max(chunk * CHUNK, self._first)
        units = self._units[begin - self._first : (chunk + 1) * CHUNK - self._first]
        return range(begin, begin + len(units)), units

    def _write_past(self, start: int, parts: dict[str, Any]) -> None:
        """Those that have left the ring since a chunk was full; until then the chunks still have them."""
        size = CHUNK * STRIDE
        for chunk in range(max(start - RING - CHUNK, 0) // size, self._first // size + 1):
            units = [(n, u) for n, u in self._past.items() if chunk * size <= n < (chunk + 1) * size]
            if units:
                numbers, kept = zip(*units, strict=True)
                parts[f"past:{chunk % PAST_SLOTS}"] = columns(numbers, kept, _short)

    def _to_name(self, reads: Sequence[Read]) -> set[int]:
        """Numbers of the units that may yet be among the three worst since a change."""
        names: set[int] = set()
        values = [unit[1] for unit in reversed(self._units)]
        newest = self.count - 1
        for read in reads:
            worst: list[float] = []
            bar = 0.0
            for back, value in enumerate(values):
                y = read(value)
                if y > bar:
                    names.add(newest - back)
                    if len(worst) == EXAMPLES:
                        heappushpop(worst, y)
                    else:
                        heappush(worst, y)
                    if len(worst) == EXAMPLES:
                        bar = worst[0]
        return names

    def users(self) -> dict[str, str]:
        """Token to name of the users that have five units or more."""
        counts = Counter(unit[4] for unit in self._units)
        counts.update(self._past.users())
        if not any(user and user[0] == MARKED for user in counts):
            often = [u for u, count in counts.items() if u is not None and count >= NAMED_USERS]
            return dict(sorted((token_of(user), user) for user in often))
        by_token: Counter[str] = Counter()
        names = dict(self._names)
        for user, count in counts.items():
            if user is not None:
                token = user if user[0] == MARKED else token_of(user)
                by_token[token] += count
                if user[0] != MARKED:
                    names[token] = user
        return {t: names[t] for t, count in sorted(by_token.items()) if count >= NAMED_USERS and t in names}

    def restore(self, count: int, parts: dict[str, Any]) -> None:
        """Become the memory that had seen ``count`` units and wrote these parts."""
        units: dict[int, Unit] = {}
        older = []
        for name, data in parts.items():
            if "blocks" in name:
                older += blocks_in(data[0])
                continue
            for number, unit in from_columns(data) if name != USERS else ():
                if number not in units or unit[2]:
                    units[number] = unit
        numbers = sorted(number for number in units if number < count)
        self._first = max((count - RING) // CHUNK * CHUNK, 0)
        self.blocks = Blocks(self.blocks.scale, sorted(older, key=lambda block: block.first))
        at = bisect_left(numbers, self._first)
        self._units = [units[number] for number in numbers[at:]]
        old = [number for number in numbers[:at] if number % STRIDE == STRIDE - 1]
        self._past = SparseUnits([(number, units[number]) for number in old])
        self._names = dict(parts.get(USERS, {}))
        self._written = count


def columns(numbers: Iterable[int], units: Iterable[Unit], name: Callable[[str], int | str]) -> list[Any]:
    """Units column by column, each profile once, users by ``name``."""
    profiles: dict[Profile, int] = {}
    numbers, units = list(numbers), list(units)
    first_number, first_time = numbers[0], units[0][0]
    return [
        first_number,
        first_time,
        [number - first_number for number in numbers],
        [unit[0] - first_time for unit in units],
        [unit[1] for unit in units],
        {str(at): unit[2] for at, unit in enumerate(units) if unit[2]},
        [profiles.setdefault(unit[3], len(profiles)) for unit in units],
        [None if unit[4] is None else name(unit[4]) for unit in units],
        [list(profile) for profile in profiles],
    ]


def from_columns(data: list[Any]) -> list[tuple[int, Unit]]:
    """(number, unit) of what :func:`columns` made."""
    first_number, first_time, numbers, times, values, names, profile_at, users, fields = data
    profiles = [profile_of(one) for one in fields]
    return [
        (
            first_number + number,
            (
                first_time + time,
                value,
                names.get(str(at), ""),
                profiles[which],
                MARKED + f"{user:08x}" if isinstance(user, int) else user,
            ),
        )
        for at, (number, time, value, which, user) in enumerate(
            zip(numbers, times, values, profile_at, users, strict=True)
        )
    ]


def _short(user: str) -> int:
    """A token as a number."""
    return int((user if user[0] == MARKED else token_of(user))[1:], 16)


def _nameless(unit: Unit) -> Unit:
    return unit[0], unit[1], "", unit[3], unit[4]
