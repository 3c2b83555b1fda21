"""One incident of each kind, for previews, golden files and documentation."""

from __future__ import annotations

from typing import Any

from schemas.base import parse_time
from schemas.identity import derive
from schemas.incident import CasePreview, Incident, IncidentState, Member, Note
from schemas.lifecycle import Resolution
from schemas.signal import Cause, Severity, SignalName

APP, ENVIRONMENT, ROUTE = "billing-assistant", "production", "/chat"
ONSET = parse_time("2026-03-01T09:05:00Z")
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
MODEL = Cause(dimension="served_model", previous="lumen-2-2026-01", current="lumen-2-2026-02")
BUDGET = "at most 1 false page per 4 weeks"


def _member(signal: SignalName, rule: str, severity: Severity, **rest: Any) -> Member:
    onset, detected_at = rest.pop("onset"), rest.pop("detected_at")
    return Member(
        signal=signal,
        rule=rule,
        severity=severity,
        onset=onset,
        detected_at=detected_at,
        last_at=detected_at,
        signal_id=derive("signal", APP, rule),
        route=ROUTE,
        budget=BUDGET,
        **rest,
    )


FAITHFULNESS = _member(
    SignalName.FAITHFULNESS, "faithfulness_drop", Severity.P2,
    onset=ONSET, onset_from=ONSET - 6 * MINUTE, onset_to=ONSET + 4 * MINUTE,
    detected_at=ONSET + 18 * MINUTE, direction="down", baseline=0.92, baseline_n=5_000,
    value=0.80, peak=0.80, n=188, cause=MODEL.model_copy(update={"share": 0.82, "effect": "within"}),
    ruled_out=("prompt_version", "index_version"),
    examples=("tr-71f3", "tr-7204", "tr-7219"),
    reason=(
        "1 in 5 answers is less than half supported by its sources; the mean score fell from 0.92 to 0.80"
        " over 188 scored answers"
    ),
)  # fmt: skip
ESCALATION = _member(
    SignalName.ESCALATION, "escalation_spike", Severity.P2,
    onset=ONSET + 9 * MINUTE, detected_at=ONSET + 41 * MINUTE, direction="up", baseline=0.039,
    baseline_n=4_200, baseline_note="provisional", value=0.091, peak=0.091, n=412,
    ruled_out=("served_model", "prompt_version"),
    reason=(
        "1 in 11 conversations is handed to a person, normally 1 in 26 (9.1% of 412 conversations,"
        " normally 3.9%)"
    ),
)  # fmt: skip
COST = _member(
    SignalName.COST, "cost_spike", Severity.P3,
    onset=ONSET + 2 * MINUTE, detected_at=ONSET + 26 * MINUTE, direction="up", baseline=0.00527,
    baseline_n=30_000, baseline_note="flat: under 3 days of data", value=0.00794, peak=0.0091, n=640,
    alarms=3, ruled_out=("prompt_version",),
    reason="a request costs $0.00794 on average, normally $0.00527 (640 requests since)",
)  # fmt: skip
NOTE = Note(
    signal_id=derive("signal", APP, "served_model_change"),
    app=APP,
    environment=ENVIRONMENT,
    route=ROUTE,
    rule="served_model_change",
    onset=ONSET - 2 * MINUTE,
    detected_at=ONSET - 2 * MINUTE,
    cause=MODEL,
    reason="lumen-2-2026-02 answers where lumen-2-2026-01 did",
)
CASES = tuple(
    CasePreview(
        case_id=derive("case", APP, trace),
        app=APP,
        environment=ENVIRONMENT,
        route=ROUTE,
        trace_id=trace,
        time=ONSET + minute * MINUTE,
        reasons=("low_score",),
        score=score,
        excerpt=excerpt,
    )
    for trace, minute, score, excerpt in (
        ("tr-71f3", 3, 0.10, "Q: Can I get last month's invoice refunded? A: Yes, refunds take 90 days."),
        ("tr-7204", 7, 0.17, "Q: What does the Team plan cost? A: The Team plan is free for up to 50 seats."),
        ("tr-7219", 12, 0.25, "Q: Who is my account manager? A: Write to [email] and ask for Dana."),
    )
)  # fmt: skip


RECOVERED = tuple(
    member.model_copy(
        update={
            "recovered_at": ONSET + later * MINUTE,
            "recovered_since": ONSET + 42 * MINUTE,
            "recovered_value": back,
            "recovered_n": 160,
            "peak": worst,
        }
    )
    for member, later, back, worst in ((FAITHFULNESS, 64, 0.91, 0.74), (ESCALATION, 70, 0.041, 0.1))
)


def _incident(*members: Member, **rest: Any) -> Incident:
    first = members[0]
    return Incident(
        id=derive("incident", APP, ENVIRONMENT, first.rule, first.signal_id),
        app=APP,
        environment=ENVIRONMENT,
        members=members,
        updated_at=first.detected_at,
        **{"state": IncidentState.FIRING}
        | (
            first.model_dump(
                include={
                    "route", "signal", "rule", "severity", "onset", "onset_from", "onset_to", "detected_at",
                    "baseline", "baseline_n",
                    "baseline_note", "value", "peak", "n", "unit", "direction", "budget", "ruled_out",
                    "reason", "examples",
                }
            )
            | {"cause": first.cause}
            | rest
        ),
    )  # fmt: skip


SAMPLES: dict[str, Incident] = {
    "faithfulness": _incident(
        FAITHFULNESS, ESCALATION, cases=CASES, evidence=(NOTE,), notes=(NOTE.reason,), revision=4
    ),
    "escalation": _incident(ESCALATION),
    "cost": _incident(COST, cause=MODEL, evidence=(NOTE,), notes=(NOTE.reason,)),
    "recovered": _incident(
        *RECOVERED, cases=CASES, evidence=(NOTE,), notes=(NOTE.reason,), revision=9,
        state=IncidentState.RESOLVED, resolution=Resolution.RECOVERED, resolved_at=ONSET + 70 * MINUTE,
        assignee="dana", recurs=2, recurred_at=ONSET - 3 * DAY,
    ),
}  # fmt: skip
"""By what the preview calls them."""
