"""The signals of one cause, from the first page to the end."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from schemas.base import WIRE_VERSION, Record, rfc3339
from schemas.signal import Cause, Severity, SignalName


class IncidentState(StrEnum):
    FIRING = "firing"
    ACKED = "acked"
    RESOLVED = "resolved"


class Member(Record):
    """One rule's alarm on one route within an incident; ``alarms`` counts how often it has fired since.

    ``onset``, ``detected_at`` and ``signal_id`` are those of its first alarm; ``value`` and ``n`` those
    of its latest (at ``last_at``); ``peak`` is the value farthest from the baseline. The rest is what
    the signal said, so that any member can speak for the incident.
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
    peak: float | None = None
    n: int = 0
    unit: str = ""
    budget: str = ""
    cause: Cause | None = None
    ruled_out: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    reason: str = ""


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

    ``revision`` rises with every change, and (id, revision) is what the store upserts by.
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
    peak: float | None = None
    n: int
    unit: str = ""
    direction: str = ""
    budget: str = ""
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
    revision: int = 1

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
