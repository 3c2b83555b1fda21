"""Rule, signal and cause to the first action: one thing to do at three in the morning, not a list."""

from __future__ import annotations

from schemas.catalog import CATALOG, Measure
from schemas.incident import Incident
from schemas.signal import SignalName
from sinks.clean import clean

PROMPTS = ("prompt_version", "system_prompt_version")


def first_action(incident: Incident) -> str:
    """The first action for the incident's signal and cause, in one or two sentences."""
    if incident.action:
        return clean(incident.action, 300)
    cause = incident.cause
    if cause is None:
        return CATALOG[incident.signal].action
    old, new = _name(cause.previous), _name(cause.current)
    return _by_cause(incident.signal, clean(cause.dimension, 60), old, new)


def _by_cause(signal: SignalName, dimension: str, old: str | None, new: str | None) -> str:
    if dimension in ("served_model", "model"):
        if old is None:
            return f"Pin the model version you tested, and run the gate on {new or 'this one'}."
        return f"Pin {old}; let {new or 'the new model'} back in when it passes the gate."
    if dimension in PROMPTS:
        back = f"Roll the prompt back to {old}" if old else f"Take prompt {new or 'of this version'} out"
        return f"{back}, then watch two windows."
    if dimension == "index_version":
        back = f"Go back to index {old}" if old else f"Take index {new or 'of this version'} out"
        if CATALOG[signal].measure is Measure.DOLLARS:
            return f"{back}: its passages are longer or more."
        return f"{back}; then check its chunks, its ranking and the age of its documents."
    if dimension == "release":
        return f"Roll the release back to {old}." if old else f"Take release {new or 'of this version'} out."
    if dimension == "document":
        return f"Take document {new or 'in question'} out of the index, or correct it: answers lean on it."
    if dimension == "user_id" and signal is SignalName.USER_BUDGET:
        return CATALOG[signal].action
    if dimension == "user_id":
        if CATALOG[signal].measure is Measure.DOLLARS:
            return (
                f"Set a budget for user {new or 'in question'}, then talk to them: one user drives the spend."
            )
        return f"Read what user {new or 'in question'} asks: one user drives this."
    if old is not None:
        return f"Take {dimension.replace('_', ' ')} back to {old}, then watch two windows."
    return f"Look at {dimension.replace('_', ' ')} {new or ''}".rstrip() + " first: it accounts for the move."


def _name(text: str | None) -> str | None:
    return clean(text, 60) if text else None
