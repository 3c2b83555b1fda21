"""A mergeable sketch of a distribution: how many values fell into each bucket of a logarithmic scale."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence

from schemas.histogram import SHIFT, estimate, pack, unpack

MAX_BUCKETS = 1024
"""Occupied buckets at most: values over a range of 65,536 to 1 fill so many if none between them is empty."""

AT_ONCE = 64
"""Values that are gathered before they are counted, because a few cost as much as many."""


def buckets_of(values: Sequence[float]) -> list[int]:
    """The bucket of each value: see ``schemas.histogram``. Values are at least 0; minus zero counts as zero.

    >>> buckets_of([0.0, 1.0, 1.02, 2])
    [0, 65472, 65473, 65536]
    """
    return [bits >> SHIFT for bits in memoryview(array("d", values)).cast("B").cast("q")]


class LogHistogram:
    """Counts values at least 0 in buckets 1.6 % wide, whatever their unit; quantiles within 0.8 %.

    Exact where it matters for replay: the counts are the same under any order of the values, any split into
    batches or parts, any merge and any restore. (A KLL sketch draws random numbers when it compacts, and so
    is not; see docs/decisions/0014.) The error is in the value, not in the rank: p99 of a heavy tail is
    as good as p50. Above ``most`` occupied buckets the lowest are collapsed into the lowest that is kept, as
    DDSketch does, and in that the order of values does not matter either: what is kept are always the
    highest ``most`` buckets that were ever occupied. Only quantiles below them suffer: they are
    overestimated. A mean is better taken from a sum.

    ``most`` bounds the memory: 1,024 buckets are 2 to 3 KiB of JSON as ``state`` writes them.

    Reference: Masson, Rim & Lee, "DDSketch", PVLDB 12(12), 2019, https://arxiv.org/abs/1908.10693.

    >>> histogram = LogHistogram()
    >>> histogram.extend([float(ms) for ms in range(1, 1001)])
    >>> [round(histogram.quantile(q)) for q in (0.5, 0.95, 0.99)]
    [502, 948, 988]
    """

    __slots__ = ("_counts", "_fresh", "most")

    def __init__(self, most: int = MAX_BUCKETS) -> None:
        if most < 1:
            raise ValueError(f"most {most} must be at least 1")
        self.most = most
        self._counts: Counter[int] = Counter()
        self._fresh: list[float] = []

    def extend(self, values: Sequence[float]) -> None:
        """Count values."""
        self._fresh += values
        if len(self._fresh) >= AT_ONCE:
            self._count()

    def merge(self, other: LogHistogram) -> None:
        """Add what another has counted."""
        self._counts.update(other.counts)
        self._collapse()

    @property
    def counts(self) -> Mapping[int, int]:
        """How many values by bucket, in no order."""
        if self._fresh:
            self._count()
        return self._counts

    def _count(self) -> None:
        self._counts.update(buckets_of(self._fresh))
        self._fresh.clear()
        self._collapse()

    def _collapse(self) -> None:
        counts = self._counts
        if len(counts) > self.most:
            low = sorted(counts)[: -self.most + 1 or None]
            into = low.pop()
            counts[into] += sum([counts.pop(bucket) for bucket in low])

    @property
    def n(self) -> int:
        """How many values it has counted."""
        return sum(self.counts.values())

    def quantile(self, q: float) -> float:
        """The value of rank ⌈q n⌉, within 0.8 %: of 0.95, at least 95 % of the values are at most this.

        Raises ``ValueError`` where q is not in [0, 1], or nothing was counted.
        """
        if not 0.0 <= q <= 1.0:
            raise ValueError(f"q {q} must be in [0, 1]")
        counts = self.counts
        wanted, below = q * self.n, 0
        for bucket in sorted(counts):
            below += counts[bucket]
            if below >= wanted:
                return estimate(bucket)
        raise ValueError("a quantile of nothing")

    def state(self) -> list[int]:
        """Its counts, packed: what travels and what is restored."""
        return pack(self.counts)

    def restore(self, state: Sequence[int]) -> None:
        self._counts, self._fresh = Counter(unpack(state)), []
