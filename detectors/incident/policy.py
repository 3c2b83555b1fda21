"""How near is the same incident: the durations and bounds of grouping."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


@dataclass(frozen=True)
class Policy:
    """All durations in milliseconds of event time.

    ``window_ms``: onsets this near are one incident, and a change this near to an onset is evidence.
    It should be no smaller than the typical error of an onset, which for slow rates is tens of minutes.
    ``quiet_ms``: an incident without an alarm for this long is not extended. ``note_ms``: a change
    waits this long for an alarm whose onset lies near it; detection may come hours after the onset.
    """

    window_ms: int = 30 * MINUTE_MS
    quiet_ms: int = 24 * HOUR_MS
    note_ms: int = 24 * HOUR_MS
    cases: int = 3
    """Cases that an alert shows."""
    ring: int = 64
    """Case previews that are kept per app, environment and route."""
    evidence: int = 8
    """Notes that an incident keeps; the nearest to its onset stay."""
