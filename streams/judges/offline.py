"""The scorer without a model: how far the words of an answer are those of its passages.

It ranks answers and shows drift; it does not understand them. Its scale is its own: half of the good
answers of the sample stand below 0.42, so its numbers are compared with themselves and never with a judge's.
``docs/scoring.md`` has what it was measured to be worth, and the command that measures it again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from schemas.score import ScoreRequest, ScoreResult, UnscoredReason
from streams.judges.base import MAX_CLAIMS, NotScored, Scored, Verdict, blank, claim, result
from streams.judges.overlap import Passages, Support
from streams.judges.text import normal, sentences

NAME = "offline_groundedness"
VERSION = "1"
"""Rises with every change that could move a number, the floor included."""

FLOOR = 0.18
"""An answer below this is ``low``. Rule: the 20th percentile of the RAGTruth training sample's QA answers.

Three in four of those flagged do hold a hallucination there, where 41 % of all answers do; where
hallucinations are rarer, the flag is right less often. It makes cases; it pages nobody by itself.
"""
SENTENCE_FLOOR = 0.4
"""A sentence with less support than this is reported as an unsupported claim."""
NOVELTY_SCALE = 15.0
"""Words found nowhere that halve an answer's value."""
MAX_SENTENCES = 200
"""Sentences of an answer that are read; where an answer has more, the reason says so."""


def supported(part: Support) -> float:
    """Support of one sentence in [0, 1]; a sentence that only says that the passages don't say has 1."""
    if part.refusal:
        return 1.0
    overlap = 0.5 * part.best + 0.25 * part.found + 0.25 * part.bigrams
    penalty = 0.08 * part.novel_numbers + 0.05 * part.novel_names + 0.05 * part.negated
    return min(1.0, max(0.0, overlap - penalty))


def novelty(part: Support) -> int:
    """Words of a sentence that are found nowhere; numbers and names count twice, refusals not at all."""
    return 0 if part.refusal else part.novel + part.novel_numbers + part.novel_names


def groundedness(parts: Sequence[Support]) -> float:
    """Mean support of the sentences by content words, shrunk by the words of the answer found nowhere.

    The mean alone forgives one invented sentence among twenty good ones; the number of new words does
    not, which is why the value also falls with the length of an answer.
    """
    support = sum(part.content * supported(part) for part in parts) / sum(part.content for part in parts)
    return support * NOVELTY_SCALE / (NOVELTY_SCALE + sum(map(novelty, parts)))


def verdict_of(question: str, answer: str, contexts: Sequence[str]) -> Verdict:
    """The verdict on an answer that is not blank: a pure function, the same on every machine.

    Misleads on paraphrase (true, in other words: too low), on copied words in a wrong relation (too
    high), on answers in another language than the passages, on summaries (it hardly ranks them), and
    on an application that begins to refuse: refusals are faithful.

    >>> verdict_of("Where?", "The tower stands in Paris.", ["The tower stands in Paris, France."]).value
    1.0
    >>> verdict_of("Where?", "Yes.", ["The tower stands in Paris."]).reason
    <UnscoredReason.NO_STATEMENTS: 'no_statements'>
    """
    passages = Passages(question, contexts)
    pieces = sentences(normal(answer))
    parts = [part for piece in pieces[:MAX_SENTENCES] if (part := passages.support(piece)) is not None]
    if not parts:
        return NotScored(UnscoredReason.NO_STATEMENTS, "the answer has no word that could be looked up")
    value = groundedness(parts)
    claims = tuple(
        claim(part.sentence, supported(part) >= SENTENCE_FLOOR, _why(part)) for part in parts[:MAX_CLAIMS]
    )
    return Scored(round(value, 6), value < FLOOR, _summary(parts, len(pieces)), claims)


def _why(part: Support) -> str:
    if part.refusal:
        return "says that the passages do not say"
    missing = f", {part.novel} words found nowhere" if part.novel else ""
    negation = ", negated otherwise than its nearest sentence" if part.negated else ""
    return f"overlap {supported(part):.2f}{missing}{negation}"


def _summary(parts: Sequence[Support], pieces: int) -> str:
    weak = sum(supported(part) < SENTENCE_FLOOR for part in parts)
    told = f"{weak} of {len(parts)} sentences with little support"
    novel = sum(part.novel for part in parts if not part.refusal)
    numbers = sum(part.novel_numbers for part in parts if not part.refusal)
    told += f", {novel} words found nowhere ({numbers} with digits)" if novel else ""
    unread = f"; only the first {MAX_SENTENCES} of {pieces} were read" if pieces > MAX_SENTENCES else ""
    return told + unread


class OfflineScorer:
    """``verdict_of`` behind the port. It costs no tokens, needs no network and never fails."""

    name = NAME
    version = VERSION

    async def score(self, question: str, answer: str, contexts: Sequence[str]) -> Verdict:
        # In a thread: a long answer takes tens of milliseconds, and the consumer's heartbeats go on.
        return await asyncio.to_thread(verdict_of, question, answer, contexts)

    async def close(self) -> None:
        return None


def score_request_now(request: ScoreRequest) -> ScoreResult:
    """What the judge role with the offline scorer would send for ``request``: for replay and backtest."""
    nothing = blank(request.question, request.answer, request.contexts)
    if nothing is not None or request.question is None or request.answer is None:
        return result(request, NAME, VERSION, nothing or NotScored(UnscoredReason.NO_ANSWER))
    contexts = [context for context in request.contexts if context.strip()]
    return result(request, NAME, VERSION, verdict_of(request.question, request.answer, contexts))
