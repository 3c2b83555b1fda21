"""The small words of an alert: names of signals, the move in numbers, a cause."""

from __future__ import annotations

from schemas.catalog import CATALOG
from schemas.incident import Incident, Member
from schemas.signal import Cause
from sinks.clean import clean
from sinks.numbers import value

SIGNALS = {name: about.noun for name, about in CATALOG.items()}
UNITS = {name: about.units for name, about in CATALOG.items()}
VERBS = {"up": "rose", "down": "fell", "changed": "changed"}
ORDINARY = ("", "default", "production", "prod")
"""Environments and routes that go without saying on a lock screen."""


def numbers(moved: Incident | Member) -> str:
    verb = VERBS.get(moved.direction, "moved")
    if not moved.direction and moved.value is not None and moved.baseline is not None:
        verb = VERBS["up" if moved.value > moved.baseline else "down"]
    before = value(moved.signal, moved.baseline, moved.value)
    return f"{verb} {before} → {value(moved.signal, moved.value, moved.baseline)}"


def likely(cause: Cause | None, room: int) -> str:
    if cause is None:
        return "cause unknown"
    how = "likely" if cause.share is None else "mostly" if cause.share >= 0.5 else "partly"
    return f"{how} {dimension(cause)} {clean(cause.current or 'gone', room)}"


def how(cause: Cause) -> str:
    """In which way a value explains a move, where the signal said it."""
    if cause.effect == "mix":
        return ": there is more of it, as bad as it was before"
    return ": its own traffic is worse" if cause.effect == "within" else ""


def move(cause: Cause, room: int = 80) -> str:
    new = clean(cause.current or "none", room)
    return new if cause.previous is None else f"{clean(cause.previous, room)} → {new}"


def dimension(cause: Cause) -> str:
    return clean(cause.dimension, 40).replace("_", " ")


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
