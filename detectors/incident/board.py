"""The running state of one app and environment, and the reducer over it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from detectors.incident.cases import choose, relevant
from detectors.incident.members import member_of, refired
from detectors.incident.placement import Fit, is_open, last_alarm, place
from detectors.incident.policy import Policy
from detectors.incident.settle import keep, near, settle
from detectors.incident.told import effect, told
from schemas.command import Command
from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.identity import derive
from schemas.incident import CasePreview, Incident, IncidentState, Note
from schemas.signal import Signal


class Verdict(StrEnum):
    """What became of an event."""

    OPENED = "opened"
    REFIRED = "refired"
    JOINED_BY_CAUSE = "joined_by_cause"
    JOINED_BY_ONSET = "joined_by_onset"
    JOINED_BY_ROUTE = "joined_by_route"
    NOTED = "noted"
    NOTE_KEPT = "note_kept"
    CASE_SHOWN = "case_shown"
    CASE_KEPT = "case_kept"
    ACKED = "acked"
    DUPLICATE = "duplicate"
    UNKNOWN_INCIDENT = "unknown_incident"
    NOTHING_TO_DO = "nothing_to_do"


JOINED = {
    Fit.SAME_RULE: Verdict.REFIRED,
    Fit.SAME_CAUSE: Verdict.JOINED_BY_CAUSE,
    Fit.SAME_ONSET: Verdict.JOINED_BY_ONSET,
    Fit.SAME_ROUTE: Verdict.JOINED_BY_ROUTE,
}


@dataclass(frozen=True)
class Step:
    """What one event changed: the incidents in their new revision, and what is owed to the outside."""

    verdict: Verdict
    incidents: tuple[Incident, ...] = ()
    effects: tuple[Effect, ...] = ()


class Board:
    """The incidents, remembered changes and recent cases of one app and environment.

    ``absorb`` takes one event and answers what it changed; the same events in the same order give the
    same incidents, and an event whose id is in ``seen`` changes nothing. Alarms belong in the order of
    the log, which for one app is the order of detection: grouping looks at what is already open, so
    alarms handed over in another order may be grouped otherwise (:func:`~detectors.incident.group.group`
    sorts, and so does notify within a batch).
    """

    def __init__(
        self,
        policy: Policy | None = None,
        incidents: Iterable[Incident] = (),
        notes: Iterable[Note] = (),
        previews: Iterable[CasePreview] = (),
        seen: Iterable[str] = (),
    ) -> None:
        self.policy = policy or Policy()
        self.incidents = {incident.id: incident for incident in incidents}
        self.notes = {note.signal_id: note for note in notes}
        self.previews = {preview.case_id: preview for preview in previews}
        self.seen = set(seen)

    def absorb(self, event: Signal | CasePreview | Command) -> Step:
        if isinstance(event, CasePreview):
            return self._preview(event)
        if event.id in self.seen:
            return Step(Verdict.DUPLICATE)
        self.seen.add(event.id)
        if isinstance(event, Command):
            return self._command(event)
        return self._alarm(event) if event.pages else self._note(event)

    def retire(self, at: int) -> list[Incident]:
        """Forget what nothing detected ``at`` or later can touch; the incidents among it are the answer."""
        ended = [one for one in self.incidents.values() if last_alarm(one) + self.policy.quiet_ms < at]
        for incident in ended:
            del self.incidents[incident.id]
        old = at - self.policy.note_ms
        self.notes = {key: note for key, note in self.notes.items() if note.detected_at >= old}
        return ended

    def _alarm(self, alarm: Signal) -> Step:
        fit, incident_id = place(alarm, self.incidents.values(), self.policy)
        if incident_id is None:
            incident = self._fill(self._with_evidence(_opened(alarm), alarm.detected_at))
            self.incidents[incident.id] = incident
            return Step(
                Verdict.OPENED,
                (incident,),
                (effect(incident, EffectKind.POST, NotifyReason.FIRST, alarm.id),),
            )
        before = self.incidents[incident_id]
        if fit is Fit.SAME_RULE:
            members = tuple(
                refired(member, alarm) if (member.rule, member.route) == (alarm.rule, alarm.route) else member
                for member in before.members
            )
        else:
            members = (*before.members, member_of(alarm))
        grown = before.model_copy(update={"members": members})
        after = self._revised(self._fill(self._with_evidence(grown, alarm.detected_at)), alarm.detected_at)
        return Step(JOINED[fit], (after,), told(before, after, fit is not Fit.SAME_RULE, alarm))

    def _note(self, signal: Signal) -> Step:
        note = note_of(signal)
        self.notes[note.signal_id] = note
        changed = []
        for incident in list(self.incidents.values()):
            if is_open(incident, note.detected_at, self.policy) and near(note, incident.members, self.policy):
                evidence = keep((*incident.evidence, note), incident.onset, self.policy)
                if evidence != incident.evidence:
                    settled = settle(incident.model_copy(update={"evidence": evidence}), self.policy)
                    changed.append(self._revised(settled, note.detected_at))
        effects = tuple(
            effect(incident, EffectKind.EDIT, NotifyReason.EVIDENCE, urgent=True) for incident in changed
        )
        return Step(Verdict.NOTED if changed else Verdict.NOTE_KEPT, tuple(changed), effects)

    def _preview(self, preview: CasePreview) -> Step:
        if preview.case_id in self.previews:
            return Step(Verdict.DUPLICATE)
        self.previews[preview.case_id] = preview
        self._bound(preview.route)
        changed = []
        for incident in list(self.incidents.values()):
            shown = {case.case_id for case in incident.cases}
            if (
                len(shown) < self.policy.cases
                and preview.case_id not in shown
                and incident.state is not IncidentState.RESOLVED
                and relevant(preview, incident, self.policy)
            ):
                with_case = incident.model_copy(update={"cases": choose(incident, [preview], self.policy)})
                changed.append(self._revised(with_case, preview.time))
        effects = tuple(
            effect(incident, EffectKind.EDIT, NotifyReason.CASES, urgent=True) for incident in changed
        )
        return Step(Verdict.CASE_SHOWN if changed else Verdict.CASE_KEPT, tuple(changed), effects)

    def _command(self, command: Command) -> Step:
        incident = self.incidents.get(command.incident_id)
        if incident is None:
            return Step(Verdict.UNKNOWN_INCIDENT)
        if incident.state is not IncidentState.FIRING:
            return Step(Verdict.NOTHING_TO_DO)
        acked = incident.model_copy(update={"state": IncidentState.ACKED, "acked_by": command.actor})
        acked = self._revised(acked, command.time)
        return Step(
            Verdict.ACKED, (acked,), (effect(acked, EffectKind.EDIT, NotifyReason.ACKED, urgent=True),)
        )

    def _with_evidence(self, incident: Incident, at: int) -> Incident:
        found = (
            note
            for note in self.notes.values()
            if note.detected_at >= at - self.policy.note_ms and near(note, incident.members, self.policy)
        )
        return settle(incident.model_copy(update={"evidence": (*incident.evidence, *found)}), self.policy)

    def _fill(self, incident: Incident) -> Incident:
        return incident.model_copy(update={"cases": choose(incident, self.previews.values(), self.policy)})

    def _revised(self, incident: Incident, at: int) -> Incident:
        after = incident.model_copy(
            update={"revision": incident.revision + 1, "updated_at": max(incident.updated_at, at)}
        )
        self.incidents[after.id] = after
        return after

    def _bound(self, route: str) -> None:
        """Drop the route's oldest previews beyond the ring."""
        ours = [preview for preview in self.previews.values() if preview.route == route]
        for old in sorted(ours, key=lambda preview: (preview.time, preview.case_id))[: -self.policy.ring]:
            del self.previews[old.case_id]


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


def _opened(alarm: Signal) -> Incident:
    """An incident of one member; everything else about it is settled from that member."""
    return Incident(
        id=derive("incident", alarm.app, alarm.environment, alarm.rule, alarm.id),
        app=alarm.app,
        environment=alarm.environment,
        route=alarm.route,
        signal=alarm.signal,
        rule=alarm.rule,
        severity=alarm.severity,
        state=IncidentState.FIRING,
        onset=alarm.onset,
        detected_at=alarm.detected_at,
        baseline=alarm.baseline,
        value=alarm.value,
        n=alarm.n,
        members=(member_of(alarm),),
        updated_at=alarm.detected_at,
    )
