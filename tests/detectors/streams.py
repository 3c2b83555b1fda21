"""Seeded streams: what a healthy or a failing segment looks like to its monitors."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from detectors.segment import SegmentMonitors
from schemas.observation import Kind, Outcome, PriceStatus, Profile, TraceRow
from schemas.signal import Recovery, Signal

DAY_MS = 86_400_000
HEALTHY = Profile("prod", "chat", model="gpt", served_model="gpt-1", prompt_version="v6", index_version="i1")


def rate(random: Random, share: float) -> float:
    return 1.0 if random.random() < share else 0.0


def badness(random: Random, mean: float) -> float:
    """1 - score: mostly 0, some 1, some between, with this mean (up to 0.5)."""
    if random.random() >= 2.0 * mean:
        return 0.0
    return round(random.random(), 2)


def dollars(random: Random, factor: float = 1.0) -> float:
    return factor * 0.004 * math.exp(0.7 * random.gauss(0.0, 1.0))


Said = Signal | Recovery
ESCALATED = Outcome.ESCALATED.value | Outcome.UNSUCCESSFUL.value
"""An escalated conversation of which nobody says that it has succeeded."""


def on_trace(
    segment: SegmentMonitors,
    time: int,
    trace_id: str,
    profile: Profile,
    user: str | None,
    cost: float | None,
    price: PriceStatus,
    segments: int = 1,
) -> tuple[list[Said], bool]:
    """One trace: what is said of it, and whether its own cost stands out."""
    row = TraceRow(time, trace_id, Kind.TRACE, 0, 0, 0, 0, None, user, 0, cost, price, None, None, None, None)
    verdict = segment.on_traces([row], [profile], segments)
    assert {at for at, _ in verdict.signals} | set(verdict.outliers) <= {0}
    said = [signal for _, signal in (*verdict.signals, *segment.settle())]
    return said, bool(verdict.outliers)


def on_score(
    segment: SegmentMonitors,
    time: int,
    trace_id: str,
    profile: Profile,
    user: str | None,
    scorer: str,
    score: float,
    segments: int = 1,
) -> list[Said]:
    return segment.on_scores([(time, score, trace_id, profile, user)], scorer, segments)


def on_conversation(
    segment: SegmentMonitors,
    time: int,
    trace_id: str,
    profile: Profile,
    user: str | None,
    escalated: bool,
    segments: int = 1,
) -> list[Said]:
    return segment.on_conversations(
        [(time, ESCALATED if escalated else 0, trace_id, profile, user)], 0, segments
    )


def feed(
    segment: SegmentMonitors,
    random: Random,
    n: int,
    start: int = 0,
    spacing: int = 50_000,
    profile: Callable[[int], Profile] | Profile = HEALTHY,
    mean: float = 0.12,
    escalated: float = 0.02,
    factor: float | Callable[[str], float] = 1.0,
    name: str = "t",
) -> list[Signal]:
    """``n`` one-turn conversations, one every ``spacing`` ms: each is traced, scored and decided."""
    said = feed_all(segment, random, n, start, spacing, profile, mean, escalated, factor, name)
    return [signal for signal in said if isinstance(signal, Signal)]


def feed_all(
    segment: SegmentMonitors,
    random: Random,
    n: int,
    start: int = 0,
    spacing: int = 50_000,
    profile: Callable[[int], Profile] | Profile = HEALTHY,
    mean: float = 0.12,
    escalated: float = 0.02,
    factor: float | Callable[[str], float] = 1.0,
    name: str = "t",
) -> list[Said]:
    """As :func:`feed`, the ends of alarms too."""
    signals: list[Said] = []
    for at in range(n):
        time = start + at * spacing
        trace_id = f"{name}{at}"
        user = f"u{random.randrange(20)}"
        seen = profile if isinstance(profile, Profile) else profile(at)
        cost = dollars(random, factor(user) if callable(factor) else factor)
        signals += on_trace(segment, time, trace_id, seen, user, cost, PriceStatus.PRICED)[0]
        score = 1.0 - badness(random, mean)
        signals += on_score(segment, time, trace_id, seen, user, "ragas_faithfulness", score)
        signals += on_conversation(segment, time, trace_id, seen, user, rate(random, escalated) > 0)
        signals += [said for _, said in segment.settle()]
    return signals
