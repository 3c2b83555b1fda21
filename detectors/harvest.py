"""Which traces are failing cases, and why."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.case import CaseReason
from schemas.observation import Flag, Outcome

REASON_OF_FLAG = (
    (Flag.ERROR, CaseReason.ERROR),
    (Flag.SCHEMA_INVALID, CaseReason.SCHEMA_BREAK),
    (Flag.EMPTY_ANSWER, CaseReason.EMPTY_ANSWER),
    (Flag.POLICY_BLOCKED, CaseReason.UNSAFE),
    (Flag.FAILED, CaseReason.FAILED_TASK),
    (Flag.LOW_RATING, CaseReason.NEGATIVE_FEEDBACK),
    (Flag.MISSING_CITATION, CaseReason.BAD_CITATION),
    (Flag.LOW_SCORE, CaseReason.LOW_SCORE),
)
"""Not among them: an empty retrieval (the index failed, not the answer), a fallback, a truncation and a
refusal (right or wrong only a user, a reviewer or a score can say)."""

REASON_OF_FEEDBACK = {
    "escalation": CaseReason.ESCALATION,
    "correction": CaseReason.CORRECTION,
    "abandoned": CaseReason.ABANDONED,
    "rating": CaseReason.NEGATIVE_FEEDBACK,
    "thumbs": CaseReason.NEGATIVE_FEEDBACK,
    "accepted": CaseReason.NEGATIVE_FEEDBACK,
    "review": CaseReason.NEGATIVE_FEEDBACK,
}
"""Feedback kind to reason, where it is negative. A follow-up is never negative."""

OUTCOME_OF_FEEDBACK = {
    "escalation": Outcome.ESCALATED.value,
    "correction": Outcome.CORRECTED.value,
    "abandoned": Outcome.ABANDONED.value,
    "rating": Outcome.DISLIKED.value,
    "thumbs": Outcome.DISLIKED.value,
    "accepted": Outcome.DISLIKED.value,
    "review": Outcome.DISLIKED.value,
}
ORDER = tuple(CaseReason)
FAILING = sum(flag for flag, _ in REASON_OF_FLAG)


def trace_reasons(flags: int, cost_outlier: bool = False) -> tuple[CaseReason, ...]:
    """Why a trace is a case by itself: its :class:`~schemas.observation.Flag` bits, or its own cost.

    >>> [reason.value for reason in trace_reasons(Flag.ERROR | Flag.EMPTY_ANSWER, cost_outlier=True)]
    ['high_cost', 'empty_answer', 'error']
    >>> trace_reasons(Flag.REFUSED | Flag.EMPTY_RETRIEVAL)
    ()
    """
    if not flags & FAILING:
        return (CaseReason.HIGH_COST,) if cost_outlier else ()
    reasons = [reason for flag, reason in REASON_OF_FLAG if flags & flag]
    return in_order([*reasons, CaseReason.HIGH_COST] if cost_outlier else reasons)


def feedback_reason(kind: str, negative: bool) -> CaseReason | None:
    """Why feedback makes its trace a case; ``negative`` as ``FeedbackEvent.negative`` says.

    >>> feedback_reason("correction", True), feedback_reason("thumbs", False)
    (<CaseReason.CORRECTION: 'correction'>, None)
    """
    return REASON_OF_FEEDBACK.get(kind) if negative else None


def feedback_outcome(kind: str, negative: bool) -> int:
    """What feedback says of its conversation: an :class:`~schemas.observation.Outcome`, or 0."""
    return OUTCOME_OF_FEEDBACK.get(kind, 0) if negative else 0


def score_reason(low: bool) -> CaseReason | None:
    """Why a score makes its trace a case: its scorer's own verdict, never a floor across scorers."""
    return CaseReason.LOW_SCORE if low else None


def in_order(reasons: Iterable[CaseReason]) -> tuple[CaseReason, ...]:
    """Each reason once, in the fixed order of ``CaseReason``."""
    given = set(reasons)
    return tuple([reason for reason in ORDER if reason in given])
