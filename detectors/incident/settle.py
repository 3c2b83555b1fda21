"""An incident's own numbers and cause, from its members and its evidence."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.incident.members import gravity
from detectors.incident.policy import Policy
from schemas.identity import derive
from schemas.incident import Incident, Member, Note
from schemas.signal import Cause


def settle(incident: Incident, policy: Policy) -> Incident:
    """``incident`` as its gravest member tells it; the same members and evidence give the same answer.

    The severity is the gravest of all members'. The cause is the gravest member's, else the first that
    any member has, else that of the change nearest to the onset, if it is within the window: a change
    that happened an hour before explains nothing by having happened.
    """
    members = tuple(sorted(incident.members, key=lambda member: (member.detected_at, member.signal_id)))
    ranked = sorted(members, key=gravity)
    gravest = ranked[0]
    evidence = keep(incident.evidence, gravest.onset, policy)
    return incident.model_copy(
        update={
            "fingerprint": fingerprint(incident, gravest),
            "route": gravest.route,
            "signal": gravest.signal,
            "rule": gravest.rule,
            "severity": min((member.severity for member in members), key=lambda severity: severity.rank),
            "onset": gravest.onset,
            "onset_from": gravest.onset_from,
            "onset_to": gravest.onset_to,
            "detected_at": gravest.detected_at,
            "baseline": gravest.baseline,
            "baseline_n": gravest.baseline_n,
            "baseline_note": gravest.baseline_note,
            "value": gravest.value,
            "value_from": gravest.value_from,
            "value_to": gravest.value_to,
            "peak": gravest.peak,
            "n": gravest.n,
            "unit": gravest.unit,
            "direction": gravest.direction,
            "budget": gravest.budget,
            "owner": gravest.owner,
            "runbook": gravest.runbook,
            "action": gravest.action,
            "cause": _cause(ranked, evidence, policy),
            "ruled_out": gravest.ruled_out,
            "reason": gravest.reason,
            "examples": gravest.examples,
            "members": members,
            "evidence": evidence,
            "notes": tuple(dict.fromkeys(note.reason for note in evidence if note.reason)),
        }
    )


def fingerprint(incident: Incident, member: Member) -> str:
    """What tells a recurrence: app, environment, rule and signal; no value, version, route or time."""
    return derive("fingerprint", incident.app, incident.environment, member.rule, member.signal.value)


def near(note: Note, members: Iterable[Member], policy: Policy) -> bool:
    """Whether a change lies within the window of any member's onset: before or after, it is estimated."""
    return any(abs(note.onset - member.onset) <= policy.window_ms for member in members)


def keep(notes: Iterable[Note], onset: int, policy: Policy) -> tuple[Note, ...]:
    """The notes nearest to ``onset``, as many as an incident keeps, oldest first."""
    by_id = {note.signal_id: note for note in notes}
    nearest = sorted(by_id.values(), key=lambda note: (abs(note.onset - onset), note.onset, note.signal_id))
    return tuple(sorted(nearest[: policy.evidence], key=lambda note: (note.onset, note.signal_id)))


def _cause(ranked: list[Member], evidence: tuple[Note, ...], policy: Policy) -> Cause | None:
    for member in ranked:
        if member.cause is not None:
            return member.cause
    onset = ranked[0].onset
    candidates = [
        (abs(note.onset - onset), note.onset, note.signal_id, note.cause)
        for note in evidence
        if note.cause is not None and abs(note.onset - onset) <= policy.window_ms
    ]
    return min(candidates, key=lambda candidate: candidate[:3])[3] if candidates else None
