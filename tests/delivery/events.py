"""Deterministic traffic of two applications in which everything happens that a delivery must survive.

All of it carries its own faithfulness, so no judge is needed, and lies in the past, so that production
and replay have the same last word on time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

START = 1_772_438_400_000
"""2026-03-02T08:00:00Z."""
STEP_MS = 20_000
"""From one trace to the next: a conversation's ten minutes span thirty of them."""


class Event(NamedTuple):
    """An event and the topic that it is published to; its order is by time, then as generated."""

    topic: str
    time: int
    value: dict[str, Any]

    @property
    def key(self) -> str:
        return str(self.value.get("trace_id", ""))

    def data(self) -> bytes:
        return json.dumps(self.value).encode()


def traffic(traces: int = 1_200, seed: int = 7) -> list[Event]:
    """``traces`` traces with their feedback and two changes; some traces are published twice.

    The two applications, ``shop`` and ``care``, have different owners, of two partitions as of four.
    At 50 % of the way the shop's users begin to be handed to people, at 60 % its provider answers with
    another model and its answers get worse, at 70 % it sends four times the tokens. One trace in 40
    fails by an error; one in 97 by its own score; one in 60 is corrected by a user.
    """
    rng = Random(seed)
    events: list[Event] = []
    for number in range(traces):
        app = "care" if number % 4 == 3 else "shop"
        share = number / traces
        time = START + number * STEP_MS
        trace = _trace(rng, number, app, share, time)
        events.append(Event("traces", time, trace))
        if number % 100 == 50:
            events.append(Event("traces", time, trace))  # the application's own retry
        events += _feedback(rng, number, app, share, time, str(trace["trace_id"]))
    for share, dimension, old, new in (
        (0.4, "prompt_version", "p1", "p2"),
        (0.8, "index_version", "i1", "i2"),
    ):
        time = START + int(share * traces) * STEP_MS
        change = {"timestamp": time, "app": "shop", "dimension": dimension, "from": old, "to": new}
        events.append(Event("changes", time, change))
    events.sort(key=lambda event: event.time)
    return events


def _trace(rng: Random, number: int, app: str, share: float, time: int) -> dict[str, Any]:
    worse = app == "shop" and share >= 0.6
    score = (
        0.70 if number % 97 == 13 else round(rng.uniform(0.78, 0.84) if worse else rng.uniform(0.92, 0.99), 4)
    )
    trace: dict[str, Any] = {
        "trace_id": f"{app}-{number}",
        "timestamp": time,
        "app": app,
        "environment": "prod",
        "route": "chat" if number % 2 else "search",
        "user_id": f"u{number % 50}",
        "provider": "openai",
        "model": "gpt-4o",
        "served_model": "gpt-4o-2024-11-20" if worse else "gpt-4o-2024-08-06",
        "prompt_version": "p2" if share >= 0.4 else "p1",
        "question": f"Where is parcel {number}?",
        "answer": f"Parcel {number} is on its way.",
        "contexts": [f"Parcel {number} left the house."],
        "input_tokens": (4_000 if app == "shop" and share >= 0.7 else 1_000) + rng.randrange(100),
        "output_tokens": 100 + rng.randrange(20),
        "scores": {"faithfulness": score},
    }
    if number % 3:
        trace["conversation_id"] = f"{app}-c{number // 8}"
    if number % 40 == 7:
        trace["error"] = "timeout"
    return trace


def _feedback(rng: Random, number: int, app: str, share: float, time: int, trace_id: str) -> Iterable[Event]:
    def said(after: int, kind: str, **more: object) -> Event:
        value = {"trace_id": trace_id, "app": app, "kind": kind, "timestamp": time + after} | more
        return Event("feedback", time + after, value)

    if rng.random() < (0.5 if app == "shop" and share >= 0.5 else 0.03):
        yield said(90_000, "escalation", feedback_id=f"e{number}")
    if number % 60 == 11:
        yield said(30_000, "correction", corrected_answer="It is lost.", feedback_id=f"c{number}")
    if number % 50 == 20:
        yield said(-3_000, "thumbs", value="down")  # before its trace
    if number % 10 == 1:
        yield said(15_000, "thumbs", value="up")


def write(events: Iterable[Event], path: Path) -> Path:
    """The events as a file that ``replay`` reads."""
    path.write_bytes(b"".join(event.data() + b"\n" for event in events))
    return path


def failing(events: Sequence[Event]) -> set[tuple[str, str]]:
    """(app, trace_id) of every trace that must become a case, worked out without the code under test."""
    bad = set()
    for event in events:
        value = event.value
        if event.topic == "traces":
            fails = "error" in value or value["scores"]["faithfulness"] < 0.75
        else:
            fails = value.get("kind") in ("escalation", "correction") or value.get("value") == "down"
        if fails:
            bad.add((value["app"], value["trace_id"]))
    return bad
