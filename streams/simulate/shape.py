"""The fields that every simulated trace and feedback has, so that applications add only their own."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from schemas.base import rfc3339

Event = dict[str, Any]
THUMBS_UP = 0.085
THUMBS_DOWN = 0.015
"""Few people press a button, and as many after a fault as before: nobody has complained yet."""
ERRORS = 0.004


def new_id(rng: Random, prefix: str = "") -> str:
    return f"{prefix}{rng.getrandbits(48):012x}"


def tokens(*texts: str) -> int:
    """About as many tokens as a model would count in English."""
    return sum(len(text) for text in texts) * 10 // 42 + 1


def spread(rng: Random, typical: float, sigma: float) -> float:
    """A positive number around ``typical``, right-skewed as durations and sizes are."""
    return typical * rng.lognormvariate(0.0, sigma)


def trace(rng: Random, app: str, time: int, latency_ms: float, fields: Event) -> Event:
    """A trace of ``app``; one in 250 is an error of the provider's, without answer and usage."""
    latency = round(spread(rng, latency_ms, 0.35))
    event: Event = {
        "event": "trace",
        "trace_id": new_id(rng),
        "timestamp": rfc3339(time),
        "app": app,
        "environment": "production",
        **fields,
        "finish_reason": "stop",
        "latency_ms": latency,
    }
    if rng.random() < ERRORS:
        for absent in ("answer", "output_tokens", "finish_reason", "schema_valid", "served_model"):
            event.pop(absent, None)
        event["error"] = "upstream timeout"
    return event


def feedback(rng: Random, about: Event, time: int, kind: str, **fields: Any) -> Event:
    return {
        "event": "feedback",
        "feedback_id": new_id(rng, "fb-"),
        "trace_id": about["trace_id"],
        "timestamp": rfc3339(time),
        "app": about["app"],
        "kind": kind,
        **fields,
    }


def thumbs(rng: Random, traces: Iterable[tuple[int, Event]], comments: tuple[str, ...]) -> list[Event]:
    """A button pressed under some of the answers, half a minute or so later."""
    said = []
    for time, event in traces:
        chance, later = rng.random(), time + round(spread(rng, 25_000, 0.6))
        if chance < THUMBS_UP:
            said.append(feedback(rng, event, later, "thumbs", value="up"))
        elif chance < THUMBS_UP + THUMBS_DOWN:
            said.append(feedback(rng, event, later, "thumbs", value="down", comment=rng.choice(comments)))
    return said
