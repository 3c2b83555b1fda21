"""Holding back what another incident explains, and letting it go when that is over: nothing is lost."""

from __future__ import annotations

from detectors.incident.inhibition import TABLE, inhibitor
from detectors.incident.policy import Policy
from detectors.incident.states import heard_again, logged
from detectors.incident.timers import silent_at
from detectors.incident.turn import Turn
from schemas.effect import NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Explained, Happening


def hold(turn: Turn, at: int, *, at_once: bool = False) -> None:
    """After any change of members or states at ``at``: who explains whom now.

    What is no longer explained is not told at once but after a while, in which its own recovery may come
    (:mod:`~detectors.incident.timers`); ``at_once`` where a person has ended what explained it. A person's
    time is not event time: nothing is found silent by it, and nothing new explained.
    """
    standing = [one for one in turn.incidents.values() if one.state is not IncidentState.RESOLVED]
    if not any(one.inhibited or one.explains for one in turn.incidents.values()) and not any(
        member.signal.value in TABLE for one in standing for member in one.members
    ):
        return
    standing.sort(key=lambda one: (one.detected_at, one.id))
    for incident in standing:
        _weigh(turn, incident, standing, at, at_once)
    for incident in sorted(turn.incidents.values(), key=lambda one: (one.detected_at, one.id)):
        explains = tuple(
            Explained(incident_id=one.id, signal=one.signal, rule=one.rule, route=one.route)
            for one in sorted(turn.incidents.values(), key=lambda one: (one.detected_at, one.id))
            if one.inhibited is not None
            and one.inhibited.incident_id == incident.id
            and one.inhibited.until is None
        )
        if explains != incident.explains:
            turn.put(incident.model_copy(update={"explains": explains}), at, NotifyReason.EXPLAINS)


def lift(incident: Incident, at: int, now: int, policy: Policy) -> Incident:
    """``incident``, standing for itself again."""
    free = heard_again(incident, now, inhibited=None)
    return logged(free, policy, at, Happening.UNEXPLAINED)


def _weigh(turn: Turn, incident: Incident, standing: list[Incident], at: int, at_once: bool) -> None:
    held = incident.inhibited
    by = inhibitor(incident, standing, turn.policy, None if at_once else at)
    if held is None and at_once:
        return
    if held is None and by is not None:
        detail = f"by {by.signal.value} of incident {by.incident_id}"
        after = incident.model_copy(update={"inhibited": by})
        after = logged(after, turn.policy, at, Happening.EXPLAINED, detail=detail)
        turn.put(after, at, NotifyReason.EXPLAINED, urgent=True)
    elif held is not None and by is not None:
        same = (held.incident_id, held.until) == (by.incident_id, None)
        if not same or (not at_once and at >= silent_at(held, turn.policy)):
            turn.put(incident.model_copy(update={"inhibited": by}), at, NotifyReason.EXPLAINED)
    elif held is not None and at_once:
        free = lift(incident, at, turn.now, turn.policy)
        turn.speak(free, at, NotifyReason.UNEXPLAINED, NotifyReason.UNEXPLAINED)
    elif held is not None and held.until is None:
        ended = held.model_copy(update={"until": at})
        turn.put(incident.model_copy(update={"inhibited": ended}), at, NotifyReason.EXPLAINED)
