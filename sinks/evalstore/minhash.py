"""Which texts are worth comparing: minhash signatures, cut into bands.

Each of ``PERMUTATIONS`` hash functions keeps the smallest value that it gives to a text's shingles; two texts
agree in one such value with a probability of their Jaccard similarity. ``ROWS`` values make a band, and texts
that agree in a whole band are compared exactly. Broder, "On the resemblance and containment of documents",
1997; bands and the S-curve: Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", ch. 3.
"""

from __future__ import annotations

import numpy as np

from sinks.evalstore.shingles import Numbers, Shingled, mix

BANDS = 16
ROWS = 4
PERMUTATIONS = BANDS * ROWS

_SEEDS = mix(np.arange(1, 2 * PERMUTATIONS + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
_FACTORS = _SEEDS[:PERMUTATIONS] | np.uint64(1)
_OFFSETS = _SEEDS[PERMUTATIONS:]


def found(similarity: float) -> float:
    """Probability that two texts of this Jaccard similarity share a band: the S-curve.

    >>> [round(found(s), 4) for s in (0.2, 0.3, 0.5, 0.7, 0.78, 0.9)]
    [0.0253, 0.122, 0.6439, 0.9876, 0.9994, 1.0]
    """
    return 1 - (1 - similarity**ROWS) ** BANDS


def bands(shingled: Shingled, salts: Numbers) -> Numbers:
    """Keys of each text's bands, shape (texts, BANDS); texts of different ``salts`` never share one.

    Every text must have a shingle.
    """
    if not len(shingled.counts):
        return np.empty((0, BANDS), np.uint64)
    starts = np.concatenate(([0], np.cumsum(shingled.counts)[:-1]))
    shingles = mix(shingled.hashes.astype(np.uint64))
    keys = np.empty((len(shingled.counts), BANDS), np.uint64)
    for band in range(BANDS):
        key = mix(salts + np.uint64(band))
        for row in range(band * ROWS, (band + 1) * ROWS):
            # The high bits of a·x + b are a permutation good enough (Dietzfelbinger et al. 1997).
            smallest = np.minimum.reduceat(shingles * _FACTORS[row] + _OFFSETS[row], starts)
            key = mix(key ^ smallest)
        keys[:, band] = key
    return keys
