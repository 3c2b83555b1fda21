"""How near is the same incident, and how long each of its states lasts: the durations and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.signal import Severity

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
ESCALATE_MS: Mapping[Severity, tuple[int, ...]] = {
    Severity.P1: (5 * MINUTE_MS, 30 * MINUTE_MS),
    Severity.P2: (15 * MINUTE_MS, 30 * MINUTE_MS),
}
DEPLOYS = frozenset({"release", "prompt_version", "system_prompt_version", "index_version", "model"})
"""Dimensions whose change is somebody's deploy; a model that the provider swaps silently is none."""


@dataclass(frozen=True)
class Policy:
    """All durations in milliseconds; of event time unless they say otherwise.

    ``window_ms``: onsets this near are one incident, and a change this near to an onset is evidence.
    It should be no smaller than the typical error of an onset, which for slow rates is tens of minutes.
    ``quiet_ms``: an incident without an alarm for this long is not extended; it stays open, and says so.
    ``note_ms``: a change waits this long for an alarm whose onset lies near it; detection may come hours
    after the onset.
    """

    window_ms: int = 30 * MINUTE_MS
    quiet_ms: int = 24 * HOUR_MS
    note_ms: int = 24 * HOUR_MS
    group_wait_ms: int = 5_000
    """Of the clock ``now``: the first message waits this long for further members and for cases."""
    reopen_ms: int = 2 * HOUR_MS
    """An alarm within this time of an incident's end reopens it; later it is a new one."""
    flap_reopens: int = 3
    """So many reopenings …"""
    flap_ms: int = 6 * HOUR_MS
    """… within this time are flapping: edits only, until it has been …"""
    steady_ms: int = 2 * HOUR_MS
    """… open, or resolved, for this long."""
    stale_ms: int = 3 * HOUR_MS
    """No unit of any open member's signal for this long is "no data". No less than two windows' length."""
    unexplained_ms: int = 30 * MINUTE_MS
    """What was held back waits this long, after what explained it is over, for its own recovery."""
    silent_ms: int = 48 * HOUR_MS
    """A rule that has said nothing for this long explains no other's alarms: one that still sees its alarm
    tells it again every day, and one that is gone, or has no more units, never says that it is over."""
    ack_ms: int = 4 * HOUR_MS
    """Of the clock ``now``: an alarm that comes this long after an acknowledgement ends it."""
    escalate_ms: Mapping[Severity, tuple[int, ...]] = field(default_factory=lambda: ESCALATE_MS)
    """Of the clock ``now``: the levels of an incident that nobody acknowledges, from its first message."""
    recur_ms: int = 30 * 24 * HOUR_MS
    """Earlier incidents of the same fingerprint are counted this far back."""
    cases: int = 3
    """Cases that an alert shows."""
    ring: int = 64
    """Case previews that are kept per app, environment and route."""
    members: int = 200
    """Members that an incident takes; the next alarm opens another. An incident is one record of a topic, and
    of users over their budgets there may be thousands a day."""
    evidence: int = 8
    """Notes that an incident keeps; the nearest to its onset stay."""
    history: int = 64
    """Entries of its history that an incident keeps; the newest stay."""

    @property
    def reach_ms(self) -> int:
        """How long after an incident's end an event may still concern it."""
        return max(self.quiet_ms, self.reopen_ms, self.steady_ms)
