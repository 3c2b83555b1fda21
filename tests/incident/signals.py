"""Signals for tests, with what matters as arguments and sense in the rest."""

from __future__ import annotations

from typing import Any

from schemas.incident import CasePreview
from schemas.signal import Cause, Severity, Signal, SignalName

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
