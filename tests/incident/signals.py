"""Signals for tests, with what matters as arguments and sense in the rest."""

from __future__ import annotations

from typing import Any

from schemas.command import Command, Verb
from schemas.incident import CasePreview
from schemas.signal import Cause, Recovery, Severity, Signal, SignalName, WindowStat

MINUTE = 60_000
HOUR = 60 * MINUTE
T0 = 1_772_355_900_000
"""2026-03-01T09:05:00Z"""
MODEL = Cause(dimension="served_model", previous="lumen-1", current="lumen-2")
RULES = {
    SignalName.FAITHFULNESS: ("faithfulness_drop", 0.92, 0.80, "down"),
    SignalName.ESCALATION: ("escalation_spike", 0.039, 0.091, "up"),
    SignalName.COST: ("cost_spike", 0.0053, 0.0079, "up"),
    SignalName.SERVED_MODEL: ("served_model_change", None, None, "changed"),
    SignalName.BROKEN_OUTPUT: ("broken_output", 0.01, 0.2, "up"),
    SignalName.ERROR: ("errors", 0.01, 0.3, "up"),
    SignalName.LATENCY: ("slow_answers", 400.0, 900.0, "up"),
    SignalName.USER_BUDGET: ("spend_per_user", None, 1.1, "up"),
}


def alarm(
    id: str,
    signal: SignalName = SignalName.FAITHFULNESS,
    *,
    onset: int = T0,
    detected_at: int | None = None,
    **rest: Any,
) -> Signal:
    rule, baseline, value, direction = RULES[signal]
    fields: dict[str, Any] = (
        {
            "id": id, "app": "support-bot", "environment": "production", "route": "/chat", "signal": signal,
            "rule": rule, "severity": Severity.P2, "pages": True, "direction": direction, "onset": onset,
            "detected_at": onset + 20 * MINUTE if detected_at is None else detected_at, "baseline": baseline,
            "baseline_n": 5000, "value": value, "n": 188, "budget": "at most 1 false page per 4 weeks",
            "reason": f"{signal.value} moved",
        }
        | rest
    )  # fmt: skip
    return Signal(**fields)


def over_budget(id: str, user: str, detected_at: int, **rest: Any) -> Signal:
    """That ``user`` has used more than a day's budget."""
    cause = Cause(dimension="user_id", current=user, share=1.0)
    fields: dict[str, Any] = {"onset": detected_at, "detected_at": detected_at, "cause": cause, "n": 0} | rest
    return alarm(id, SignalName.USER_BUDGET, reason=f"user {user} has used $6 since midnight UTC", **fields)


def note(id: str, onset: int = T0, cause: Cause = MODEL, **rest: Any) -> Signal:
    fields: dict[str, Any] = {"detected_at": onset, "pages": False, "severity": Severity.INFO, "n": 1}
    return alarm(id, SignalName.SERVED_MODEL, onset=onset, **fields | {"cause": cause} | rest)


def preview(case_id: str, at: int = T0 + MINUTE, **rest: Any) -> CasePreview:
    fields: dict[str, Any] = (
        {
            "case_id": case_id, "app": "support-bot", "environment": "production", "route": "/chat",
            "trace_id": f"trace-{case_id}", "time": at, "reasons": ("low_score",), "score": 0.2,
            "excerpt": "Q: why? A: because.",
        }
        | rest
    )  # fmt: skip
    return CasePreview(**fields)


def recovery(
    id: str, at: int, signal: SignalName = SignalName.FAITHFULNESS, *, since: int | None = None, **rest: Any
) -> Recovery:
    """The end of this signal's alarm, shown ``at``."""
    rule, baseline, _, _ = RULES[signal]
    normal = baseline or 0.0
    fields: dict[str, Any] = (
        {
            "id": id, "alarm_id": "s1", "app": "support-bot", "environment": "production", "route": "/chat",
            "signal": signal, "rule": rule, "since": at - 10 * MINUTE if since is None else since,
            "detected_at": at, "baseline": normal, "bound": normal * 0.97, "value": normal * 0.98, "n": 120,
            "reason": "back",
        }
        | rest
    )  # fmt: skip
    return Recovery(**fields)


def window(end: int, signal: SignalName = SignalName.FAITHFULNESS, n: int = 40, **rest: Any) -> WindowStat:
    """An hour's units of a signal."""
    fields: dict[str, Any] = {
        "app": "support-bot", "environment": "production", "route": "/chat", "signal": signal,
        "start": end - HOUR, "end": end, "n": n, "total": 0.9 * n,
    } | rest  # fmt: skip
    return WindowStat(**fields)


def command(id: str, verb: Verb, incident_id: str, at: int, **rest: Any) -> Command:
    fields: dict[str, Any] = {"id": id, "incident_id": incident_id, "verb": verb, "actor": "dana", "time": at}
    return Command(**fields | rest)
