"""Key to places, for many million keys: sorted runs of numbers, 12 bytes an entry.

A batch of entries becomes a run; a run that is no longer much smaller than the one before it is merged into
it, so that a lookup meets a handful of runs (a log-structured merge tree: O'Neil et al. 1996, in memory).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sinks.evalstore.shingles import Numbers

Places = NDArray[np.int64]
RATIO = 4
"""A run is at most this part of the one before it."""


class Runs:
    """A multimap that only grows, and drops what is old when told. Places must be added in rising order."""

    def __init__(self) -> None:
        self._runs: list[tuple[Numbers, NDArray[np.uint32]]] = []

    def add(self, keys: Numbers, places: Places) -> None:
        """``places[i]`` under ``keys[i]``; places are below 2**32."""
        if not len(keys):
            return
        order = np.argsort(keys, kind="stable")
        self._runs.append((keys[order], places[order].astype(np.uint32)))
        while len(self._runs) > 1 and len(self._runs[-1][0]) * RATIO >= len(self._runs[-2][0]):
            last, before = self._runs.pop(), self._runs.pop()
            merged = np.concatenate((before[0], last[0]))
            # Stable, and of two sorted halves: linear, with each key's places still in rising order.
            order = np.argsort(merged, kind="stable")
            self._runs.append((merged[order], np.concatenate((before[1], last[1]))[order]))

    def find(self, keys: Numbers, first: Places, most: int) -> tuple[Places, Places]:
        """Indices into ``keys``, and the places found: the ``most`` lowest from ``first[i]`` on, for each.

        In rising order of index, then of place. ``keys`` are best sorted: neighbours share cache lines.
        """
        indices: list[Places] = []
        places: list[Places] = []
        for run, where in self._runs:
            begin = np.searchsorted(run, keys)
            hit = np.flatnonzero(run[np.minimum(begin, len(run) - 1)] == keys)
            end = np.searchsorted(run, keys[hit], side="right")
            begin = _skip(where, begin[hit], end, first[hit])
            count = np.minimum(end - begin, most)
            offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
            indices.append(np.repeat(hit, count))
            places.append(where[np.repeat(begin, count) + offset].astype(np.int64))
        if not indices:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        index, place = np.concatenate(indices), np.concatenate(places)
        order = np.argsort(index, kind="stable")  # earlier runs hold lower places
        index, place = index[order], place[order]
        kept = np.arange(len(index)) - np.searchsorted(index, index) < most
        return index[kept], place[kept]

    def drop(self, first: int) -> None:
        """Forget the places below ``first``."""
        kept = [(keys[where >= first], where[where >= first]) for keys, where in self._runs]
        self._runs = [run for run in kept if len(run[0])]

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(keys.nbytes + where.nbytes for keys, where in self._runs)


def _skip(where: NDArray[np.uint32], begin: Places, end: Places, first: Places) -> Places:
    """``begin`` moved on to the first place in ``where[begin:end]`` that is not below ``first``, for each."""
    if not first.any():
        return begin
    low, high = begin.copy(), end.copy()
    while len(open_ := np.flatnonzero(low < high)):
        middle = (low[open_] + high[open_]) // 2
        below = where[middle] < first[open_]
        low[open_[below]] = middle[below] + 1
        high[open_[~below]] = middle[~below]
    return low
