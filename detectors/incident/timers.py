"""What is due for an incident and when: rows that follow from the incident alone, so a restart loses none.

Two clocks. ``now`` is that of people: the wall clock in production. ``watermark`` is how far event time has
come: silence of an application is measured by it, so that a replay of last month and a week in a minute
see the same silence. In a replay both are event time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from detectors.incident.placement import last_alarm
from detectors.incident.policy import Policy
from detectors.incident.states import silenced
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Inhibition, StaleKind
from schemas.signal import SignalName

Data = Mapping[tuple[str, SignalName], int]
"""Route and signal to the event time up to which units of it are known."""


class Clock(StrEnum):
    NOW = "now"
    WATERMARK = "watermark"


class TimerKind(StrEnum):
    GROUP_WAIT = "group_wait"
    SNOOZE = "snooze"
    ESCALATE = "escalate"
    UNEXPLAINED = "unexplained"
    SILENT = "silent"
    """What explains it may have said nothing for too long."""
    STEADY = "steady"
    NO_DATA = "no_data"
    NO_ALARM = "no_alarm"


class Timer(NamedTuple):
    """Ordered by time; ``at`` in epoch ms of ``clock``."""

    at: int
    kind: TimerKind
    clock: Clock


class Due(NamedTuple):
    """The earliest timer of each clock, None where there is none: what a store finds an incident by."""

    now: int | None
    watermark: int | None


def timers(incident: Incident, data: Data, policy: Policy) -> list[Timer]:
    """Every timer of ``incident``, the earliest first. Firing one takes it away."""
    found = []
    state = incident.state
    if state is IncidentState.PENDING and incident.pending_until is not None:
        found.append(Timer(incident.pending_until, TimerKind.GROUP_WAIT, Clock.NOW))
    if incident.flapping:
        turned = max(incident.resolved_at or 0, *incident.reopened_at, 0)
        found.append(Timer(turned + policy.steady_ms, TimerKind.STEADY, Clock.WATERMARK))
    if state is IncidentState.RESOLVED:
        return sorted(found)
    if incident.snooze is not None and incident.snooze.until is not None:
        found.append(Timer(incident.snooze.until, TimerKind.SNOOZE, Clock.NOW))
    if (held := incident.inhibited) is not None:
        if held.until is not None:
            found.append(Timer(held.until + policy.unexplained_ms, TimerKind.UNEXPLAINED, Clock.WATERMARK))
        else:
            found.append(Timer(silent_at(held, policy), TimerKind.SILENT, Clock.WATERMARK))
    if (at := escalates(incident, policy)) is not None:
        found.append(Timer(at, TimerKind.ESCALATE, Clock.NOW))
    if (kind := incident.stale and incident.stale.kind) is not StaleKind.NO_DATA:
        if (newest := last_data(incident, data)) is not None:
            found.append(Timer(newest + policy.stale_ms, TimerKind.NO_DATA, Clock.WATERMARK))
        if kind is None:
            found.append(Timer(last_alarm(incident) + policy.quiet_ms, TimerKind.NO_ALARM, Clock.WATERMARK))
    return sorted(found)


def escalates(incident: Incident, policy: Policy) -> int | None:
    """When ``incident`` rises to its next level unless somebody acknowledges it (epoch ms of the clock of
    people); None where it won't: it is somebody's, quiet, not told yet, or as high as it goes."""
    since, level = incident.unattended_since, incident.escalation_level
    levels = policy.escalate_ms.get(incident.severity, ())
    waits = incident.state is IncidentState.FIRING and incident.posted and not quieted(incident)
    return since + levels[level] if waits and since is not None and level < len(levels) else None


def silent_at(held: Inhibition, policy: Policy) -> int:
    """Event time at which what explains an incident has said nothing for too long, unless it has since."""
    return (held.since if held.heard is None else held.heard) + policy.silent_ms


def due(incident: Incident, data: Data, policy: Policy) -> Due:
    """When ``incident`` has to be looked at next, by each clock."""
    by_clock: dict[Clock, int] = {}
    for timer in timers(incident, data, policy):
        by_clock.setdefault(timer.clock, timer.at)
    return Due(by_clock.get(Clock.NOW), by_clock.get(Clock.WATERMARK))


def last_data(incident: Incident, data: Data) -> int | None:
    """Event time of the newest unit of any member that has not recovered; None where no window told.

    A signal that has no windows is never without data: nothing is known of it.
    """
    known = [
        max(member.last_at, data[member.route, member.signal])
        for member in incident.members
        if not member.recovered and (member.route, member.signal) in data
    ]
    return max(known, default=None)


def quieted(incident: Incident) -> bool:
    """Whether nothing but edits may be said: snoozed, muted, flapping, or explained by another."""
    return silenced(incident) or bool(incident.flapping or incident.inhibited)
