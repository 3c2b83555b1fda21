"""What time alone brings: each timer's doing, in the order of their due times."""

from __future__ import annotations

from detectors.incident.hold import hold, lift
from detectors.incident.placement import last_alarm
from detectors.incident.states import heard_again, logged
from detectors.incident.timers import Clock, Data, Timer, TimerKind, last_data, timers
from detectors.incident.told import speaks
from detectors.incident.turn import Turn
from schemas.effect import NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Happening, Stale, StaleKind


def run(turn: Turn, data: Data, watermark: int | None) -> None:
    """Fires every timer that is due at ``turn.now`` and ``watermark``; each takes itself away."""
    while True:
        come = {Clock.NOW: turn.now, Clock.WATERMARK: watermark}
        due = [
            (timer, incident.id)
            for incident in turn.incidents.values()
            for timer in timers(incident, data, turn.policy)
            if (until := come[timer.clock]) is not None and timer.at <= until
        ]
        if not due:
            return
        timer, incident_id = min(due)
        _fire(turn, turn.incidents[incident_id], timer, data)


def grouped(turn: Turn, incident: Incident, at: int) -> None:
    """The end of the group wait: whoever belongs to it has come, or comes as an edit."""
    state = IncidentState.FIRING if incident.state is IncidentState.PENDING else incident.state
    after = incident.model_copy(update={"state": state, "pending_until": None})
    if not speaks(after) and not after.posted:
        after = logged(after, turn.policy, at, Happening.HELD_BACK)
    turn.speak(after, at, NotifyReason.FIRST, None)


def awake(turn: Turn, incident: Incident, at: int, why: str) -> None:
    """The end of a snooze."""
    after = heard_again(incident, turn.now, snooze=None)
    after = logged(after, turn.policy, at, Happening.SNOOZE_OVER, detail=why)
    turn.speak(after, at, NotifyReason.SNOOZE_OVER, NotifyReason.SNOOZE_OVER)


def _fire(turn: Turn, incident: Incident, timer: Timer, data: Data) -> None:
    at, policy = timer.at, turn.policy
    match timer.kind:
        case TimerKind.GROUP_WAIT:
            grouped(turn, incident, at)
        case TimerKind.SNOOZE:
            awake(turn, incident, at, "its time is up")
        case TimerKind.UNEXPLAINED:
            after = lift(incident, at, turn.now, policy)
            turn.speak(after, at, NotifyReason.UNEXPLAINED, NotifyReason.UNEXPLAINED)
        case TimerKind.SILENT:
            hold(turn, at)
        case TimerKind.STEADY:
            after = heard_again(incident, turn.now, flapping=False, reopened_at=())
            after = logged(after, policy, at, Happening.STEADY, detail=incident.state.value)
            turn.put(after, at, NotifyReason.STEADY, NotifyReason.STEADY)
        case TimerKind.ESCALATE:
            level = incident.escalation_level + 1
            after = incident.model_copy(update={"escalation_level": level})
            after = logged(after, policy, at, Happening.ESCALATED, detail=f"level {level}")
            turn.put(after, at, NotifyReason.ESCALATED, NotifyReason.ESCALATED)
        case TimerKind.NO_DATA:
            since = last_data(incident, data) or last_alarm(incident)
            _stale(turn, incident, Stale(kind=StaleKind.NO_DATA, since=since), at)
        case TimerKind.NO_ALARM:
            _stale(turn, incident, Stale(kind=StaleKind.NO_ALARM, since=last_alarm(incident)), at)


def _stale(turn: Turn, incident: Incident, stale: Stale, at: int) -> None:
    after = incident.model_copy(update={"stale": stale})
    after = logged(after, turn.policy, at, Happening.STALE, detail=stale.kind.value)
    turn.put(after, at, NotifyReason.STALE)
