"""Recall and precision over pairs, from the clusters that the store gives back."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from benchmarks.evalstore.corpus import Change, Corpus


class Found(NamedTuple):
    """``linked`` are the pairs of cases that share a cluster, ``right`` those of them that were planted."""

    planted: int
    right: int
    linked: int
    missed: Counter[Change]

    @property
    def recall(self) -> float:
        return self.right / self.planted

    @property
    def precision(self) -> float:
        return self.right / self.linked if self.linked else 1.0


def found(corpus: Corpus, clusters: dict[str, str]) -> Found:
    """``clusters``: trace id to cluster id.

    >>> from benchmarks.evalstore.corpus import Trace
    >>> pairs = [("a", "b", Change.WORD), ("c", "d", Change.CASE)]
    >>> planted = Corpus([Trace(t, "", None) for t in "abcd"], pairs)
    >>> found(planted, {"a": "1", "b": "1", "c": "1", "d": "2"})
    Found(planted=2, right=1, linked=3, missed=Counter({<Change.CASE: 'case'>: 1}))
    """
    sizes = Counter(clusters.values())
    linked = sum(size * (size - 1) // 2 for size in sizes.values())
    missed = Counter(change for one, other, change in corpus.pairs if clusters[one] != clusters[other])
    return Found(len(corpus.pairs), len(corpus.pairs) - missed.total(), linked, missed)
