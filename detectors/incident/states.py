"""The states of an incident and the steps between them, each a function from an incident to the next."""

from __future__ import annotations

from detectors.incident.members import member_of
from detectors.incident.policy import Policy
from schemas.identity import derive
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Entry, Happening, Resolution
from schemas.signal import Signal


def opened(alarm: Signal, now: int, policy: Policy) -> Incident:
    """A pending incident of one member; everything else about it is settled from that member."""
    incident = Incident(
        id=derive("incident", alarm.app, alarm.environment, alarm.rule, alarm.id),
        app=alarm.app,
        environment=alarm.environment,
        route=alarm.route,
        signal=alarm.signal,
        rule=alarm.rule,
        severity=alarm.severity,
        state=IncidentState.PENDING,
        onset=alarm.onset,
        detected_at=alarm.detected_at,
        baseline=alarm.baseline,
        value=alarm.value,
        n=alarm.n,
        members=(member_of(alarm),),
        updated_at=alarm.detected_at,
        posted=False,
        pending_until=now + policy.group_wait_ms,
    )
    return logged(incident, policy, alarm.detected_at, Happening.OPENED, detail=f"rule {alarm.rule}")


def logged(
    incident: Incident, policy: Policy, at: int, what: Happening, actor: str = "", detail: str = ""
) -> Incident:
    """``incident`` with one more entry in its history, of which the newest are kept."""
    entry = Entry(at=at, what=what, actor=actor, detail=detail)
    return incident.model_copy(update={"history": (*incident.history, entry)[-policy.history :]})


def resolved(incident: Incident, at: int, how: Resolution, by: str | None = None) -> Incident:
    """At its end. What only an open incident has is cleared; a mute stays, for it may reopen."""
    return incident.model_copy(
        update={
            "state": IncidentState.RESOLVED,
            "resolved_at": at,
            "resolution": how,
            "resolved_by": by,
            "pending_until": None,
            "snooze": None,
            "inhibited": None,
            "stale": None,
            "escalation_level": 0,
        }
    )


def reopened(incident: Incident, at: int, now: int, policy: Policy) -> Incident:
    """Open again since event time ``at``: nobody's any more. One that was never told waits as a new one."""
    recent = tuple(sorted(one for one in (*incident.reopened_at, at) if one > at - policy.flap_ms))
    changes: dict[str, object] = {
        "state": IncidentState.FIRING,
        "resolved_at": None,
        "resolution": None,
        "resolved_by": None,
        "acked_by": None,
        "acked_at": None,
        "escalation_level": 0,
        "unattended_since": now,
        "reopened_at": recent[-policy.history :],
    }
    if not incident.posted:
        changes |= {"state": IncidentState.PENDING, "pending_until": now + policy.group_wait_ms}
    return incident.model_copy(update=changes)


def flaps(incident: Incident, policy: Policy) -> bool:
    """Whether it has come and gone so often that more messages would say nothing new."""
    return incident.posted and not incident.flapping and len(incident.reopened_at) >= policy.flap_reopens


def silenced(incident: Incident) -> bool:
    """Whether a person has asked for silence: of what they saw, and of nothing that has come since
    (:func:`~detectors.incident.placement.closed`)."""
    return bool(incident.snooze or incident.muted_by)


def heard_again(incident: Incident, now: int, **silence: object) -> Incident:
    """``incident`` at the end of a ``silence`` (the fields that end it): nobody could have acknowledged what
    they were not told, so its levels count from ``now``."""
    return incident.model_copy(update={**silence, "unattended_since": now, "escalation_level": 0})


def unacked(incident: Incident, now: int) -> Incident:
    """Firing again, and nobody's since ``now``."""
    return incident.model_copy(
        update={
            "state": IncidentState.FIRING,
            "acked_by": None,
            "acked_at": None,
            "unattended_since": now,
            "escalation_level": 0,
        }
    )
