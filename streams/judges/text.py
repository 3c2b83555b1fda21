"""Text to sentences, words and tokens for the offline scorer: standard library, no model, no language data.

Made for English. Other alphabets work less well (no stop words, no stems); scripts that put no space
between words are read character by character, so that overlap still means something there.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from streams.judges.vocabulary import NUMBER_WORDS, STOP_WORDS, SUFFIXES

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff"
"""Thai, Lao, Burmese, kana and Han: one character is one token."""
WORD = re.compile(
    r"\d{1,32}(?:[.,:/]\d{1,32}){0,8}"
    rf"|[{UNSPACED}]"
    rf"|[^\W\d_{UNSPACED}]{{1,64}}(?:'[^\W\d_{UNSPACED}]{{1,64}})?"
)
"""Lengths are bounded, so that a megabyte without a space is not one word to remember."""
SENTENCE_END = re.compile(
    r"(?<=[.!?])[\"')\]]{0,3}\s+(?=[\"'(\[*]{0,3}(?:[^\W\d_a-zß-öø-ÿ]|\d))|(?<=[。！？])|[\r\n]+"
)
LIST_MARKER = re.compile(r"(?:[-*•·]{1,3}|\(?\d{1,2}[.)])\s+")
"""The bullet or number of a list item, which claims nothing."""
QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "⁄": "/"})
REMEMBERED = 1 << 16
"""Words whose token is remembered: a memory of speed alone, about 10 MB when full."""


def stem(word: str) -> str:
    """A lower-case word without its inflection, by a short list of English suffixes; three letters stay.

    >>> stem("grilling"), stem("grills"), stem("grilled"), stem("gas")
    ('grill', 'grill', 'grill', 'gas')
    """
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word[: -len(suffix)]
            break
    doubled = len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls"
    return word[:-1] if doubled else word


def normal(text: str) -> str:
    """Compatibility forms and curly quotes folded; ASCII, the usual case, is returned as it is.

    >>> normal("１½ cups, “mixed”")
    '11/2 cups, "mixed"'
    """
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(QUOTES)


def words(text: str) -> list[str]:
    """The words of a normal text as they are written, numbers kept whole.

    >>> words("Dr. Wu's 3.5 % of 1,200")
    ['Dr', "Wu's", '3.5', 'of', '1,200']
    """
    return WORD.findall(text)


@lru_cache(REMEMBERED)
def token(word: str) -> str:
    """A word as it is compared: lower case, without possessive and inflection, number words as digits.

    >>> [token(word) for word in ("Seven", "1,200", "Wu's", "the")]
    ['7', '1200', 'wu', 'the']
    """
    if word[0].isdigit():
        return word.replace(",", "")
    lower = word.lower()
    if lower in STOP_WORDS:
        return lower
    lower = lower.removesuffix("'s")
    return NUMBER_WORDS.get(lower) or stem(lower)


def sentences(text: str) -> list[str]:
    """Sentences and lines of a normal text, without list markers; a piece without any word is dropped.

    >>> sentences("It rose 3.5 %. Then it fell.\\n- Prices too\\n---")
    ['It rose 3.5 %.', 'Then it fell.', 'Prices too']
    """
    pieces = (piece.strip() for piece in SENTENCE_END.split(text))
    bare = (piece[marker.end() :] if (marker := LIST_MARKER.match(piece)) else piece for piece in pieces)
    return [piece for piece in bare if WORD.search(piece)]
