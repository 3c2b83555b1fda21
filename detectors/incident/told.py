"""What a change of an incident owes to the people who have read its message: effects."""

from __future__ import annotations

from detectors.incident.timers import quieted
from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.incident import Incident, IncidentState


def told(
    incident: Incident,
    reason: NotifyReason,
    reply: NotifyReason | None = None,
    member: str | None = None,
    *,
    urgent: bool = False,
) -> tuple[Effect, ...]:
    """An edit for what changed; with ``reply`` a message in the thread, for what is news to a reader.

    Nothing where nothing has been posted, and no reply where the incident is quieted: what is held back then
    is in the edit, and in the history.
    """
    if not incident.posted:
        return ()
    effects = [effect(incident, EffectKind.EDIT, reason, urgent=urgent)]
    if reply is not None and not quieted(incident):
        effects.append(effect(incident, EffectKind.REPLY, reply, member))
    return tuple(effects)


def speaks(incident: Incident) -> bool:
    """Whether the first message is to be posted now."""
    return (
        not incident.posted
        and incident.state in (IncidentState.FIRING, IncidentState.ACKED)
        and not quieted(incident)
    )


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
