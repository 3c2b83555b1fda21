"""The running state of one app and environment, and the reducer over it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from detectors.incident import ticks
from detectors.incident.alarms import extend, reopen
from detectors.incident.cases import choose, relevant
from detectors.incident.commands import obey
from detectors.incident.deploys import Deploy, ends, noted
from detectors.incident.hold import hold
from detectors.incident.members import is_news, member_for, member_of, refired
from detectors.incident.placement import is_open, last_alarm, place
from detectors.incident.policy import Policy
from detectors.incident.recoveries import recover
from detectors.incident.settle import keep, near, settle
from detectors.incident.states import logged, opened
from detectors.incident.timers import Due, due, last_data
from detectors.incident.turn import Step, Turn
from detectors.incident.verdict import JOINED, Verdict
from schemas.command import Command, Verb
from schemas.effect import NotifyReason
from schemas.incident import CasePreview, Incident, IncidentState, Note
from schemas.lifecycle import Happening, Resolution, StaleKind
from schemas.signal import Recovery, Signal, SignalName, WindowStat

Event = Signal | Recovery | WindowStat | CasePreview | Command | Deploy


class Past(NamedTuple):
    """An incident that is remembered for its recurrence only."""

    id: str
    fingerprint: str
    detected_at: int
    false: bool = False
    """A person has called it no problem."""


class Board:
    """The incidents, remembered changes and recent cases of one app and environment.

    ``absorb`` takes one event and answers what it changed; the same events in the same order give the
    same incidents, and an event whose id is in ``seen`` changes nothing. Alarms belong in the order of
    the log, which for one app is the order of detection: grouping looks at what is already open, so
    alarms handed over in another order may be grouped otherwise (:func:`~detectors.incident.group.group`
    sorts, and so does notify within a batch). ``now`` is the clock of people (epoch ms), by default the
    event's own time, as in a replay; ``due`` does what time alone brings.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        incidents: Iterable[Incident] = (),
        notes: Iterable[Note] = (),
        previews: Iterable[CasePreview] = (),
        seen: Iterable[str] = (),
        data: Mapping[tuple[str, SignalName], int] | None = None,
        past: Iterable[Past] = (),
    ) -> None:
        self.policy = policy or Policy()
        self.incidents = {incident.id: incident for incident in incidents}
        self.notes = {note.signal_id: note for note in notes}
        self.previews = {preview.case_id: preview for preview in previews}
        self.seen = set(seen)
        self.data = dict(data or {})
        """Route and signal to the event time up to which units are known."""
        self.past = {one.id: one for one in past}

    def absorb(self, event: Event, now: int | None = None) -> Step:
        turn = Turn(self.incidents, self.policy, time_of(event) if now is None else now)
        if isinstance(event, CasePreview):
            return turn.step(self._preview(event, turn))
        if isinstance(event, WindowStat):
            return turn.step(self._data(event, turn))
        if event.id in self.seen:
            return Step(Verdict.DUPLICATE)
        self.seen.add(event.id)
        if isinstance(event, Command):
            return turn.step(self._command(event, turn))
        if isinstance(event, Recovery):
            return turn.step(recover(turn, event))
        if isinstance(event, Deploy):
            return turn.step(self._deploy(event, turn))
        return turn.step(self._alarm(event, turn) if event.pages else self._note(event, turn))

    def due(self, now: int, watermark: int | None = None) -> Step:
        """What has become due up to ``now`` and up to event time ``watermark`` (epoch ms; None: not known).

        In the order of the due times, each at its own: looking more often changes nothing but the delay.
        Escalation counts from the moment of telling, which is ``now``.
        """
        turn = Turn(self.incidents, self.policy, now)
        ticks.run(turn, self.data, watermark)
        return turn.step(Verdict.DUE)

    def release(self, now: int) -> Step:
        """Ends every group wait: the process is about to stop, or the file has come to its end."""
        turn = Turn(self.incidents, self.policy, now)
        for incident in list(self.incidents.values()):
            if incident.state is IncidentState.PENDING:
                ticks.grouped(turn, incident, min(incident.pending_until or now, now))
        return turn.step(Verdict.DUE)

    def next_due(self, incident_id: str) -> Due:
        """When an incident has to be looked at again."""
        return due(self.incidents[incident_id], self.data, self.policy)

    def retire(self, at: int) -> list[Incident]:
        """Forget what nothing detected ``at`` or later can touch; the incidents among it are the answer.

        Only resolved incidents are forgotten: one that has been quiet for long waits for its recovery.
        """
        ended = [
            one
            for one in self.incidents.values()
            if one.state is IncidentState.RESOLVED and over(one) + self.policy.reach_ms < at
        ]
        for incident in ended:
            del self.incidents[incident.id]
            self.past[incident.id] = _past(incident)
        old = at - self.policy.note_ms
        self.notes = {key: note for key, note in self.notes.items() if note.detected_at >= old}
        return ended

    def _alarm(self, alarm: Signal, turn: Turn) -> Verdict:
        fit, incident_id = place(alarm, self.incidents.values(), self.policy)
        at = alarm.detected_at
        if incident_id is None:
            turn.open(self._filled(self._with_evidence(opened(alarm, turn.now, self.policy), at)))
            hold(turn, at)
            self._unless_waiting(turn)
            return Verdict.OPENED
        before = self.incidents[incident_id]
        own = member_for(before, alarm)
        if own is not None:
            again = refired(own, alarm)
            members = tuple(again if member is own else member for member in before.members)
        else:
            again, members = member_of(alarm), (*before.members, member_of(alarm))
        after = before.model_copy(update={"members": members})
        after = self._filled(self._with_evidence(after, at))
        if before.state is IncidentState.RESOLVED:
            # What was called no problem, and what was detected before the end, is counted and no more; but
            # whoever ended it had not seen what is graver.
            stale = before.resolution is Resolution.NOT_A_PROBLEM or at <= (before.resolved_at or 0)
            stale = stale and not is_news(before, alarm)
            ended = again.recovered if before.resolution is Resolution.RECOVERED else stale
            if own is not None and ended:
                turn.put(after, at, NotifyReason.REFIRED)
                return Verdict.COUNTED
            reopen(turn, before, after, alarm, grew=own is None)
            hold(turn, at)
            return Verdict.REOPENED
        extend(turn, before, after, alarm, grew=own is None)
        hold(turn, at)
        return JOINED[fit]

    def _note(self, signal: Signal, turn: Turn) -> Verdict:
        note = note_of(signal)
        self.notes[note.signal_id] = note
        changed = False
        for incident in list(self.incidents.values()):
            if is_open(incident, note.detected_at, self.policy) and near(note, incident.members, self.policy):
                evidence = keep((*incident.evidence, note), incident.onset, self.policy)
                if evidence != incident.evidence:
                    changed = True
                    after = self._settled(incident.model_copy(update={"evidence": evidence}))
                    turn.put(after, note.detected_at, NotifyReason.EVIDENCE, urgent=True)
        if (deploy := noted(note)) is not None:
            self._deploy(deploy, turn)
        return Verdict.NOTED if changed else Verdict.NOTE_KEPT

    def _deploy(self, deploy: Deploy, turn: Turn) -> Verdict:
        for incident in list(self.incidents.values()):
            if incident.snooze is not None and ends(incident.snooze, deploy):
                ticks.awake(turn, incident, deploy.at, f"{deploy.dimension} {deploy.current}")
        return Verdict.DEPLOY

    def _data(self, window: WindowStat, turn: Turn) -> Verdict:
        if window.n <= 0:
            return Verdict.DATA
        key = window.route, window.signal
        self.data[key] = max(window.end, self.data.get(key, window.end))
        for incident in list(self.incidents.values()):
            stale = incident.stale
            if stale is None or stale.kind is not StaleKind.NO_DATA:
                continue
            if (last_data(incident, self.data) or 0) > stale.since:
                after = incident.model_copy(update={"stale": None})
                after = logged(after, self.policy, window.end, Happening.DATA_BACK)
                turn.put(after, window.end, NotifyReason.DATA_BACK)
        return Verdict.DATA

    def _preview(self, preview: CasePreview, turn: Turn) -> Verdict:
        if preview.case_id in self.previews:
            return Verdict.DUPLICATE
        self.previews[preview.case_id] = preview
        self._bound(preview.route)
        changed = False
        for incident in list(self.incidents.values()):
            shown = {case.case_id for case in incident.cases}
            if (
                len(shown) < self.policy.cases
                and preview.case_id not in shown
                and incident.state is not IncidentState.RESOLVED
                and relevant(preview, incident, self.policy)
            ):
                changed = True
                with_case = incident.model_copy(update={"cases": choose(incident, [preview], self.policy)})
                turn.put(with_case, preview.time, NotifyReason.CASES, urgent=True)
        return Verdict.CASE_SHOWN if changed else Verdict.CASE_KEPT

    def _command(self, command: Command, turn: Turn) -> Verdict:
        incident = self.incidents.get(command.incident_id)
        if incident is None:
            return Verdict.UNKNOWN_INCIDENT
        verdict, after, reason = obey(incident, command, turn.now, self.policy)
        if after is None or reason is None:
            return verdict
        if command.verb is Verb.UNMUTE:
            turn.speak(after, command.time, reason, None)
        elif command.verb in (Verb.ACK, Verb.ASSIGN) and incident.state is IncidentState.PENDING:
            # Somebody is on it already: nobody waits any longer for who else belongs to it.
            ticks.grouped(turn, after, command.time)
        else:
            turn.put(after, command.time, reason, urgent=True)
        if after.state is IncidentState.RESOLVED:
            hold(turn, command.time, at_once=True)
        return verdict

    def _unless_waiting(self, turn: Turn) -> None:
        if self.policy.group_wait_ms <= 0:
            for incident_id in list(turn.changed):
                incident = self.incidents[incident_id]
                if incident.state is IncidentState.PENDING:
                    ticks.grouped(turn, incident, turn.now)

    def _with_evidence(self, incident: Incident, at: int) -> Incident:
        found = (
            note
            for note in self.notes.values()
            if note.detected_at >= at - self.policy.note_ms and near(note, incident.members, self.policy)
        )
        return self._settled(incident.model_copy(update={"evidence": (*incident.evidence, *found)}))

    def _settled(self, incident: Incident) -> Incident:
        """The incident's own numbers, and how often its like has been before."""
        after = settle(incident, self.policy)
        earliest = after.detected_at - self.policy.recur_ms
        known = {one.id: _past(one) for one in self.incidents.values()}
        before = [
            one
            for one in (self.past | known).values()
            if one.fingerprint == after.fingerprint
            and one.id != after.id
            and earliest <= one.detected_at < after.detected_at
        ]
        return after.model_copy(
            update={
                "recurs": len(before),
                "recurs_false": sum(one.false for one in before),
                "recurred_at": max((one.detected_at for one in before), default=None),
            }
        )

    def _filled(self, incident: Incident) -> Incident:
        return incident.model_copy(update={"cases": choose(incident, self.previews.values(), self.policy)})

    def _bound(self, route: str) -> None:
        """Drop the route's oldest previews beyond the ring."""
        ours = [preview for preview in self.previews.values() if preview.route == route]
        for old in sorted(ours, key=lambda preview: (preview.time, preview.case_id))[: -self.policy.ring]:
            del self.previews[old.case_id]


def _past(incident: Incident) -> Past:
    return Past(incident.id, incident.fingerprint, incident.detected_at, incident.label is not None)


def over(incident: Incident) -> int:
    """Event time of what came last: its latest alarm, or its end."""
    return max(last_alarm(incident), incident.resolved_at or 0)


def time_of(event: Event) -> int:
    """The event's own time, epoch ms."""
    match event:
        case Signal() | Recovery():
            return event.detected_at
        case WindowStat():
            return event.end
        case Deploy():
            return event.at
        case _:
            return event.time


def note_of(signal: Signal) -> Note:
    return Note(
        signal_id=signal.id,
        app=signal.app,
        environment=signal.environment,
        route=signal.route,
        rule=signal.rule,
        onset=signal.onset,
        detected_at=signal.detected_at,
        cause=signal.cause,
        reason=signal.reason,
    )
