"""What an alarm does to the incident that it belongs to: more of the same, a new member, or back again."""

from __future__ import annotations

from detectors.incident.hold import lift
from detectors.incident.inhibition import inhibitor
from detectors.incident.states import flaps, heard_again, logged, reopened, unacked
from detectors.incident.turn import Turn
from schemas.effect import NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Happening
from schemas.signal import Signal


def extend(turn: Turn, before: Incident, after: Incident, alarm: Signal, *, grew: bool) -> None:
    """``after`` is ``before`` with ``alarm``, a refire or, where it ``grew``, a new member."""
    at = alarm.detected_at
    worse = after.severity.rank < before.severity.rank
    found = _found(before, after)
    reason = NotifyReason.GREW if grew else NotifyReason.CAUSE_FOUND if found else NotifyReason.REFIRED
    news = NotifyReason.CAUSE_FOUND if found else None
    reply = NotifyReason.WORSENED if worse else NotifyReason.GREW if grew else news
    if grew:
        after = logged(after, turn.policy, at, Happening.JOINED, detail=f"rule {alarm.rule}")
    if worse:
        after = logged(after, turn.policy, at, Happening.WORSENED, detail=after.severity.value)
    if before.flapping and (grew or worse):
        after = heard_again(after, turn.now, flapping=False)
    if after.stale is not None:
        after = after.model_copy(update={"stale": None})
    held = after.inhibited
    if held is not None and held.until is not None and at > held.until:
        after = lift(after, at, turn.now, turn.policy)
        turn.speak(after, at, NotifyReason.UNEXPLAINED, NotifyReason.UNEXPLAINED)
        return
    acked_at = before.acked_at if before.state is IncidentState.ACKED else None
    if acked_at is not None and turn.now >= acked_at + turn.policy.ack_ms:
        after = unacked(after, turn.now)
        after = logged(after, turn.policy, at, Happening.ACK_EXPIRED, detail=before.acked_by or "")
        reply = reply or NotifyReason.ACK_EXPIRED
    turn.put(after, at, reason, reply, alarm.id, urgent=worse or grew or found)


def _found(before: Incident, after: Incident) -> bool:
    """Whether it has a cause now that it had not."""
    cause, known = after.cause, before.cause
    if cause is None:
        return False
    return known is None or (known.dimension, known.current) != (cause.dimension, cause.current)


def reopen(turn: Turn, before: Incident, after: Incident, alarm: Signal, *, grew: bool) -> None:
    """``after`` is ``before``, a resolved incident, with ``alarm``, which shows that it is not over.

    Flapping is the same thing coming and going: a new member, or a graver one, is not, and ends its silence.
    """
    at = alarm.detected_at
    news = grew or after.severity.rank < before.severity.rank
    after = reopened(after, at, turn.now, turn.policy)
    after = logged(after, turn.policy, at, Happening.REOPENED, detail=f"rule {alarm.rule}")
    if news:
        after = after.model_copy(update={"flapping": False})
    held = inhibitor(after, turn.incidents.values(), turn.policy, at) is not None
    if held or news or not flaps(after, turn.policy):
        # What is about to be held back is no news.
        reply = None if held else NotifyReason.REOPENED
        turn.put(after, at, NotifyReason.REOPENED, reply, alarm.id, urgent=True)
        return
    detail = f"{len(after.reopened_at)} reopenings"
    after = turn.put(
        logged(after, turn.policy, at, Happening.FLAPPING, detail=detail),
        at,
        NotifyReason.FLAPPING,
        NotifyReason.FLAPPING,
    )
    # Said once, then silent.
    turn.incidents[after.id] = after.model_copy(update={"flapping": True})
