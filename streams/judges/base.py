"""The port of all scorers: text in, a verdict out, never an exception for a bad answer.

A verdict is a number or a reason why there is none. Which scorer gave it is part of every score,
because scores of different scorers live on different scales.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.score import Claim, Score, ScoreRequest, ScoreResult, Unscored, UnscoredReason

log = logging.getLogger(__name__)

MAX_CLAIMS = 200
"""Claims that a score carries: with the next bound, a score stays far below the largest message."""
MAX_CLAIM_CHARACTERS = 1000


class Scored(NamedTuple):
    """``value`` in [0, 1], higher is better; ``low`` is the scorer's own verdict that the answer failed."""

    value: float
    low: bool
    reason: str
    claims: tuple[Claim, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0


class NotScored(NamedTuple):
    """Why there is no number. ``detail`` never holds text of the answer: it goes to logs and pages."""

    reason: UnscoredReason
    detail: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


Verdict = Scored | NotScored


class Scorer(Protocol):
    """Judges whether an answer is supported by the passages that it was given.

    ``score`` is called through ``assess``, so question, answer and contexts are never blank. It may be
    called many times at once and bounds its own concurrency. ``close`` ends what it holds open.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Changes whenever the same answer could get another number: scores of two versions don't mix."""

    async def score(self, question: str, answer: str, contexts: Sequence[str]) -> Verdict: ...

    async def close(self) -> None: ...


def blank(question: str | None, answer: str | None, contexts: Sequence[str]) -> NotScored | None:
    """Why there is nothing to judge, or None. The only place that decides this, for every scorer.

    >>> blank("Why?", " \\n", ["because"]).reason
    <UnscoredReason.NO_ANSWER: 'no_answer'>
    >>> blank("Why?", "So.", ["", " "]).reason
    <UnscoredReason.NO_CONTEXTS: 'no_contexts'>
    """
    if question is None or not question.strip():
        return NotScored(UnscoredReason.NO_QUESTION, "question: is empty")
    if answer is None or not answer.strip():
        return NotScored(UnscoredReason.NO_ANSWER, "answer: is empty")
    if not any(context.strip() for context in contexts):
        return NotScored(UnscoredReason.NO_CONTEXTS, "contexts: hold no text")
    return None


async def assess(
    scorer: Scorer, question: str | None, answer: str | None, contexts: Sequence[str]
) -> Verdict:
    """The scorer's verdict on one answer; whatever goes wrong with it is a reason, never an exception."""
    if (nothing := blank(question, answer, contexts)) is not None:
        return nothing
    assert question is not None
    assert answer is not None
    try:
        return await scorer.score(question, answer, [context for context in contexts if context.strip()])
    except Exception as error:
        # Only the type: the message of a foreign exception may quote the answer.
        log.error("scorer %s failed with %s on one answer", scorer.name, type(error).__name__)
        log.debug("the failure in full", exc_info=True)
        return NotScored(UnscoredReason.FAILED, type(error).__name__)


def result(request: ScoreRequest, scorer: str, version: str, verdict: Verdict) -> ScoreResult:
    """The verdict as it goes on the wire, under the request's identity."""
    if isinstance(verdict, NotScored):
        return Unscored(
            trace_id=request.trace_id,
            app=request.app,
            scorer=scorer,
            scorer_version=version,
            reason=verdict.reason,
            detail=verdict.detail,
            input_tokens=verdict.input_tokens,
            output_tokens=verdict.output_tokens,
        )
    return Score(
        trace_id=request.trace_id,
        app=request.app,
        scorer=scorer,
        scorer_version=version,
        value=verdict.value,
        low=verdict.low,
        reason=verdict.reason,
        claims=verdict.claims,
        input_tokens=verdict.input_tokens,
        output_tokens=verdict.output_tokens,
    )


def claim(statement: str, supported: bool, reason: str = "") -> Claim:
    """A claim whose texts are cut to a bounded length."""
    limit = MAX_CLAIM_CHARACTERS
    return Claim(statement=statement[:limit], supported=supported, reason=reason[:limit])
