"""How much of a sentence stands in the passages: the features of the offline scorer, all lexical."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from streams.judges.text import normal, sentences, token, words
from streams.judges.vocabulary import STOP_WORDS

MAX_WINDOWS = 2_000
"""Context sentences that are compared one by one; words and bigrams are looked up in all of them."""
NEGATION = re.compile(r"\b(?:not|no|never|none|cannot|nor|neither)\b|n't\b", re.IGNORECASE)
REFUSAL = re.compile(
    r"""\b(?:
        (?:can(?:not|'t|\ not)|could\ not|couldn't|unable\ to)\s(?:\w+\s){0,2}?
        (?:answer|determine|provide|tell|say|find)
      | (?:passages?|contexts?|texts?|documents?|sources?|articles?|information)\s(?:\w+\s){0,3}?
        (?:do(?:es)?\ not|do(?:es)?n't|did\ not|didn't)\s(?:\w+\s){0,2}?
        (?:answer|mention|provide|specify|contain|include|say|state|give|address|indicate|discuss)
      | not\s(?:\w+\s)?(?:mentioned|provided|specified|stated|enough\ information|sufficient\ information)
      | (?:don't|do\ not)\sknow
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""A sentence that says that the passages don't say: it claims nothing that they would have to hold."""


class Support(NamedTuple):
    """What the passages hold of one sentence. Shares are of its content words (or bigrams), in [0, 1].

    ``best`` is the largest share found in one context sentence and its predecessor, ``found`` in all
    passages and the question together. The counts are of distinct words found nowhere: all, those with
    digits, and those capitalised within the sentence. ``negated``: the sentence negates and its best
    context sentence does not, or the other way round.
    """

    sentence: str
    content: int
    best: float
    found: float
    bigrams: float
    novel: int
    novel_numbers: int
    novel_names: int
    negated: bool
    refusal: bool


class Passages:
    """The passages and the question of one answer, indexed once for all its sentences."""

    def __init__(self, question: str, contexts: Sequence[str]) -> None:
        self.known = {token(word) for word in words(normal(question))}
        self.bigrams: set[tuple[str, str]] = set()
        self.holders: defaultdict[str, list[int]] = defaultdict(list)
        self.negations: list[bool] = []
        for context in contexts:
            text = normal(context)
            tokens = [token(word) for word in words(text)]
            self.known.update(tokens)
            self.bigrams.update(pairwise(tokens))
            self._index_sentences(text)

    def _index_sentences(self, text: str) -> None:
        """Note which windows, of a sentence and its predecessor, hold each content word."""
        before: set[str] = set()
        for sentence in sentences(text):
            window = len(self.negations)
            if window >= MAX_WINDOWS:
                return
            here = {token(word) for word in words(sentence)} - STOP_WORDS
            for word in here | before:
                self.holders[word].append(window)
            self.negations.append(NEGATION.search(sentence) is not None)
            before = here

    def support(self, sentence: str) -> Support | None:
        """What the passages hold of ``sentence``, a normal text; None if it has no content word at all."""
        written = words(sentence)
        tokens = [token(word) for word in written]
        content = [word for word in tokens if word not in STOP_WORDS]
        if not content:
            return None
        distinct = set(content)
        novel = distinct - self.known
        names = {
            tokens[place]
            for place, word in enumerate(written)
            if place and word[0].isupper() and tokens[place] in novel
        }
        hits = Counter(window for word in distinct for window in self.holders.get(word, ()))
        # The first of equals, whatever the order of the set was: the same answer gets the same number.
        nearest = min(hits, key=lambda window: (-hits[window], window), default=None)
        best = hits[nearest] / len(distinct) if nearest is not None else 0.0
        found = sum(word in self.known for word in content) / len(content)
        pairs = list(pairwise(tokens))
        negates = NEGATION.search(sentence) is not None
        return Support(
            sentence=sentence,
            content=len(content),
            best=best,
            found=found,
            bigrams=sum(pair in self.bigrams for pair in pairs) / len(pairs) if pairs else found,
            novel=len(novel),
            novel_numbers=sum(word[0].isdigit() for word in novel),
            novel_names=len(names),
            negated=nearest is not None and best > 0.5 and negates != self.negations[nearest],
            refusal=REFUSAL.search(sentence) is not None,
        )
