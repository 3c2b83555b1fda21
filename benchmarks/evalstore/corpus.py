"""Cases that differ, and planted near-duplicates of some of them.

Half of the questions are words drawn by Zipf's law; the other half are put together from three of 600 phrases
and a few words of their own, as people's questions share their phrases: by chance they have a Jaccard
similarity of up to a half. Nothing here looks at shingles, so the corpus does not know what it tests.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from schemas.case import CaseReason, CaseRequest
from schemas.identity import case_id

WORDS = 30_000
PHRASES = 600
LETTERS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "ch", "st")
START = 1_772_323_200_000


class Change(StrEnum):
    WORD = "a word"
    CASE = "case"
    PUNCTUATION = "punctuation"
    SPACE = "white space"
    ALL = "all four"


class Trace(NamedTuple):
    trace_id: str
    question: str
    answer: str | None


class Corpus(NamedTuple):
    """``pairs``: trace ids of each planted pair, and how its second was changed."""

    traces: list[Trace]
    pairs: list[tuple[str, str, Change]]


def corpus(cases: int, pairs: int, seed: int) -> Corpus:
    """``cases`` traces in random order, of which ``pairs`` are a changed copy of another."""
    chance = random.Random(seed)
    words = _words(chance)
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(WORDS)))

    def some(count: int) -> list[str]:
        return chance.choices(words, cum_weights=weights, k=count)

    phrases = [" ".join(some(chance.randint(3, 6))) for _ in range(PHRASES)]
    traces = []
    for number in range(cases - pairs):
        if number % 2:
            question = " ".join([*chance.sample(phrases, 3), *some(chance.randint(6, 14))])
        else:
            question = " ".join(some(chance.randint(15, 40)))
        answer = None if number % 4 == 0 else " ".join(some(chance.randint(5, 60)))
        traces.append(Trace(f"trace-{number}", f"{question[:1].upper()}{question[1:]}?", answer))
    planted = []
    for number, original in enumerate(chance.sample(traces, pairs)):
        change = list(Change)[number % len(Change)]
        twin = f"twin-{number}"
        traces.append(Trace(twin, CHANGES[change](chance, original.question, words), original.answer))
        planted.append((original.trace_id, twin, change))
    chance.shuffle(traces)
    return Corpus(traces, planted)


def _words(chance: random.Random) -> list[str]:
    made: dict[str, None] = {}
    while len(made) < WORDS:
        made[
            "".join(chance.choice(LETTERS) + chance.choice("aeiou") for _ in range(chance.randint(1, 4)))
        ] = None
    return list(made)


def _word(chance: random.Random, text: str, words: list[str]) -> str:
    found = text.split(" ")
    found[chance.randrange(len(found))] = chance.choice(words)
    return " ".join(found)


def _case(chance: random.Random, text: str, words: list[str]) -> str:
    return chance.choice([text.upper(), text.lower(), text.title(), text.swapcase()])


def _punctuation(chance: random.Random, text: str, words: list[str]) -> str:
    found = [word + chance.choice(["", "", ",", ";", " –", "…"]) for word in text.rstrip("?").split(" ")]
    return f"“{' '.join(found)}”" + chance.choice(["", "!", "??", "."])


def _space(chance: random.Random, text: str, words: list[str]) -> str:
    return "".join(chance.choice(["  ", "\n", "\t", " ", "\u00a0"]) if c == " " else c for c in text) + " "


def _all(chance: random.Random, text: str, words: list[str]) -> str:
    for change in (_word, _case, _punctuation, _space):
        text = change(chance, text, words)
    return text


CHANGES: dict[Change, Callable[[random.Random, str, list[str]], str]] = {
    Change.WORD: _word,
    Change.CASE: _case,
    Change.PUNCTUATION: _punctuation,
    Change.SPACE: _space,
    Change.ALL: _all,
}


def requests(
    traces: list[Trace], seed: int, passages: int = 4
) -> Iterator[tuple[CaseRequest, dict[str, object]]]:
    """What harvest is given: a claim check, and the application's event with passages of 80 words."""
    chance = random.Random(seed)
    words = _words(chance)
    known = [" ".join(chance.choices(words, k=80)) for _ in range(2_000)]
    for number, trace in enumerate(traces):
        request = CaseRequest(
            case_id=case_id("shop", trace.trace_id),
            event_id=f"event-{trace.trace_id}",
            app="shop",
            environment="production",
            route="chat",
            trace_id=trace.trace_id,
            time=START + number * 1_000,
            reasons=(CaseReason.LOW_SCORE,),
        )
        event: dict[str, object] = {
            "trace_id": trace.trace_id,
            "question": trace.question,
            "model": "m-1",
            "prompt_version": "p-7",
            "contexts": [
                {"id": f"d-{n}", "text": chance.choice(known), "score": 0.5} for n in range(passages)
            ],
            "user_id": f"u-{number % 999}",
        }
        if trace.answer is not None:
            event["answer"] = trace.answer
        yield request, event
