"""Are alarms ended when their signal is back, and not before? Through the shipped monitor."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.detectors.streams import badness, rate
from detectors.alarm import Alarm
from detectors.baseline import DAY_MS
from detectors.readings import one_monitor
from detectors.recovery import Return
from detectors.rules import DEFAULT_RULES
from schemas.observation import Profile
from schemas.signal import SignalName

HEALTHY, BAD, AFTER = 6_000, 10_000, 10_000
PER_DAY = 2_000
SHIFTS: tuple[tuple[SignalName, float, float], ...] = (
    (SignalName.FAITHFULNESS, 0.88, 0.83),
    (SignalName.FAITHFULNESS, 0.88, 0.78),
    (SignalName.FAITHFULNESS, 0.88, 0.65),
    (SignalName.ESCALATION, 0.02, 0.03),
    (SignalName.ESCALATION, 0.02, 0.05),
    (SignalName.ESCALATION, 0.02, 0.10),
)


class Ended(NamedTuple):
    """Of ``streams`` that alarmed: how many were ended while they were still bad (10,000 units), how many
    never within 10,000 units of the return, and the median delay in units of the others."""

    signal: SignalName
    before: float
    after: float
    streams: int
    early: int
    never: int
    delay: float


def recovery(streams: int, seed: int) -> Iterator[Ended]:
    for signal, usual, shifted in SHIFTS:
        delays: list[int] = []
        early = never = alarmed = 0
        for number in range(streams):
            rng = np.random.default_rng(seed + number)
            draw = badness if signal is SignalName.FAITHFULNESS else rate
            ys = np.concatenate([draw(rng, HEALTHY, usual), draw(rng, BAD, shifted), draw(rng, AFTER, usual)])
            at = _ended(signal, ys.tolist())
            if at is None:
                continue
            alarmed += 1
            if at < HEALTHY + BAD:
                early += 1
            elif at == len(ys):
                never += 1
            else:
                delays.append(at - HEALTHY - BAD)
        yield Ended(signal, usual, shifted, alarmed, early, never, median(delays) if delays else float("nan"))


def _ended(signal: SignalName, ys: list[float]) -> int | None:
    """The unit at which the first alarm after the change was ended; ``len(ys)``: never; None: no alarm."""
    rule = next(rule for rule in DEFAULT_RULES if rule.signal is signal)
    monitor = one_monitor(rule)
    units = [(at * DAY_MS // PER_DAY, y, str(at), Profile(), None) for at, y in enumerate(ys)]
    begun = False
    for at, event in monitor.run(units, 1, ()):
        if isinstance(event, Alarm) and at >= HEALTHY:
            begun = True
        if isinstance(event, Return) and begun:
            return at
    return len(ys) if begun else None


def table(found: list[Ended]) -> str:
    lines = [
        "| signal | alarms | ended while still bad | not ended within 10,000 units | delay |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        shift = f"{one.signal.value} {one.before:g} → {one.after:g}"
        shares = f"{one.early / one.streams:.0%} | {one.never / one.streams:.0%}"
        lines.append(f"| {shift} | {one.streams} | {shares} | {one.delay:,.0f} |")
    return "\n".join(lines)
