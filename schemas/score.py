"""What a scorer said of an answer: a number with its scorer's name, or why there is none."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from schemas.base import WIRE_VERSION, Record
from schemas.identity import Coordinates, derive


class UnscoredReason(StrEnum):
    """Why an answer has no score. None of these is ever a zero."""

    NO_QUESTION = "no_question"
    NO_ANSWER = "no_answer"
    NO_CONTEXTS = "no_contexts"
    NO_STATEMENTS = "no_statements"
    COUNT_MISMATCH = "count_mismatch"
    BAD_VERDICT = "bad_verdict"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"
    UNAVAILABLE = "judge_unavailable"
    TIMEOUT = "timeout"
    REJECTED = "judge_rejected"
    """The judge is well, but refuses this very request: too long, or its content filter."""
    FAILED = "scorer_failed"
    """The scorer raised what nobody foresaw; its process log names the type."""
    BUDGET = "budget"
    TOO_LARGE = "too_large"
    """The request fits no message of its topic: ingest says so, and no judge was asked."""
    TRACE_GONE = "trace_gone"


class Claim(Record):
    """One statement of an answer, whether its sources support it, and the scorer's words on why."""

    statement: str
    supported: bool
    reason: str = ""


class Score(Record):
    """Faithfulness of one answer in [0, 1]; higher is better.

    Scores of different scorers live on different scales and are never averaged together.
    ``low`` is the scorer's own verdict that this answer failed (its floor is part of the scorer).
    """

    kind: Literal["score"] = "score"
    v: int = WIRE_VERSION
    trace_id: str
    app: str
    scorer: str
    scorer_version: str
    value: float = Field(ge=0, le=1, allow_inf_nan=False)
    low: bool = False
    reason: str = ""
    claims: tuple[Claim, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0

    def identity(self) -> str:
        return derive("score", self.app, self.trace_id, self.scorer, self.scorer_version)


class Unscored(Record):
    """The answer was not scored, with the reason; it counts in no mean."""

    kind: Literal["unscored"] = "unscored"
    v: int = WIRE_VERSION
    trace_id: str
    app: str
    scorer: str
    scorer_version: str
    reason: UnscoredReason
    detail: str = ""
    input_tokens: int = 0
    output_tokens: int = 0

    def identity(self) -> str:
        return derive("score", self.app, self.trace_id, self.scorer, self.scorer_version)


ScoreResult = Score | Unscored
SCORE_RESULT: TypeAdapter[ScoreResult] = TypeAdapter(Annotated[ScoreResult, Field(discriminator="kind")])


class ScoreRequest(Record):
    """The text of a sampled trace, on its way to the judge, with where the trace stands in the log."""

    v: int = WIRE_VERSION
    app: str
    trace_id: str
    time: int
    at: Coordinates
    question: str | None = None
    answer: str | None = None
    contexts: tuple[str, ...] = ()
