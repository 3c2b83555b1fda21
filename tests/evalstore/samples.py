"""Cases and their company, as the tests of the store need them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from detectors.log_histogram import LogHistogram
from schemas.case import CaseReason, EvalCase
from schemas.dead_letter import DeadLetter, Refusal
from schemas.identity import Coordinates, case_id, derive
from schemas.incident import Incident, IncidentState
from schemas.signal import Recovery, RollingReport, Severity, Signal, SignalName, WindowStat

WIDTH_MS = 300_000
MARCH = 1_772_323_200_000
"""2026-03-01T00:00:00Z"""


def make_case(number: int, *reasons: CaseReason, event: str = "", **changes: Any) -> EvalCase:
    """Case ``number`` of app ``shop``; other ``event``s of it are other events of the same case."""
    trace_id = f"trace-{number}"
    question = f"How long may I keep order {number}?"
    trace = {
        "trace_id": trace_id,
        "question": question,
        "answer": "For ever.",
        "contexts": [{"id": "policy", "text": "30 days.", "score": 0.5}, "No returns of opened software."],
        "model": "m-1",
        "served_model": "m-1-0301",
        "prompt_version": "p7",
        "scores": {"faithfulness": 0.2},
    }
    values: dict[str, Any] = {
        "case_id": case_id("shop", trace_id),
        "event_id": derive("case-event", trace_id, event),
        "app": "shop",
        "environment": "production",
        "route": "chat",
        "trace_id": trace_id,
        "time": MARCH + number * 60_000,
        "reasons": reasons or (CaseReason.LOW_SCORE,),
        "trace": trace,
        "trace_at": Coordinates("life", "traces", 1, number),
        "content_hash": hashlib.sha256(question.encode()).hexdigest(),
        "replayable": True,
    }
    return EvalCase(**(values | changes))


def make_signal(number: int) -> Signal:
    return Signal(
        id=derive("signal", number),
        app="shop",
        environment="production",
        route="chat",
        signal=SignalName.FAITHFULNESS,
        rule="faithfulness-drop",
        severity=Severity.P2,
        pages=True,
        direction="down",
        onset=MARCH,
        detected_at=MARCH + number,
        baseline=0.9,
        value=0.6,
        n=40,
        reason="the mean fell",
    )


def make_window(part: int, total: float, **changes: Any) -> WindowStat:
    """A part of the first window of March: four requests, one of them without a price."""
    values: dict[str, Any] = {
        "app": "shop",
        "environment": "production",
        "route": "chat",
        "signal": SignalName.COST,
        "start": MARCH,
        "end": MARCH + WIDTH_MS,
        "n": 4,
        "total": total,
        "unmeasured": 1,
        "part": part,
        "histogram": amounts([total / 4] * 4),
    }
    return WindowStat(**(values | changes))


def amounts(values: Sequence[float]) -> tuple[int, ...]:
    """The packed histogram of some amounts."""
    histogram = LogHistogram()
    histogram.extend(values)
    return tuple(histogram.state())


def make_report(partition: int, position: int, traces: int) -> RollingReport:
    counters = {"shop": {"traces": traces, "late": 1}, "desk": {"traces": 1}}
    return RollingReport(partition=partition, position=position, watermark=MARCH, counters=counters)


def make_incident(revision: int, state: IncidentState = IncidentState.FIRING, number: int = 0) -> Incident:
    return Incident(
        id=derive("incident", number),
        app="shop",
        environment="production",
        route="chat",
        signal=SignalName.FAITHFULNESS,
        rule="faithfulness-drop",
        severity=Severity.P1,
        state=state,
        onset=MARCH,
        detected_at=MARCH + 1,
        baseline=0.9,
        value=0.6,
        n=40,
        revision=revision,
    )


def make_letter(offset: int, topic: str = "traces") -> DeadLetter:
    at = Coordinates("life", topic, 0, offset)
    return DeadLetter(
        id=DeadLetter.id_of(at),
        reason=Refusal.BAD_JSON,
        message="not JSON",
        at=at,
        broker_time=MARCH,
        size=1,
        sha256=hashlib.sha256(b"{").hexdigest(),
        original="{",
    )


def make_recovery(number: int) -> Recovery:
    return Recovery(
        id=f"recovery-{number}",
        alarm_id=f"signal-{number}",
        app="shop",
        environment="prod",
        route="chat",
        signal=SignalName.FAITHFULNESS,
        rule="faithfulness_drop",
        since=1_000_000,
        detected_at=1_000_500,
        baseline=0.88,
        bound=0.85,
        value=0.9,
        n=300,
        reason="the mean score is back",
    )


def as_written(app: str, text: str) -> str:
    """The privacy policy that lets everything in."""
    return text
