"""Which failure a case is an instance of: near-duplicates become one cluster, as they arrive.

Two cases of one app are linked where their content is the same, or where the shingles of question and
answer have a Jaccard similarity of ``SIMILAR``; a cluster is what links connect. Every case writes one row,
once; a case that links two clusters writes a merge, and the older cluster's id stands. So an id never changes
because its cluster grew, and the tables are the log from which the index is built again.

The partition doesn't depend on the order of arrival, nor on how it was split into batches. Two bounds are the
exception, both for templates of thousands of texts: of a band only the ``BUCKET`` oldest texts are looked at,
and a case is compared with ``COMPARED`` texts at most. The ids do depend on the order: the first case of a
cluster names it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from sinks.evalstore.minhash import BANDS, bands
from sinks.evalstore.runs import Places, Runs
from sinks.evalstore.shingles import KEPT, Hashes, Numbers, Shingled, hash64, shingle, similarity

SIMILAR = 0.7
"""One word of ``n`` changed leaves (n - 1) / (n + 3): 0.78 for fifteen words, 0.71 for eleven."""
BUCKET = 16
COMPARED = 64
WINDOW = 1_000_000
"""Distinct texts that a new case is compared with, the latest ones: this bounds the memory (374 MiB)."""


class Via(StrEnum):
    """How a case came into its cluster."""

    NEW = "new"
    CONTENT = "same_content"
    TEXT = "similar_text"
    ALONE = "no_content"


class Content(NamedTuple):
    """What is compared of a case. ``content_hash`` None: its trace is gone, it is like no other."""

    case_id: str
    app: str
    question: str | None
    answer: str | None
    content_hash: str | None


class Placed(NamedTuple):
    """A case's row, written once. ``place`` is its text's in the index, None where that was there already."""

    case_id: str
    seq: int
    cluster: int
    via: Via
    similarity: float | None
    place: int | None


class Merged(NamedTuple):
    """``absorbed`` is part of ``cluster`` since the case with this ``seq`` linked them."""

    absorbed: int
    cluster: int
    seq: int


class Known(NamedTuple):
    """A text of the store, to build the index again. ``born``: the ``seq`` of its cluster's first case."""

    place: int
    cluster: int
    born: int
    content: Content


def cluster_name(cluster: int) -> str:
    """
    >>> cluster_name(255)
    'c-00000000000000ff'
    """
    return f"c-{cluster:016x}"


def cluster_number(name: str) -> int:
    return int(name.removeprefix("c-"), 16)


class Clusters:
    """The index of the store's latest texts. Not for several threads; holds no text, only hashes."""

    def __init__(self, seq: int = 0, place: int = 0, window: int = WINDOW) -> None:
        """``seq`` and ``place`` are the next ones to be given away."""
        self._seq, self._place, self._window = seq, place, window
        self._base = place  # the place of the first text held
        self._contents, self._bands = Runs(), Runs()
        self._shingles = bytearray()
        self._ends = array("Q")
        self._cut = 0  # bytes that were dropped from the beginning of the shingles
        self._cluster = array("Q")
        self._born = array("Q")
        self._merged: dict[int, Root] = {}

    def restore(self, batches: Iterable[Sequence[Known]]) -> None:
        """Fill a new index with a store's texts, in rising order of ``place``; some places may be missing.

        The outcome is the index that wrote them.
        """
        for batch in batches:
            if not self._cluster and batch:
                self._base = batch[0].place
            self._add(
                np.array([text.place for text in batch], np.int64), _hash([text.content for text in batch])
            )
            for text in batch:
                self._set(text.place, Root(text.born, text.cluster))

    def place(self, cases: Sequence[Content]) -> tuple[list[Placed], list[Merged]]:
        """The rows of cases that are new to the store, in the order of arrival. Changes the index.

        If the rows are not committed after all, throw this index away and build it again.
        """
        planned = self._plan(cases)
        texts = [(case, place) for case, (_, place) in zip(cases, planned, strict=True) if place is not None]
        hashed = _hash([case for case, _ in texts])
        places = np.array([place for _, place in texts], np.int64)
        self._add(places, hashed)
        candidates = self._candidates(places, hashed)
        placed: list[Placed] = []
        merged: list[Merged] = []
        for case, (same, place) in zip(cases, planned, strict=True):
            root, via, how_similar = Root(self._seq, hash64(case.case_id)), Via.NEW, None
            if case.content_hash is None:
                via = Via.ALONE
            elif same is not None:
                root, via = self._root(same), Via.CONTENT
            elif place is not None:
                for other, likeness in self._similar(place, candidates.get(place, ())):
                    theirs = self._root(other)
                    if via is Via.NEW:
                        root, via, how_similar = theirs, Via.TEXT, likeness
                    elif theirs != root:
                        root, younger = min(root, theirs), max(root, theirs)
                        self._merged[younger.cluster] = root
                        merged.append(Merged(younger.cluster, root.cluster, self._seq))
            if place is not None:
                self._set(place, root)
            placed.append(Placed(case.case_id, self._seq, root.cluster, via, how_similar, place))
            self._seq += 1
        self._drop_old()
        return placed, merged

    def _plan(self, cases: Sequence[Content]) -> list[tuple[int | None, int | None]]:
        """For each case the place of the same content, if there is one, and its own, if it gets one.

        A content that comes again after half a window gets a new place: what recurs is not forgotten.
        """
        keys = np.array([_content_key(case) for case in cases], np.uint64)
        first = np.full(len(keys), max(0, self._place - self._window), np.int64)
        latest = dict(
            zip(*(found.tolist() for found in self._contents.find(keys, first, BUCKET)), strict=True)
        )
        here: dict[int, int] = {}
        planned: list[tuple[int | None, int | None]] = []
        for number, (case, key) in enumerate(zip(cases, keys.tolist(), strict=True)):
            if case.content_hash is None:
                planned.append((None, None))
                continue
            same = here.get(key, latest.get(number))
            if same is not None and same < self._place - self._window:
                same = None
            if same is not None and same >= self._place - self._window // 2:
                planned.append((same, None))
                continue
            planned.append((same, self._place))
            here[key] = self._place
            self._place += 1
        return planned

    def _add(self, places: Places, hashed: Hashed) -> None:
        for place, shingles in zip(places.tolist(), hashed.shingles, strict=True):
            # A place that is empty (its case was forgotten) keeps the others where they were.
            missing = place - self._base - len(self._cluster)
            self._cluster.extend([0] * (missing + 1))
            self._born.extend([0] * (missing + 1))
            self._ends.extend([self._cut + len(self._shingles)] * missing)
            self._shingles += shingles[:KEPT].tobytes()
            self._ends.append(self._cut + len(self._shingles))
        self._contents.add(hashed.contents, places)
        self._bands.add(hashed.bands.reshape(-1), np.repeat(places[hashed.worded], BANDS))

    def _candidates(self, places: Places, hashed: Hashed) -> dict[int, list[int]]:
        """The earlier texts that share a band with each, the most shared bands first, then the oldest."""
        keys = hashed.bands.reshape(-1)
        order = np.argsort(keys)
        own = np.repeat(places[hashed.worded], BANDS)[order]
        index, found = self._bands.find(keys[order], np.maximum(own - self._window, 0), BUCKET)
        earlier = found < own[index]
        pairs = np.stack((own[index][earlier], found[earlier]))
        (own, found), shared = np.unique(pairs, axis=1, return_counts=True)
        order = np.lexsort((found, -shared, own))
        own, found = own[order], found[order]
        candidates: dict[int, list[int]] = {}
        for mine, other in zip(own.tolist(), found.tolist(), strict=True):
            candidates.setdefault(mine, []).append(other)
        return candidates

    def _similar(self, place: int, candidates: Sequence[int]) -> Iterator[tuple[int, float]]:
        """Those of the candidates that are similar enough; of a cluster the first that is will do."""
        mine = self._shingles_of(place)
        linked: set[int] = set()
        compared = 0
        for other in candidates:
            if self._root(other).cluster in linked:
                continue
            if compared == COMPARED:
                break
            compared += 1
            likeness = similarity(mine, self._shingles_of(other))
            if likeness >= SIMILAR:
                yield other, likeness
                linked.add(self._root(other).cluster)

    def _root(self, place: int) -> Root:
        root = Root(self._born[place - self._base], self._cluster[place - self._base])
        while root.cluster in self._merged:
            root = self._merged[root.cluster]
        return root

    def _set(self, place: int, root: Root) -> None:
        self._born[place - self._base], self._cluster[place - self._base] = root

    def _shingles_of(self, place: int) -> Hashes:
        number = place - self._base
        begin = self._ends[number - 1] if number else self._cut
        return np.frombuffer(
            bytes(self._shingles[begin - self._cut : self._ends[number] - self._cut]), np.uint32
        )

    def _drop_old(self) -> None:
        """Free what no case will be compared with any more, a quarter of a window at a time."""
        old = self._place - self._window - self._base
        if old <= self._window // 4:
            return
        end = self._ends[old - 1]
        del self._shingles[: end - self._cut]
        for column in (self._ends, self._cluster, self._born):
            del column[:old]
        self._base, self._cut = self._base + old, end
        self._contents.drop(self._base)
        self._bands.drop(self._base)

    @property
    def size(self) -> int:
        """Bytes held, but for merges."""
        columns = sum(column.itemsize * len(column) for column in (self._ends, self._cluster, self._born))
        return self._contents.size + self._bands.size + len(self._shingles) + columns


class Root(NamedTuple):
    """A cluster that is part of no other; the oldest has the smallest ``born``, its first case's ``seq``."""

    born: int
    cluster: int


class Hashed(NamedTuple):
    """What is kept of texts: ``worded`` are the numbers of those with words, which alone have bands."""

    contents: Numbers
    shingles: list[Hashes]
    worded: Places
    bands: Numbers


def _hash(cases: Sequence[Content]) -> Hashed:
    shingled = shingle([(case.question, case.answer) for case in cases])
    worded = np.flatnonzero(shingled.counts)
    salts = np.array([hash64(case.app) for case in cases], np.uint64)[worded]
    return Hashed(
        np.array([_content_key(case) for case in cases], np.uint64),
        np.split(shingled.hashes, np.cumsum(shingled.counts)[:-1]) if cases else [],
        worded,
        bands(Shingled(shingled.hashes, shingled.counts[worded]), salts),
    )


def _content_key(case: Content) -> int:
    return hash64(f"{case.app}\0{case.content_hash}")
