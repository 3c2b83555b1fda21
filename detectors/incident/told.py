"""What a change of an incident owes to the people who have read its message."""

from __future__ import annotations

from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.incident import Incident
from schemas.signal import Signal


def told(before: Incident, after: Incident, grew: bool, alarm: Signal) -> tuple[Effect, ...]:
    """A reply for what somebody who has read the first message doesn't know yet; always an edit."""
    worsened = after.severity.rank < before.severity.rank
    edit = NotifyReason.REFIRED if not grew else NotifyReason.GREW
    effects = [effect(after, EffectKind.EDIT, edit, urgent=worsened or grew)]
    if worsened or grew:
        reason = NotifyReason.WORSENED if worsened else NotifyReason.GREW
        effects.append(effect(after, EffectKind.REPLY, reason, alarm.id))
    return tuple(effects)


def effect(
    incident: Incident,
    kind: EffectKind,
    reason: NotifyReason,
    member: str | None = None,
    *,
    urgent: bool = False,
) -> Effect:
    return Effect(
        kind=kind,
        incident_id=incident.id,
        revision=incident.revision,
        reason=reason,
        member=member,
        urgent=urgent,
    )
