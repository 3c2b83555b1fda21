"""One incident of each kind, for previews, golden files and documentation."""

from __future__ import annotations

from typing import Any

from schemas.base import parse_time
from schemas.calibration import Calibration
from schemas.identity import derive
from schemas.incident import CasePreview, Incident, IncidentState, Member, Note
from schemas.lifecycle import Explained, Label, Resolution, Stale, StaleKind
from schemas.signal import Cause, Severity, SignalName
from sinks.charts.data import Point

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
    value=0.80, value_from=0.76, value_to=0.84, peak=0.80, n=188, evidence=5.61, threshold=5.45,
    scorer="ragas_faithfulness",
    owner="team-billing", runbook="https://wiki.example/runbooks/faithfulness",
    cause=MODEL.model_copy(update={"share": 0.82, "effect": "within"}),
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
    baseline_n=4_200, baseline_note="provisional", value=0.091, value_from=0.067,
    value_to=0.123, peak=0.091, n=412, evidence=5.2, threshold=5.07,
    ruled_out=("served_model", "prompt_version"),
    reason=(
        "1 in 11 conversations is handed to a person, normally 1 in 26 (9.1% of 412 conversations,"
        " normally 3.9%)"
    ),
)  # fmt: skip
COST = _member(
    SignalName.COST, "cost_spike", Severity.P3,
    onset=ONSET + 2 * MINUTE, detected_at=ONSET + 26 * MINUTE, direction="up", baseline=0.00527,
    baseline_n=30_000, baseline_note="flat: under 3 days of data", value=0.00794,
    value_from=0.0074, value_to=0.00848, peak=0.0091, n=640, evidence=5.9, threshold=5.92,
    alarms=3, ruled_out=("prompt_version",),
    reason="a request costs $0.00794 on average, normally $0.00527 (640 requests since)",
)  # fmt: skip
BROKEN = _member(
    SignalName.BROKEN_OUTPUT, "broken_output", Severity.P1,
    onset=ONSET, onset_from=ONSET - MINUTE, onset_to=ONSET + MINUTE, detected_at=ONSET + 4 * MINUTE,
    direction="up", baseline=0.002, baseline_n=11_000, value=0.31, value_from=0.22, value_to=0.41, peak=0.31,
    n=84, evidence=6.4, threshold=5.9, owner="team-platform",
    cause=Cause(dimension="release", previous="2026.08", current="2026.09", share=0.97, effect="within"),
    ruled_out=("served_model", "prompt_version"),
    action="Roll back to 2026.08 with the deploy bot, then tell #billing.",
    runbook="https://wiki.example/runbooks/broken-output",
    reason="1 in 3 conversations has an answer that breaks its schema, normally 1 in 500 (84 since)",
)  # fmt: skip
JUDGE = _member(
    SignalName.UNSCORED, "judge_out", Severity.P2,
    onset=ONSET, detected_at=ONSET + 6 * MINUTE, direction="up", baseline=0.004, baseline_n=9_000,
    value=0.88, value_from=0.78, value_to=0.94, peak=0.88, n=60, evidence=6.9, threshold=5.5,
    reason="the judge gave no score for 53 of 60 answers since 09:05 UTC, normally for 1 in 250",
)  # fmt: skip
TRAFFIC = _member(
    SignalName.VOLUME, "no_traffic", Severity.P1,
    onset=ONSET, detected_at=ONSET + 11 * MINUTE, direction="down", baseline=1_240.0,
    value=0.0, peak=0.0, n=0, evidence=7.2, threshold=5.3,
    reason="no request for 11 minutes, where 227 are usual at this time of day",
)  # fmt: skip
INDEX = _member(
    SignalName.INDEX_AGE, "index_fresh", Severity.P3,
    onset=ONSET, detected_at=ONSET + MINUTE, direction="up", baseline=24.0, value=31.0, peak=31.0, n=1,
    cause=Cause(dimension="index_version", previous=None, current="kb-2026-02-27"),
    reason="index kb-2026-02-27 still answers, 31 h after it was first seen; the rule allows 24 h",
).model_copy(update={"budget": ""})  # fmt: skip
USER = _member(
    SignalName.USER_BUDGET, "spend_per_user", Severity.P3,
    onset=ONSET, detected_at=ONSET + MINUTE, direction="up", baseline=1.0, value=1.3, peak=1.3, n=412,
    cause=Cause(dimension="user_id", previous=None, current="u-204", share=0.61),
    reason="user u-204 has used $6.50 of a budget of $5 since 00:00 UTC, with 412 requests",
).model_copy(update={"budget": ""})  # fmt: skip
CALIBRATED = Calibration(
    app=APP, scorer="ragas_faithfulness", scorer_version="ragas-0.4.3/judge-1/2", reviewed=48, confirmed=41,
    share_from=0.7224, share_to=0.9393,
)  # fmt: skip
HARDLY = Calibration(
    app=APP, scorer="ragas_faithfulness", reviewed=3, confirmed=3, share_from=0.2924, share_to=1.0
)
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
        (
            "tr-71f3", 3, 0.10,
            "asked: Can I get last month's invoice refunded? · unsupported: Refunds take 90 days. ·"
            " answered: Yes, of course. Refunds take 90 days.",
        ),
        (
            "tr-7204", 7, 0.17,
            "asked: What does the Team plan cost? · unsupported: The Team plan is free for up to 50 seats. ·"
            " answered: … You can start at once.",
        ),
        (
            "tr-7219", 12, 0.25,
            "asked: Who is my account manager? · unsupported: Ask for Dana. ·"
            " answered: Write to [EMAIL_1] and ask for Dana.",
        ),
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
                    "baseline_note", "value", "value_from", "value_to", "peak", "n", "unit", "direction",
                    "budget", "ruled_out", "reason", "examples", "owner", "runbook", "action",
                }
            )
            | {"cause": first.cause}
            | rest
        ),
    )  # fmt: skip


HOUR = 60 * MINUTE


def series(incident: Incident) -> list[Point]:
    """Two made-up hours of the incident's signal: around the baseline, and from the onset on at its value.

    By turns a little above and below, so that it looks like a signal; of what has no numbers nothing.
    """
    if incident.value is None or incident.baseline is None:
        return []
    low, high = sorted((incident.value, incident.baseline))
    swing = min((high - low) * 0.08, incident.baseline * 0.4)
    end = incident.detected_at - incident.detected_at % (5 * MINUTE)
    points = []
    for number, start in enumerate(range(end - 2 * HOUR, end + 5 * MINUTE, 5 * MINUTE)):
        after = start + 5 * MINUTE >= incident.onset
        mean = (incident.value if after else incident.baseline) + swing * (number * 7 % 5 - 2) / 2
        n = 20 + number * 11 % 9
        points.append(Point(start, start + 5 * MINUTE, n, n * max(mean, 0.0)))
    return points


SAMPLES: dict[str, Incident] = {
    "faithfulness": _incident(
        FAITHFULNESS, ESCALATION, cases=CASES, evidence=(NOTE,), notes=(NOTE.reason,), revision=4,
        calibration=CALIBRATED,
    ),
    "escalation": _incident(ESCALATION),
    "cost": _incident(COST, cause=MODEL, evidence=(NOTE,), notes=(NOTE.reason,)),
    "recovered": _incident(
        *RECOVERED, cases=CASES, evidence=(NOTE,), notes=(NOTE.reason,), revision=9,
        state=IncidentState.RESOLVED, resolution=Resolution.RECOVERED, resolved_at=ONSET + 70 * MINUTE,
        assignee="dana", recurs=2, recurs_false=1, recurred_at=ONSET - 3 * DAY, calibration=HARDLY,
    ),
    "broken": _incident(
        BROKEN, cases=CASES[:1], escalation_level=1, revision=3, escalates_at=ONSET + 34 * MINUTE
    ),
    "judge": _incident(
        JUDGE,
        revision=2,
        explains=(
            Explained(
                incident_id=derive("incident", APP, "held"), signal=SignalName.FAITHFULNESS,
                rule="faithfulness_drop", route=ROUTE,
            ),
        ),
    ),
    "traffic": _incident(
        TRAFFIC, revision=2, stale=Stale(kind=StaleKind.NO_DATA, since=ONSET - MINUTE)
    ),
    "index": _incident(INDEX),
    "user": _incident(USER),
    "false": _incident(
        ESCALATION, state=IncidentState.RESOLVED, resolution=Resolution.NOT_A_PROBLEM, resolved_by="dana",
        resolved_at=ONSET + 55 * MINUTE, revision=2,
        label=Label(actor="dana", time=ONSET + 55 * MINUTE, note="a planned migration"),
    ),
}  # fmt: skip
"""By what the preview calls them."""
