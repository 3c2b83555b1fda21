"""The text of a failure as a set of shingles: what two near-duplicates share.

A shingle is two neighbouring words of the question, or of the answer, hashed to 32 bits. Words are compared
without case, punctuation and white space; the beginning and the end of a text count as words, so that even
one word has shingles, and so that changing any one word of ``n`` changes two shingles of ``n + 1``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

KEPT = 256
"""Shingles kept of a text. Of a longer one these are the smallest by hash, which are a random sample."""

_UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
"""Thai, Japanese and Chinese put no spaces between words: there a character counts as one."""
_WORDS = re.compile(f"[^\\W{_UNSPACED}]+|[{_UNSPACED}]")
_APOSTROPHES = str.maketrans("", "", "'’")
_CACHED = 200_000

Numbers = NDArray[np.uint64]
Hashes = NDArray[np.uint32]


def words(text: str | None) -> list[str]:
    """The words of a text, as they are compared.

    >>> words("Don't  PANIC, it's\\n20 €!")
    ['dont', 'panic', 'its', '20']
    """
    if not text:
        return []
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return _WORDS.findall(plain.casefold().translate(_APOSTROPHES))


class Shingled(NamedTuple):
    """The distinct shingles of several texts, one after the other: text ``i`` has ``counts[i]`` of them.

    Each text's are in rising order; a text without a word has none.
    """

    hashes: Hashes
    counts: NDArray[np.int64]


def shingle(texts: Sequence[tuple[str | None, str | None]]) -> Shingled:
    """The shingles of (question, answer) pairs. Depends on nothing but the texts, on any machine."""
    if len(_known) > _CACHED:
        _known.clear()
    numbers: list[int] = []
    lengths = []
    for question, answer in texts:
        before = len(numbers)
        _add(numbers, _QUESTION, words(question))
        _add(numbers, _ANSWER, words(answer))
        lengths.append(len(numbers) - before)
    flat = np.array(numbers, np.uint64)
    owner = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
    # A pair that begins with an end of text would join two texts.
    inside = np.flatnonzero(~np.isin(flat, _ENDS)[:-1]) if len(flat) else np.empty(0, np.int64)
    pairs = mix(flat[inside] * _ODD + flat[inside + 1]) >> np.uint64(32)
    # Text in the high half and shingle in the low one: one sort gives each text's distinct shingles.
    distinct = np.unique((owner[inside] << np.uint64(32)) | pairs)
    counts = np.bincount((distinct >> np.uint64(32)).astype(np.int64), minlength=len(lengths))
    return Shingled(distinct.astype(np.uint32), counts)


def similarity(one: Hashes, other: Hashes) -> float:
    """Jaccard similarity of two texts' shingles, given the ``KEPT`` smallest of each in rising order.

    Exact where neither text has more than that; else an estimate from the ``KEPT`` smallest of both
    together, with a standard error of at most 0.03 (bottom-k sketch: Cohen and Kaplan, PODC 2007).
    """
    if not len(one) or not len(other):
        return 0.0
    both = np.concatenate((one, other))
    both.sort()
    again = both[1:] == both[:-1]
    if len(one) < KEPT and len(other) < KEPT:
        shared = int(np.count_nonzero(again))
        return shared / (len(both) - shared)
    first = np.concatenate(([True], ~again))
    sample = np.cumsum(first)[1:] <= KEPT
    return int(np.count_nonzero(again & sample)) / min(int(np.count_nonzero(first)), KEPT)


def mix(numbers: Numbers) -> Numbers:
    """A bijection of 64-bit numbers that looks random (the finaliser of splitmix64, Steele et al. 2014)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def hash64(text: str) -> int:
    """64 bits of a text that are the same on every machine, in every version."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


class _Known(dict[str, int]):
    def __missing__(self, word: str) -> int:
        number = self[word] = hash64(word)
        return number


_known = _Known()
"""Words seen before: a cache, with no effect but speed."""
# A space is in no word, so these are the numbers of none.
_QUESTION = (hash64(" question"), hash64(" end of question"))
_ANSWER = (hash64(" answer"), hash64(" end of answer"))
_ENDS = np.array([_QUESTION[1], _ANSWER[1]], np.uint64)
_ODD = np.uint64(0x9E3779B97F4A7C15)


def _add(numbers: list[int], bounds: tuple[int, int], found: Iterable[str]) -> None:
    inside = list(map(_known.__getitem__, found))
    if inside:
        numbers.append(bounds[0])
        numbers += inside
        numbers.append(bounds[1])
