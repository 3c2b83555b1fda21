"""An alarm: what a monitor has found, before it becomes a signal's words."""

from __future__ import annotations

from typing import NamedTuple

from detectors.attribution import Verdict
from detectors.memory import EXAMPLES
from detectors.unit import Unit


class Alarm(NamedTuple):
    """What a signal is made of; ``baseline`` and ``value`` are means of y."""

    onset: int
    n: int
    baseline: float
    baseline_n: int
    baseline_note: str
    value: float
    evidence: float
    threshold: float
    verdict: Verdict
    examples: tuple[str, ...]
    after: list[Unit]
    before: list[Unit]
    between: tuple[int, int] | None = None
    """Event times between which it began; None where that is not known, and for further alarms of one."""


def worst(after: list[Unit], normal: float) -> tuple[str, ...]:
    """trace_ids of the worst units above normal, the latest first among equals."""
    bad = [(unit[1], at, unit[2]) for at, unit in enumerate(after) if unit[1] > normal and unit[2]]
    return tuple([trace_id for _, _, trace_id in sorted(bad, reverse=True)[:EXAMPLES]])
