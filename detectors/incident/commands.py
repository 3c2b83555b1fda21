"""What a person's command does to an incident; a command that comes too late does nothing, and says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from detectors.incident.placement import last_alarm
from detectors.incident.policy import Policy
from detectors.incident.states import heard_again, logged, resolved, unacked
from detectors.incident.verdict import Verdict
from schemas.base import rfc3339
from schemas.command import Command, Verb
from schemas.effect import NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import Happening, Label, LabelRecord, Resolution, Snooze


class Obeyed(NamedTuple):
    """The verdict; and where something was done, the incident after it and the reason of its edit.

    A person's own doing makes no message: whoever acted knows, and the edit shows it to the others.
    """

    verdict: Verdict
    incident: Incident | None = None
    reason: NotifyReason | None = None


def obey(incident: Incident, command: Command, now: int, policy: Policy) -> Obeyed:
    """``command`` on ``incident`` at ``now`` (epoch ms, the clock of people)."""
    verb = command.verb
    over = incident.state is IncidentState.RESOLVED
    if verb in OPEN_ONLY and over:
        return Obeyed(Verdict.IS_RESOLVED)
    if verb in SEEN and incident.reopened_at and command.time < incident.reopened_at[-1]:
        return Obeyed(Verdict.REOPENED_SINCE)
    refusal = _refusal(incident, command, now)
    if refusal is not None:
        return Obeyed(refusal)
    done = DO[verb]
    after = done.change(incident, command, now)
    detail = "; ".join(part for part in (_detail(command), command.note) if part)
    after = logged(after, policy, command.time, done.what, command.actor, detail)
    return Obeyed(done.verdict, after, done.reason)


OPEN_ONLY = frozenset({Verb.ACK, Verb.UNACK, Verb.SNOOZE, Verb.ASSIGN, Verb.RESOLVE, Verb.MUTE})
SEEN = frozenset({Verb.ACK, Verb.RESOLVE, Verb.NOT_A_PROBLEM})
"""What a person says of the incident as it was when they looked."""


def labels(incident: Incident) -> list[LabelRecord]:
    """What a person has said of each member's alarms; nothing where nobody has."""
    label = incident.label
    if label is None:
        return []
    return [
        LabelRecord(
            incident_id=incident.id, app=incident.app, environment=incident.environment, route=member.route,
            signal=member.signal, rule=member.rule, signal_id=member.signal_id, onset=member.onset,
            last_at=member.last_at, alarms=member.alarms, user=member.user, actor=label.actor,
            time=label.time, note=label.note,
        )
        for member in incident.members
    ]  # fmt: skip


def _refusal(incident: Incident, command: Command, now: int) -> Verdict | None:
    match command.verb:
        case Verb.ACK if incident.state is IncidentState.ACKED:
            return Verdict.NOTHING_TO_DO
        case Verb.UNACK if incident.state is not IncidentState.ACKED:
            return Verdict.NOTHING_TO_DO
        case Verb.SNOOZE if command.until is None and not command.until_deploy:
            return Verdict.NO_END
        case Verb.SNOOZE if command.until is not None and command.until <= now:
            return Verdict.TOO_LATE
        case Verb.ASSIGN if (command.assignee or None) == incident.assignee:
            return Verdict.NOTHING_TO_DO
        case Verb.NOT_A_PROBLEM if incident.label is not None:
            return Verdict.NOTHING_TO_DO
        case Verb.MUTE if incident.muted_by is not None:
            return Verdict.NOTHING_TO_DO
        case Verb.UNMUTE if incident.muted_by is None:
            return Verdict.NOTHING_TO_DO
        case _:
            return None


def _detail(command: Command) -> str:
    match command.verb:
        case Verb.SNOOZE:
            ends = [f"until {rfc3339(command.until)}"] if command.until is not None else []
            return " or ".join([*ends, *(["until the next deploy"] if command.until_deploy else [])])
        case Verb.ASSIGN:
            return f"to {command.assignee}" if command.assignee else "to nobody"
        case _:
            return ""


class _Do(NamedTuple):
    change: Callable[[Incident, Command, int], Incident]
    verdict: Verdict
    reason: NotifyReason
    what: Happening


def _with(incident: Incident, **changes: Any) -> Incident:
    return incident.model_copy(update=changes)


def _ack(incident: Incident, command: Command, now: int) -> Incident:
    return _with(
        incident,
        state=IncidentState.ACKED,
        acked_by=command.actor,
        acked_at=now,
        pending_until=None,
        escalation_level=0,
    )


def _unack(incident: Incident, command: Command, now: int) -> Incident:
    return unacked(incident, now)


def _snooze(incident: Incident, command: Command, now: int) -> Incident:
    snooze = Snooze(
        at=command.time,
        by=command.actor,
        until=command.until,
        deploy=command.until_deploy,
        after=last_alarm(incident),
    )
    return _with(incident, snooze=snooze)


def _assign(incident: Incident, command: Command, now: int) -> Incident:
    return _with(incident, assignee=command.assignee or None)


def _resolve(incident: Incident, command: Command, now: int) -> Incident:
    return resolved(incident, command.time, Resolution.BY_PERSON, command.actor)


def _not_a_problem(incident: Incident, command: Command, now: int) -> Incident:
    at = command.time if incident.resolved_at is None else incident.resolved_at
    after = resolved(incident, at, Resolution.NOT_A_PROBLEM, command.actor)
    return _with(
        after, label=Label(actor=command.actor, time=command.time, note=command.note), flapping=False
    )


def _mute(incident: Incident, command: Command, now: int) -> Incident:
    return _with(incident, muted_by=command.actor)


def _unmute(incident: Incident, command: Command, now: int) -> Incident:
    return heard_again(incident, now, muted_by=None)


DO: dict[Verb, _Do] = {
    Verb.ACK: _Do(_ack, Verdict.ACKED, NotifyReason.ACKED, Happening.ACKED),
    Verb.UNACK: _Do(_unack, Verdict.UNACKED, NotifyReason.UNACKED, Happening.UNACKED),
    Verb.SNOOZE: _Do(_snooze, Verdict.SNOOZED, NotifyReason.SNOOZED, Happening.SNOOZED),
    Verb.ASSIGN: _Do(_assign, Verdict.ASSIGNED, NotifyReason.ASSIGNED, Happening.ASSIGNED),
    Verb.RESOLVE: _Do(_resolve, Verdict.RESOLVED, NotifyReason.RESOLVED, Happening.RESOLVED),
    Verb.NOT_A_PROBLEM: _Do(
        _not_a_problem, Verdict.NOT_A_PROBLEM, NotifyReason.NOT_A_PROBLEM, Happening.NOT_A_PROBLEM
    ),
    Verb.MUTE: _Do(_mute, Verdict.MUTED, NotifyReason.MUTED, Happening.MUTED),
    Verb.UNMUTE: _Do(_unmute, Verdict.UNMUTED, NotifyReason.UNMUTED, Happening.UNMUTED),
}
