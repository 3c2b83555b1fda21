"""What became of an event: the word that goes to the log and to the counts."""

from __future__ import annotations

from enum import StrEnum

from detectors.incident.placement import Fit


class Verdict(StrEnum):
    """What became of an event."""

    OPENED = "opened"
    REFIRED = "refired"
    JOINED_BY_CAUSE = "joined_by_cause"
    JOINED_BY_RULE = "joined_by_rule"
    """Of another user's budget."""
    JOINED_BY_ONSET = "joined_by_onset"
    JOINED_BY_ROUTE = "joined_by_route"
    REOPENED = "reopened"
    COUNTED = "counted"
    """An alarm of a resolved incident that changes nothing of its end: from before it, or disowned."""
    NOTED = "noted"
    NOTE_KEPT = "note_kept"
    CASE_SHOWN = "case_shown"
    CASE_KEPT = "case_kept"
    MEMBER_RECOVERED = "member_recovered"
    RECOVERED = "recovered"
    """Every member has: the incident is resolved."""
    OVERTAKEN = "overtaken"
    """A recovery after which the rule has fired already."""
    UNMATCHED = "unmatched"
    """A recovery of a rule that no open incident names."""
    DATA = "data"
    DEPLOY = "deploy"
    DUE = "due"

    ACKED = "acked"
    UNACKED = "unacked"
    SNOOZED = "snoozed"
    ASSIGNED = "assigned"
    RESOLVED = "resolved"
    NOT_A_PROBLEM = "not_a_problem"
    MUTED = "muted"
    UNMUTED = "unmuted"

    DUPLICATE = "duplicate"
    UNKNOWN_INCIDENT = "unknown_incident"
    NOTHING_TO_DO = "nothing_to_do"
    """It is so already."""
    IS_RESOLVED = "is_resolved"
    REOPENED_SINCE = "reopened_since"
    """The person saw it before it came back."""
    NO_END = "no_end"
    """A snooze without an end: that is a mute."""
    TOO_LATE = "too_late"
    """A snooze that would have ended already."""


DONE = frozenset(
    {
        Verdict.ACKED, Verdict.UNACKED, Verdict.SNOOZED, Verdict.ASSIGNED, Verdict.RESOLVED,
        Verdict.NOT_A_PROBLEM, Verdict.MUTED, Verdict.UNMUTED,
    }
)  # fmt: skip
"""The verdicts of a command that was carried out."""
JOINED = {
    Fit.SAME_RULE: Verdict.REFIRED,
    Fit.SAME_CAUSE: Verdict.JOINED_BY_CAUSE,
    Fit.OTHER_USER: Verdict.JOINED_BY_RULE,
    Fit.SAME_ONSET: Verdict.JOINED_BY_ONSET,
    Fit.SAME_ROUTE: Verdict.JOINED_BY_ROUTE,
}
