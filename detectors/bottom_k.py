"""A uniform sample without replacement that is the same in every order: the k smallest hashes."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from itertools import accumulate, count
from typing import Final

PARTS: Final = 4
"""Parts that a sample is kept in, by hash: a new entry changes one of them, and that one is written."""
SLACK: Final = 64
"""Entries over k that are kept until the largest are dropped together."""
OPEN: Final = 2**40
"""No hash is as large."""
_changes = count(1)
_LOW, _SIGN = (1 << 32) - 1, 1 << 31


class BottomK:
    """Of all entries ever added, those with the k smallest hashes (5 bytes), each with two numbers (4 bytes).

    A uniform sample if hashes are; entries of one hash are kept as they come. 16 bytes an entry: ten thousand
    segments may be learning at once.

    Source: Cohen & Kaplan, "Summarizing data using bottom-k sketches", PODC 2007.

    >>> sample = BottomK(2)
    >>> for key in (5, 3, 9, 1):
    ...     sample.add(key, -key, 10 * key)
    >>> sample.entries()
    [(1, -1, 10), (3, -3, 30)]
    """

    __slots__ = ("_count", "_parts", "k", "limit", "versions")

    def __init__(self, k: int) -> None:
        self.k = k
        self.limit = OPEN
        """Hashes from here on can't be among the k smallest."""
        self.versions = [0] * PARTS
        """Each is another number, above 0, when its part has changed; 0 of an empty part."""
        self._parts: list[array[int] | None] = [None] * PARTS
        """Of each entry, by the last bits of its hash: the hash, and both numbers in one."""
        self._count = 0

    def add(self, key: int, one: int, other: int) -> None:
        """Absorb an entry; ``one`` may be negative."""
        if key >= self.limit:
            return
        at = key % PARTS
        part = self._parts[at]
        if part is None:
            part = self._parts[at] = array("q")
        part.append(key)
        part.append(other << 32 | (one + _SIGN))
        self.versions[at] = next(_changes)
        self._count += 1
        if self._count >= self.k + SLACK:
            keys = sorted([key for part in self._parts if part is not None for key in part[::2]])
            self.limit = keys[self.k]
            self._filter(lambda key, _: key < self.limit)

    def _filter(self, wanted: Callable[[int, int], bool]) -> None:
        self._count = 0
        for at, part in enumerate(self._parts):
            if part is None:
                continue
            kept = array("q")
            for key, packed in zip(part[::2], part[1::2], strict=True):
                if wanted(key, packed >> 32):
                    kept.extend((key, packed))
            if len(kept) < len(part):
                self._parts[at] = kept
                self.versions[at] = next(_changes)
            self._count += len(kept) // 2

    def keep(self, wanted: Callable[[int, int], bool]) -> None:
        """Drop what is not ``wanted(hash, other number)``. What had been pushed out before stays out."""
        self._filter(wanted)

    def entries(self) -> list[tuple[int, int, int]]:
        """(hash, one number, the other), by hash: at most k."""
        pairs = [
            pair
            for part in self._parts
            if part is not None
            for pair in zip(part[::2], part[1::2], strict=True)
        ]
        return [(key, (packed & _LOW) - _SIGN, packed >> 32) for key, packed in sorted(pairs)[: self.k]]

    def part(self, at: int) -> list[list[int]]:
        """One of the parts as JSON data, its hashes as steps from one to the next."""
        entries = sorted(zip((part := self._parts[at] or array("q"))[::2], part[1::2], strict=True))
        keys = [key // PARTS for key, _ in entries]
        steps = [key - before for before, key in zip([0, *keys], keys, strict=False)]
        ones = [(packed & _LOW) - _SIGN for _, packed in entries]
        return [steps, ones, [packed >> 32 for _, packed in entries]]

    def restore(self, limit: int, parts: Mapping[int, list[list[int]]]) -> None:
        """Take over what was written."""
        self.limit, self._count = limit, 0
        self._parts = [None] * PARTS
        for at, (steps, ones, others) in sorted(parts.items()):
            part = self._parts[at] = array("q")
            for key, one, other in zip(accumulate(steps), ones, others, strict=True):
                part.extend((key * PARTS + at, other << 32 | (one + _SIGN)))
            self.versions[at] = next(_changes)
            self._count += len(steps)
