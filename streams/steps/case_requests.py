"""What the owner asks harvest for: a case of a trace, and why."""

from __future__ import annotations

from schemas.case import CaseReason, CaseRequest
from schemas.identity import Coordinates, case_id
from schemas.observation import PriceStatus, Profile, TraceRow
from streams.steps.ledger import Known


def known_of(row: TraceRow, profile: Profile, at: Coordinates) -> Known:
    """What the ledger will know of this trace."""
    return Known(at, row.time, profile.environment, profile.route, row.conversation_id, row.cost, row.price)


def case_request(
    app: str,
    trace_id: str,
    known: Known,
    reasons: tuple[CaseReason, ...],
    event_at: Coordinates | None,
    score: float | None = None,
    scorer: str | None = None,
) -> CaseRequest:
    """``event_at`` is where the feedback or score is that made it a case; None: the trace itself."""
    case = case_id(app, trace_id)
    return CaseRequest(
        case_id=case,
        event_id=CaseRequest.event_id_of(case, reasons, event_at),
        app=app,
        environment=known.environment,
        route=known.route,
        trace_id=trace_id,
        time=known.time,
        reasons=reasons,
        trace_at=known.at,
        event_at=event_at,
        score=score,
        scorer=scorer,
        cost=known.cost,
        price_status=PriceStatus(known.price).name.lower(),
    )


def trace_case(
    app: str, row: TraceRow, profile: Profile, at: Coordinates, reasons: tuple[CaseReason, ...]
) -> CaseRequest:
    """A trace that is a case by itself."""
    score = row.faithfulness
    scorer = None if score is None else "app"
    return case_request(app, row.trace_id, known_of(row, profile, at), reasons, None, score, scorer)
