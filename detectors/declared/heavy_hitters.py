"""Who uses most, in bounded memory: exact for few, with a stated error for many."""

from __future__ import annotations

from heapq import heapify, heappush, heapreplace
from typing import Any


class HeavyHitters:
    """Weighted sums of at most ``capacity`` names (Space-Saving).

    A name that is not counted takes over the smallest counter, and that counter's sum becomes its error::

        sum(name) - error(name)  <=  what the name really has  <=  sum(name),   error <= total / capacity

    Source: Metwally, Agrawal & El Abbadi, "Efficient computation of frequent and top-k elements in data
    streams", ICDT 2005; with weights, Berinde et al. 2010, TODS 35(4).

    **Provable:** the bounds above; exact (error 0) while there are at most ``capacity`` names; every name
    with more than ``total / capacity`` is counted. **Misleads** if ``sum`` is taken for what a name has: use
    :meth:`surely`. Ties go to the smaller name, so the same stream gives the same counters.

    >>> most = HeavyHitters(2)
    >>> [most.add(name, weight) for name, weight in (("a", 5.0), ("b", 1.0), ("c", 2.0), ("a", 1.0))]
    [5.0, 1.0, 2.0, 6.0]
    >>> most.total, most.names()
    (9.0, ['a', 'c'])
    """

    __slots__ = ("_capacity", "_counts", "_errors", "_heap", "total")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[str, float] = {}
        self._errors: dict[str, float] = {}
        """Of the names that took a counter over."""
        self._heap: list[tuple[float, str]] = []
        """One entry a name, its sum at some earlier moment: at most what it is now."""
        self.total = 0.0

    def add(self, name: str, weight: float) -> float:
        """``weight`` more for ``name``; what it has at least now."""
        self.total += weight
        counts = self._counts
        known = counts.get(name)
        if known is not None:
            counts[name] = known + weight
        elif len(counts) < self._capacity:
            counts[name] = weight
            heappush(self._heap, (weight, name))
        else:
            least, loser = self._smallest()
            del counts[loser]
            self._errors.pop(loser, None)
            counts[name] = least + weight
            self._errors[name] = least
            heapreplace(self._heap, (least + weight, name))
        return self.surely(name)

    def surely(self, name: str) -> float:
        """What ``name`` has at least."""
        return self._counts.get(name, 0.0) - self._errors.get(name, 0.0)

    def names(self) -> list[str]:
        """Whoever is counted, by name."""
        return sorted(self._counts)

    def __contains__(self, name: str) -> bool:
        return name in self._counts

    def _smallest(self) -> tuple[float, str]:
        heap, counts = self._heap, self._counts
        while True:
            count, name = heap[0]
            if counts[name] == count:
                return count, name
            heapreplace(heap, (counts[name], name))

    def snapshot(self) -> dict[str, Any]:
        return {"total": self.total, "counts": dict(self._counts), "errors": dict(self._errors)}

    def restore(self, state: dict[str, Any]) -> None:
        self.total = state["total"]
        self._counts, self._errors = dict(state["counts"]), dict(state["errors"])
        self._heap = [(count, name) for name, count in self._counts.items()]
        heapify(self._heap)
