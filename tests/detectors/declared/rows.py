"""Traces and streams for declared rules."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from detectors.declared.finding import Finding, Returned, Said
from schemas.observation import Kind, Profile, TraceRow

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
PROFILE = Profile("prod", "chat")


def trace(
    time: int,
    trace_id: str = "t",
    user: str | None = None,
    cost: float | None = None,
    tokens: int | None = None,
    latency: float | None = None,
) -> TraceRow:
    read = None if tokens is None else tokens - tokens // 3
    written = None if tokens is None else tokens // 3
    return TraceRow(
        time, trace_id, Kind.TRACE.value, 0, 0, 0, 0, None, user, 0, cost, 0, read, written, latency, None
    )


def failures(random: Random, share: float, start: int, end: int, every: int) -> list[tuple[int, float, str]]:
    """Independent units of 0 and 1, one every ``every`` ms."""
    return [(time, 1.0 if random.random() < share else 0.0, f"t{time}") for time in range(start, end, every)]


def found(said: Iterable[Said]) -> list[Finding]:
    return [one for one in said if isinstance(one, Finding)]


def back(said: Iterable[Said]) -> list[Returned]:
    return [one for one in said if isinstance(one, Returned)]
