"""The buckets of a log histogram, and how its counts travel: what its writers and its readers agree on.

The bucket of a value is the top 18 bits of it as an IEEE 754 double: sign, exponent, and the first six
bits of the mantissa. So every power of two is cut into 64 buckets of equal width, and a bucket is at most
1/64 wider at its end than at its beginning. That is DDSketch with its linearly interpolated logarithm
(Masson, Rim & Lee, VLDB 2019, section 2.2 on mappings), made of bits: no logarithm of a platform's own
library, so two machines never disagree about a bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

EXPONENT_BIAS = 1023
PER_OCTAVE_BITS = 6
PER_OCTAVE = 1 << PER_OCTAVE_BITS
SHIFT = 52 - PER_OCTAVE_BITS
RELATIVE_ERROR = 1 / (2 * PER_OCTAVE + 1)
"""Of :func:`estimate` against any value of the bucket: at most 0.78 %."""


def lower_edge(bucket: int) -> float:
    """The least value of a bucket; the next bucket's is the first that it does not hold.

    >>> [lower_edge(bucket) for bucket in (0, 65472, 65473, 65536)]
    [0.0, 1.0, 1.015625, 2.0]
    """
    if bucket <= 0:
        return 0.0
    within = 1 + (bucket % PER_OCTAVE) / PER_OCTAVE
    return float(within * 2.0 ** ((bucket >> PER_OCTAVE_BITS) - EXPONENT_BIAS))


def estimate(bucket: int) -> float:
    """The value that stands for a bucket: the one whose largest relative error is least.

    Bucket 0 holds zero (and what is smaller than a double can say with six bits), and stands for 0.

    >>> round(estimate(65472), 6)
    1.007752
    """
    if bucket <= 0:
        return 0.0
    low, high = lower_edge(bucket), lower_edge(bucket + 1)
    return 2.0 * (low / (1.0 + low / high))


def pack(counts: Mapping[int, int]) -> list[int]:
    """Counts by bucket as few small integers: the first bucket, then counts, a gap as its length below 0.

    >>> pack({65472: 3, 65473: 1, 65480: 2})
    [65472, 3, 1, -6, 2]
    >>> pack({})
    []
    """
    packed: list[int] = []
    after: int | None = None
    for bucket in sorted(counts):
        if after is None:
            packed.append(bucket)
        elif bucket != after:
            packed.append(after - bucket)
        packed.append(counts[bucket])
        after = bucket + 1
    return packed


def unpack(packed: Sequence[int]) -> dict[int, int]:
    """The counts by bucket, in the order of buckets. Raises ``ValueError`` for what ``pack`` never wrote.

    >>> unpack([65472, 3, 1, -6, 2])
    {65472: 3, 65473: 1, 65480: 2}
    """
    counts: dict[int, int] = {}
    at = packed[0] if packed else 0
    for entry in packed[1:]:
        if entry == 0:
            raise ValueError("histogram: a bucket without a count")
        if entry > 0:
            counts[at] = entry
            at += 1
        else:
            at -= entry
    return counts


def merged(histograms: Iterable[Sequence[int]]) -> list[int]:
    """Packed histograms as one, by addition: exact, in any order.

    >>> merged([[65472, 3, 1], [65473, 2], []])
    [65472, 3, 3]
    """
    counts: dict[int, int] = {}
    for packed in histograms:
        for bucket, count in unpack(packed).items():
            counts[bucket] = counts.get(bucket, 0) + count
    return pack(counts)
