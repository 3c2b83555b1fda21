"""What a declared rule has found: all of an alarm, or of its end, that is not its rule's or segment's."""

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


class Returned(NamedTuple):
    """The end of what began with the finding of this ``key`` at ``opened``; values as in a finding.

    ``bound`` is what the value had to come back to.
    """

    time: int
    since: int
    opened: int
    value: float
    baseline: float
    bound: float | None
    n: int
    reason: str
    key: str = ""
    accepted_by: str | None = None
    """See :class:`~schemas.signal.Recovery`."""


Said = Finding | Returned
