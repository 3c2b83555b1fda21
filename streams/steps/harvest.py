"""Harvest's step: a claim check and what it fetched become a whole case and its preview."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from schemas.case import CaseRequest, EvalCase
from schemas.codec import Element, Refused, encode, split
from schemas.incident import CasePreview
from schemas.topics import OWN_MESSAGE_BYTES, ROOM_BYTES, SCORES
from streams.steps.privacy import WITHHELD, Privacy, kept, redacted
from streams.steps.redact import Redactor

EXCERPT = 300
"""Characters of a preview's excerpt."""
MAX_BYTES = OWN_MESSAGE_BYTES - ROOM_BYTES
"""Of a case on the wire, where nobody has set another limit."""
SHEDDABLE = ("score", "feedback", "expected_answer", "trace")
"""What a case too large for a message loses: the first of these that is enough; if none is, the last."""


class Harvested(NamedTuple):
    case: EvalCase
    preview: CasePreview


def elements_of(value: bytes | None) -> list[Element | Refused]:
    """The elements of a fetched message; none of one that is gone.

    Reads the whole message, which may hold thousands of events: ask once for all that are wanted of it.
    """
    return [] if value is None else split(value, max_event_bytes=len(value))


def element_at(elements: Sequence[Element | Refused], index: int) -> dict[str, Any] | None:
    """The event at ``index`` of a message's elements; None where it is not there any more."""
    found = elements[index] if index < len(elements) else None
    return found.value if isinstance(found, Element) else None


def harvest(
    request: CaseRequest,
    trace: dict[str, Any] | None,
    event: dict[str, Any] | None,
    policy: Privacy = Privacy.REDACTED,
    max_bytes: int = MAX_BYTES,
) -> Harvested:
    """``trace`` is None where Kafka no longer holds it: the case is kept, and says so.

    ``event`` is the feedback or score that gave the reason, None where the trace itself did. ``policy``:
    how much text the case may hold; its preview is redacted under every one, and empty under ids only.
    ``max_bytes`` is the limit of the case on the wire.
    """
    if trace is not None and trace.get("trace_id") != request.trace_id:
        trace = None  # somebody else's record stands there now
    redactor = Redactor()
    clean = None if trace is None else kept(trace, policy, redactor)
    clean_event = None if event is None else kept(event, policy, redactor)
    scored = request.event_at is not None and request.event_at.topic == SCORES.name
    feedback = None if scored else clean_event
    withheld = policy is Privacy.IDS_ONLY
    missing = WITHHELD if withheld and clean is not None else _missing(clean)
    case = EvalCase(
        case_id=request.case_id,
        event_id=request.event_id,
        app=request.app,
        environment=request.environment,
        route=request.route,
        trace_id=request.trace_id,
        time=request.time,
        reasons=request.reasons,
        trace=clean,
        trace_at=request.trace_at,
        feedback=feedback,
        score=clean_event if scored else _own_score(request),
        expected_answer=(feedback or {}).get("corrected_answer"),
        cost=request.cost,
        price_status=request.price_status,
        # A hash of a text that is not kept would still tell who guesses it.
        content_hash=content_hash(request, None if withheld else clean),
        replayable=not missing,
        missing=missing,
        redactions=redactor.count,
    )
    if policy is Privacy.FULL:  # redacted before it is cut: half a card number is none
        clean = clean and redacted(clean, redactor)
        clean_event = clean_event and redacted(clean_event, redactor)
    return Harvested(_fitting(case, max_bytes), _preview(request, clean, clean_event, redactor, withheld))


def _fitting(case: EvalCase, max_bytes: int) -> EvalCase:
    """The case, or as much of it as a message holds: a correction can be as large as its trace.

    What is left out is at the case's coordinates, and ``missing`` says so.
    """
    if _size(case) <= max_bytes:
        return case
    feedback = case.feedback and {name: v for name, v in case.feedback.items() if name != "corrected_answer"}
    case = case.model_copy(update={"feedback": feedback})  # it stands in expected_answer
    while _size(case) > max_bytes:
        present = [name for name in SHEDDABLE if getattr(case, name) is not None]
        if not present:
            break
        lighter = {name: _without(case, name) for name in present}
        enough = [name for name in present if _size(lighter[name]) <= max_bytes]
        case = lighter[enough[0] if enough else present[-1]]
    return case


def _without(case: EvalCase, name: str) -> EvalCase:
    missing = (*case.missing, f"{name}: larger than a message of Gleaner's")
    replayable = case.replayable and name != "trace"
    return case.model_copy(update={name: None, "missing": missing, "replayable": replayable})


def _size(case: EvalCase) -> int:
    return len(encode(case))


def content_hash(request: CaseRequest, trace: dict[str, Any] | None) -> str:
    """Equal for two cases in which the same was asked, retrieved and answered.

    A trace that is gone or has no text is equal to itself alone.
    """
    trace = trace or {}
    content = [trace.get(name) for name in ("question", "messages", "contexts", "answer")]
    if not any(content):
        content = [request.case_id]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _missing(trace: dict[str, Any] | None) -> tuple[str, ...]:
    """What a replay of this case would lack."""
    if trace is None:
        return ("trace: Kafka no longer holds it",)
    missing = []
    if not trace.get("question") and not trace.get("messages"):
        missing.append("question")
    if not trace.get("model"):
        missing.append("model")
    contexts = trace.get("contexts")
    if contexts is None and trace.get("retrieved_docs"):
        missing.append("contexts: only the ids of the passages were published")
    if contexts and any(isinstance(c, dict) and c.get("text") is None for c in contexts):
        missing.append("contexts: a passage has no text")
    return tuple(missing)


def _own_score(request: CaseRequest) -> dict[str, Any] | None:
    if request.score is None:
        return None
    return {"scorer": request.scorer, "value": request.score}


def _preview(
    request: CaseRequest,
    trace: dict[str, Any] | None,
    event: dict[str, Any] | None,
    redactor: Redactor,
    withheld: bool,
) -> CasePreview:
    nothing = "the app's privacy policy keeps ids only" if withheld else "the trace is gone from Kafka"
    excerpt = redactor.text(" · ".join(_parts(request, trace or {}, event or {}))) or nothing
    return CasePreview(
        case_id=request.case_id,
        app=request.app,
        environment=request.environment,
        route=request.route,
        trace_id=request.trace_id,
        time=request.time,
        reasons=tuple(str(reason) for reason in request.reasons),
        score=request.score,
        cost=request.cost,
        excerpt=_cut(excerpt, EXCERPT),
    )


def _parts(request: CaseRequest, trace: dict[str, Any], event: dict[str, Any]) -> list[str]:
    """What somebody reads first of a case: the question, what is wrong with the answer, the answer.

    The answer gives way: what a judge holds against it is why the case is on a page.
    """
    scored = request.event_at is not None and request.event_at.topic == SCORES.name
    unsupported = _unsupported(event) if scored else ""
    said = event.get("comment") or event.get("reason")
    wrong = f"unsupported: {_cut(unsupported, 120)}" if unsupported else ""
    if not unsupported and isinstance(said, str) and said:
        wrong = f"{'scorer' if scored else 'said'}: {_cut(said, 80)}"
    question, answer = trace.get("question"), _after(unsupported, trace.get("answer"))
    asked = f"asked: {_cut(question, 90)}" if question else ""
    room = EXCERPT - sum(len(part) + 3 for part in (asked, wrong) if part) - len("answered: ")
    answered = f"answered: {_cut(answer, min(room, 150))}" if answer else ""
    order = (asked, wrong, answered) if unsupported else (asked, answered, wrong)
    return [part for part in order if part]


def _after(claim: str, answer: object) -> object:
    """An answer that begins with a claim, from there on: nobody reads it twice."""
    begins, flat = " ".join(claim.split()), " ".join(str(answer).split())
    if not begins or not flat.startswith(begins):
        return answer
    rest = flat[len(begins) :].strip()
    return f"… {rest}" if rest else ""


def _unsupported(event: dict[str, Any]) -> str:
    """The first claim of an answer that its scorer found no support for; empty where it names none."""
    claims = event.get("claims")
    for claim in claims if isinstance(claims, list) else ():
        if isinstance(claim, dict) and claim.get("supported") is False:
            statement = claim.get("statement")
            if isinstance(statement, str) and statement.strip():
                return statement
    return ""


def _cut(text: object, limit: int) -> str:
    flat = " ".join(str(text).split())
    return flat if len(flat) <= limit else flat[: limit - 1].rstrip() + "…"
