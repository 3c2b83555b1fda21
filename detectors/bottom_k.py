"""A uniform sample without replacement that is the same in every order: the k smallest hashes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from itertools import accumulate, compress, count
from typing import Final

PARTS: Final = 16
"""Parts that a sample is kept in: a new entry changes one of them, and that one is written."""
SLACK: Final = 64
"""Entries over k that are kept until the largest are dropped together."""
OPEN: Final = 2**40
"""No hash is as large."""
_changes = count(1)
ONE_BITS: Final = 28
"""Of an entry's first number, which may be negative. The second has the other 36 of 64, signed: in minutes
that is 65,000 years either way."""
_LOW, _SIGN = (1 << ONE_BITS) - 1, 1 << ONE_BITS - 1


class BottomK:
    """Of all entries ever added, those with the k smallest hashes (5 bytes), each with two numbers, of 28
    bits and of 36, signed: any log cost and any minute that is accepted fits, others must not come.

    A uniform sample if hashes are; entries of one hash are kept as they come. 16 bytes an entry: ten thousand
    segments may be learning at once.

    Source: Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.

    >>> sample = BottomK(2)
    >>> for key in (5, 3, 9, 1):
    ...     sample.add(key, -key, 10 * key)
    >>> sample.entries()
    [(1, -1, 10), (3, -3, 30)]
    """

    __slots__ = ("_count", "_keys", "_values", "k", "limit", "versions")

    def __init__(self, k: int) -> None:
        self.k = k
        self.limit = OPEN
        """Hashes from here on can't be among the k smallest."""
        self.versions = [0] * PARTS
        """Each is another number, above 0, when its part has changed; 0 of an empty part."""
        self._keys: list[array[int]] = [array("q") for _ in range(PARTS)]
        """The hashes of each part: of the first k entries in the order in which they came, so that few parts
        change at a time; then wherever their last bits say."""
        self._values: list[array[int]] = [array("q") for _ in range(PARTS)]
        """Both numbers of each entry, in one."""
        self._count = 0

    def add(self, key: int, one: int, other: int) -> None:
        """Absorb an entry; ``one`` may be negative."""
        if key >= self.limit:
            return
        at = self._count * PARTS // self.k if self._count < self.k else key % PARTS
        self._keys[at].append(key)
        self._values[at].append(other << ONE_BITS | (one + _SIGN))
        self.versions[at] = next(_changes)
        self._count += 1
        if self._count >= self.k + SLACK:
            limit = self.limit = sorted([key for keys in self._keys for key in keys])[self.k]
            self._filter([[key < limit for key in keys] for keys in self._keys])

    def _filter(self, wanted: list[list[bool]]) -> None:
        self._count = 0
        for at, kept in enumerate(wanted):
            if not all(kept):
                self._keys[at] = array("q", compress(self._keys[at], kept))
                self._values[at] = array("q", compress(self._values[at], kept))
                self.versions[at] = next(_changes) if self._keys[at] else 0
            self._count += len(self._keys[at])

    def keep(self, wanted: Callable[[int], bool]) -> None:
        """Drop entries whose second number is not ``wanted``. What had been pushed out before stays out."""
        self._filter([[wanted(value >> ONE_BITS) for value in values] for values in self._values])

    def entries(self) -> list[tuple[int, int, int]]:
        """(hash, one number, the other), by hash: at most k."""
        pairs = [
            pair
            for keys, values in zip(self._keys, self._values, strict=True)
            for pair in zip(keys, values, strict=True)
        ]
        return [(key, (value & _LOW) - _SIGN, value >> ONE_BITS) for key, value in sorted(pairs)[: self.k]]

    def part(self, at: int) -> list[list[int]]:
        """One of the parts as JSON data, its hashes as steps from one to the next."""
        entries = sorted(zip(self._keys[at], self._values[at], strict=True))
        keys = [key for key, _ in entries]
        steps = [key - before for before, key in zip([0, *keys], keys, strict=False)]
        ones = [(value & _LOW) - _SIGN for _, value in entries]
        return [steps, ones, [value >> ONE_BITS for _, value in entries]]

    def restore(self, limit: int, parts: Mapping[int, list[list[int]]]) -> None:
        """Take over what was written."""
        self.limit, self._count = limit, 0
        for at in range(PARTS):
            steps, ones, others = parts.get(at, ([], [], []))
            self._keys[at] = array("q", accumulate(steps))
            values = [other << ONE_BITS | (one + _SIGN) for one, other in zip(ones, others, strict=True)]
            self._values[at] = array("q", values)
            self.versions[at] = next(_changes) if steps else 0
            self._count += len(steps)
