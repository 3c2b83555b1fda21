"""An alarm as a member of an incident, its refires as a count, its recovery as its end."""

from __future__ import annotations

from schemas.incident import Incident, Member
from schemas.signal import Recovery, Signal, SignalName

CHANGES = frozenset({SignalName.SERVED_MODEL})
"""Signals that say that something changed, not that something got worse."""


def member_of(alarm: Signal) -> Member:
    """The member that a rule's first alarm on its route makes."""
    return Member(
        signal=alarm.signal,
        rule=alarm.rule,
        severity=alarm.severity,
        onset=alarm.onset,
        onset_from=alarm.onset_from,
        onset_to=alarm.onset_to,
        detected_at=alarm.detected_at,
        signal_id=alarm.id,
        route=alarm.route,
        last_at=alarm.detected_at,
        direction=alarm.direction,
        baseline=alarm.baseline,
        baseline_n=alarm.baseline_n,
        baseline_note=alarm.baseline_note,
        value=alarm.value,
        value_from=alarm.value_from,
        value_to=alarm.value_to,
        peak=alarm.value,
        n=alarm.n,
        unit=alarm.unit,
        evidence=alarm.evidence,
        threshold=alarm.threshold,
        budget=alarm.budget,
        scorer=alarm.scorer,
        owner=alarm.owner,
        runbook=alarm.runbook,
        action=alarm.action,
        cause=alarm.cause,
        ruled_out=alarm.ruled_out,
        examples=alarm.examples,
        reason=alarm.reason,
    )


def refired(member: Member, alarm: Signal) -> Member:
    """``member`` after its rule fired again: counted, newest value and words, worst peak.

    Value and n are the latest alarm's own pair: their sum would count units twice where a refire's
    estimated onset reaches back. A cause that is found only now is kept. Examples stay the first ones.
    An alarm later than the latest recovery undoes it, one from before only counts.
    """
    latest = alarm.detected_at > member.last_at
    changed: dict[str, object] = {
        "alarms": member.alarms + 1,
        "peak": worst(member.direction, member.baseline, member.peak, alarm.value),
        "severity": min(member.severity, alarm.severity, key=lambda severity: severity.rank),
        "cause": member.cause or alarm.cause,
    }
    if member.recovered and alarm.detected_at > (member.recovered_at or 0):
        changed["resumed"] = alarm.onset
    if latest:
        changed |= {
            "last_at": alarm.detected_at,
            "value": alarm.value,
            "value_from": alarm.value_from,
            "value_to": alarm.value_to,
            "n": alarm.n,
            "scorer": alarm.scorer,
            "evidence": alarm.evidence,
            "threshold": alarm.threshold,
            "reason": alarm.reason,
        }
    return member.model_copy(update=changed)


def recovered(member: Member, recovery: Recovery) -> Member:
    """``member`` with this recovery; the same member where a later recovery or alarm has overtaken it.

    The order of arrival doesn't matter: a member is recovered if its latest recovery is no earlier than its
    latest alarm.
    """
    if recovery.detected_at < max(member.last_at, member.recovered_at or 0):
        return member
    return member.model_copy(
        update={
            "recovered_at": recovery.detected_at,
            "recovered_since": recovery.since,
            # Where a person has accepted what is, nothing has come back.
            "recovered_value": recovery.value if recovery.accepted_by is None else None,
            "recovered_n": recovery.n if recovery.accepted_by is None else 0,
        }
    )


def worst(direction: str, baseline: float | None, *values: float | None) -> float | None:
    """The worst value by direction: the lowest where it fell, the highest where it rose.

    Without a direction the value farthest from the baseline; the first where there is neither.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    if direction == "down":
        return min(known)
    if direction == "up":
        return max(known)
    return known[0] if baseline is None else max(known, key=lambda value: abs(value - baseline))


def same_rule(member: Member, event: Signal | Recovery) -> bool:
    """Whether an alarm or recovery is of this member's rule on its route, whichever user's it is."""
    return (member.rule, member.route) == (event.rule, event.route)


def member_for(incident: Incident, alarm: Signal) -> Member | None:
    """The member whose alarm this is: of its rule, route and user."""
    return next((member for member in incident.members if member.identity == alarm.identity), None)


def is_news(incident: Incident, alarm: Signal) -> bool:
    """Whether nobody who has read ``incident`` can know of ``alarm``: no member of it, or a graver one than
    that member has ever been."""
    own = member_for(incident, alarm)
    return own is None or alarm.severity.rank < own.severity.rank


def gravity(member: Member) -> tuple[bool, int, int, str]:
    """Orders members, gravest first: quality before change, then severity, then earliest detected."""
    return (member.signal in CHANGES, member.severity.rank, member.detected_at, member.signal_id)
