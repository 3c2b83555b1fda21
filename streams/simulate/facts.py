"""A fact, as a passage says it, as people ask for it, and as answers repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import NamedTuple


class Fact(NamedTuple):
    """``answers`` are sentences that the passage supports; ``about`` is what the fact is a fact of."""

    id: str
    about: str
    passage: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


class Card(NamedTuple):
    """A fact with its particulars left out, as ``{names}`` in braces."""

    slug: str
    passage: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]

    def fact(self, id: str, about: str, words: Mapping[str, object]) -> Fact:
        """
        >>> (card,) = cards("price\\n= It costs {n} euros.\\n? How much?\\n! {n} euros.")
        >>> card.fact("price", "tea", {"n": 3}).passage
        'It costs 3 euros.'
        """
        return Fact(
            id,
            about,
            self.passage.format_map(words),
            tuple(question.format_map(words) for question in self.questions),
            tuple(answer.format_map(words) for answer in self.answers),
        )


def cards(text: str) -> tuple[Card, ...]:
    """Cards written as text: a name alone on its line, then ``=`` passage, ``?`` questions, ``!`` answers.

    A line that begins otherwise and is indented goes on with the one before.
    """
    found: list[tuple[str, dict[str, list[str]]]] = []
    pieces: list[str] = []
    for line in text.strip().splitlines():
        mark, _, rest = line.partition(" ")
        if line and line[0] not in "=?! ":
            found.append((line.strip(), {"=": [], "?": [], "!": []}))
        elif mark:
            pieces = found[-1][1][mark]
            pieces.append(rest)
        elif line:
            pieces[-1] += " " + line.strip()
    return tuple(Card(name, p["="][0], tuple(p["?"]), tuple(p["!"])) for name, p in found)


class Retrieved(NamedTuple):
    """A fact and the passages that a search for it brings, the right one mostly first."""

    fact: Fact
    contexts: list[dict[str, object]]


def retrieve(question: str, fact: Fact, neighbours: tuple[Fact, ...], most: int = 3) -> Retrieved:
    """The fact's passage among those of its neighbours, with the scores of a search.

    The same question finds the same passages with the same scores, as a search without chance would:
    so a failure that comes back is the same failure again.
    """
    rng = Random(f"{fact.id} {question}")
    others = rng.sample([other for other in neighbours if other.id != fact.id], rng.randint(1, most - 1))
    found = [fact, *others]
    if rng.random() < 0.2:
        found[0], found[1] = found[1], found[0]
    score = 0.95 - 0.12 * rng.random()
    contexts: list[dict[str, object]] = []
    for one in found:
        contexts.append({"id": one.id, "text": one.passage, "score": round(score, 3)})
        score -= 0.03 + 0.1 * rng.random()
    return Retrieved(fact, contexts)
