"""A failing trace on its way to the eval store: asked for by its coordinates, then whole."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from schemas.base import WIRE_VERSION, Record
from schemas.identity import Coordinates, derive


class CaseReason(StrEnum):
    """Why a trace is a failing case. One trace may collect several."""

    LOW_SCORE = "low_score"
    ESCALATION = "escalation"
    CORRECTION = "correction"
    NEGATIVE_FEEDBACK = "negative_feedback"
    ABANDONED = "abandoned"
    BAD_CITATION = "bad_citation"
    UNSAFE = "unsafe"
    HIGH_COST = "high_cost"
    SCHEMA_BREAK = "schema_break"
    EMPTY_ANSWER = "empty_answer"
    ERROR = "error"
    FAILED_TASK = "failed_task"


class CaseRequest(Record):
    """A claim check: the trace's coordinates instead of the trace, and why it is wanted.

    ``event_at`` leads to the feedback or score that gave the reason (None: the trace itself did).
    ``event_id`` is derived, so that a repeated request writes nothing new.
    """

    v: int = WIRE_VERSION
    case_id: str
    event_id: str
    app: str
    environment: str
    route: str
    trace_id: str
    time: int
    reasons: tuple[CaseReason, ...]
    trace_at: Coordinates | None = None
    event_at: Coordinates | None = None
    score: float | None = None
    scorer: str | None = None
    cost: float | None = None
    price_status: str | None = None

    @staticmethod
    def event_id_of(case: str, reasons: tuple[CaseReason, ...], at: Coordinates | None) -> str:
        return derive("case-event", case, ",".join(reasons), *(at or ()))


class EvalCase(Record):
    """A failing trace, whole: what was asked, retrieved and answered, and why it failed.

    ``trace`` is the application's event after redaction, with every field it had; None means that
    Kafka no longer holds it, and ``missing`` says so. ``replayable`` is whether question,
    passages (if there were any) and model are all there. Contexts stay byte for byte what the
    application sent; elsewhere redaction may have replaced something, which ``redactions`` counts.
    """

    v: int = WIRE_VERSION
    case_id: str
    event_id: str
    app: str
    environment: str
    route: str
    trace_id: str
    time: int
    reasons: tuple[CaseReason, ...]
    trace: dict[str, Any] | None = None
    trace_at: Coordinates | None = None
    feedback: dict[str, Any] | None = None
    score: dict[str, Any] | None = None
    expected_answer: str | None = None
    cost: float | None = None
    price_status: str | None = None
    content_hash: str
    replayable: bool
    missing: tuple[str, ...] = ()
    redactions: int = 0
