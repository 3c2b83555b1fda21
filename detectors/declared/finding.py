"""What a declared rule has found: everything of an alarm that is not its rule's or its segment's."""

from __future__ import annotations

from typing import NamedTuple

from schemas.signal import Cause, Severity


class Finding(NamedTuple):
    """``value`` and ``baseline`` (what was declared; None: nothing to compare with) are in the unit of the
    signal that is told. ``key`` tells findings of one rule at one ``time`` apart."""

    time: int
    """Event time at which it was decided, ms."""
    onset: int
    value: float
    baseline: float | None
    note: str
    n: int
    reason: str
    key: str = ""
    rises: bool = True
    severity: Severity | None = None
    """Other than the rule's."""
    examples: tuple[str, ...] = ()
    cause: Cause | None = None
    evidence: float | None = None
    threshold: float | None = None
    baseline_n: int = 0
