"""The signals of one cause, from the first page to the end."""

from __future__ import annotations

from typing import Any

from schemas.base import WIRE_VERSION, Record, rfc3339
from schemas.calibration import Calibration
from schemas.lifecycle import (
    Entry,
    Explained,
    IncidentState,
    Inhibition,
    Label,
    Resolution,
    Snooze,
    Stale,
)
from schemas.signal import Cause, Severity, SignalName, user_of

__all__ = ["CasePreview", "Incident", "IncidentState", "Member", "Note"]


class Member(Record):
    """One rule's alarm on one route within an incident (of users' budgets one user's); ``alarms`` counts how
    often it has fired since.

    ``onset``, ``detected_at`` and ``signal_id`` are those of its first alarm; ``value`` and ``n`` those
    of its latest (at ``last_at``); ``peak`` is the worst value seen, by ``direction``. The rest is what
    the signal said, so that any member can speak for the incident. The ``recovered_`` fields are those of
    the latest recovery, which an alarm after it undoes.
    """

    signal: SignalName
    rule: str
    severity: Severity
    onset: int
    detected_at: int
    signal_id: str
    route: str = ""
    onset_from: int | None = None
    onset_to: int | None = None
    alarms: int = 1
    last_at: int = 0
    direction: str = ""
    baseline: float | None = None
    baseline_n: int = 0
    baseline_note: str = ""
    value: float | None = None
    value_from: float | None = None
    value_to: float | None = None
    peak: float | None = None
    n: int = 0
    unit: str = ""
    evidence: float | None = None
    """log10 of the detector's statistic at the latest alarm, and of the bound that it passed."""
    threshold: float | None = None
    budget: str = ""
    scorer: str = ""
    owner: str = ""
    runbook: str = ""
    action: str = ""
    cause: Cause | None = None
    ruled_out: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    reason: str = ""
    recovered_at: int | None = None
    """Event time at which the latest recovery was shown."""
    recovered_since: int | None = None
    """Its estimated time of the return."""
    recovered_value: float | None = None
    recovered_n: int = 0
    resumed: int | None = None
    """Onset of the alarm that last undid a recovery: since when it has been wrong this time."""

    @property
    def user(self) -> str:
        """Whose budget it is of; empty for any other signal."""
        return user_of(self.signal, self.cause)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells the members of an incident apart: rule, route and, of a user's budget, the user."""
        return self.rule, self.route, self.user

    @property
    def recovered(self) -> bool:
        """Whether its rule has shown that the signal is back, and has not fired since."""
        return self.recovered_at is not None and self.recovered_at >= self.last_at


class Note(Record):
    """A change that was seen and doesn't page: evidence for every incident whose onset lies near it."""

    signal_id: str
    app: str
    environment: str
    route: str
    rule: str
    onset: int
    detected_at: int
    cause: Cause | None = None
    reason: str = ""


class CasePreview(Record):
    """A failing case, small enough for a page: the excerpt is redacted and at most 300 characters."""

    v: int = WIRE_VERSION
    case_id: str
    app: str
    environment: str
    route: str
    trace_id: str
    time: int
    reasons: tuple[str, ...] = ()
    score: float | None = None
    cost: float | None = None
    excerpt: str = ""


class Incident(Record):
    """One incident; its own signal, rule and numbers are those of its gravest member.

    ``revision`` rises with every change, and (id, revision) is what the store upserts by. Times are event
    time in epoch ms, except ``pending_until``, ``unattended_since``, ``escalates_at``, ``acked_at`` and those
    of a person's doing, which are of the clock of whoever runs the reducer: the wall clock in production,
    event time in a replay.
    """

    v: int = WIRE_VERSION
    id: str
    app: str
    environment: str
    route: str
    signal: SignalName
    rule: str
    severity: Severity
    state: IncidentState
    onset: int
    onset_from: int | None = None
    onset_to: int | None = None
    detected_at: int
    baseline: float | None = None
    baseline_n: int = 0
    baseline_note: str = ""
    value: float | None = None
    value_from: float | None = None
    """``value`` lies between these two (95 %), where that is known."""
    value_to: float | None = None
    peak: float | None = None
    n: int
    unit: str = ""
    direction: str = ""
    budget: str = ""
    owner: str = ""
    runbook: str = ""
    action: str = ""
    """What to do first, where the rules file says it."""
    cause: Cause | None = None
    ruled_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """Changes seen near the onset, in words; the newest last."""
    reason: str = ""
    members: tuple[Member, ...] = ()
    evidence: tuple[Note, ...] = ()
    """The changes behind ``notes``, oldest first."""
    examples: tuple[str, ...] = ()
    cases: tuple[CasePreview, ...] = ()
    updated_at: int = 0
    acked_by: str | None = None
    acked_at: int | None = None
    revision: int = 1
    fingerprint: str = ""
    """The same for every incident of this app, environment, rule and signal: no values, no versions."""
    recurs: int = 0
    """Earlier incidents of this fingerprint within the time that the policy looks back."""
    recurs_false: int = 0
    """So many of them a person has called no problem."""
    recurred_at: int | None = None
    """Detection of the latest of them."""
    calibration: Calibration | None = None
    """What reviewers said of the scorer behind it, as notify knew it at the last change; None where no member
    is of scores, or nothing is known of any review."""
    pending_until: int | None = None
    posted: bool = True
    """Whether its first message is owed or sent. Incidents of older files were always posted."""
    unattended_since: int | None = None
    """Since when it has been told and is nobody's: escalation counts from here."""
    resolved_at: int | None = None
    resolution: Resolution | None = None
    resolved_by: str | None = None
    reopened_at: tuple[int, ...] = ()
    """Event times of its latest reopenings, as far back as flapping is counted."""
    flapping: bool = False
    snooze: Snooze | None = None
    muted_by: str | None = None
    assignee: str | None = None
    escalation_level: int = 0
    escalates_at: int | None = None
    """When it rises to the next level, unless somebody acknowledges it."""
    inhibited: Inhibition | None = None
    explains: tuple[Explained, ...] = ()
    stale: Stale | None = None
    label: Label | None = None
    history: tuple[Entry, ...] = ()
    """The newest entries last; older ones are in earlier revisions on the topic ``incidents``."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """That of the member whose rule and numbers are the incident's own."""
        return self.rule, self.route, user_of(self.signal, self.cause)

    def summary(self) -> dict[str, Any]:
        """The INCIDENT object of the command-line contract, times as RFC 3339."""
        return {
            "id": self.id,
            "app": self.app,
            "environment": self.environment,
            "route": self.route,
            "signal": self.signal.value,
            "rule": self.rule,
            "severity": self.severity.value,
            "onset": rfc3339(self.onset),
            "detected_at": rfc3339(self.detected_at),
            "baseline": self.baseline,
            "value": self.value,
            "n": self.n,
            "members": [
                {
                    "signal": member.signal.value,
                    "rule": member.rule,
                    "onset": rfc3339(member.onset),
                    "detected_at": rfc3339(member.detected_at),
                }
                for member in self.members
            ],
            "cause": self.cause
            and {
                "dimension": self.cause.dimension,
                "from": self.cause.previous,
                "to": self.cause.current,
            },
        }
