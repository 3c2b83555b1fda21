"""What a change of an incident asks of the outside: a post, an edit, a reply; and why."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Record


class EffectKind(StrEnum):
    """``POST`` is an incident's first message, of which there is one; an ``EDIT`` notifies nobody; a
    ``REPLY`` in its thread does."""

    POST = "post"
    EDIT = "edit"
    REPLY = "reply"


class NotifyReason(StrEnum):
    """Why a message is sent or changed; the same word goes to the log, the row and the message."""

    FIRST = "first"
    WORSENED = "worsened"
    GREW = "grew"
    REFIRED = "refired"
    CAUSE_FOUND = "cause_found"
    """A further alarm of the same rule says what explains it, which the ones before did not."""
    EVIDENCE = "evidence"
    CASES = "cases"
    ACKED = "acked"
    UNACKED = "unacked"
    ACK_EXPIRED = "ack_expired"
    ESCALATED = "escalated"
    SNOOZED = "snoozed"
    SNOOZE_OVER = "snooze_over"
    ASSIGNED = "assigned"
    MUTED = "muted"
    UNMUTED = "unmuted"
    EXPLAINED = "explained"
    """Another incident explains it now: it is held back."""
    UNEXPLAINED = "unexplained"
    EXPLAINS = "explains"
    """It explains others, which are held back."""
    MEMBER_RECOVERED = "member_recovered"
    RECOVERED = "recovered"
    RESOLVED = "resolved"
    NOT_A_PROBLEM = "not_a_problem"
    REOPENED = "reopened"
    FLAPPING = "flapping"
    STEADY = "steady"
    STALE = "stale"
    DATA_BACK = "data_back"
    CHART = "chart"
    """The chart may be shown in the first message now."""
    ROOT_LOST = "root_lost"
    FELL_BACK = "fell_back"
    """While the receiver did not take it, it was told elsewhere: said once the receiver is back."""


class Effect(Record):
    """``kind`` for ``reason``, owed to the incident at this ``revision``.

    ``member`` is the signal id of the member that a reply is about. An ``urgent`` edit is not held
    back to once a minute: somebody waits for it.
    """

    kind: EffectKind
    incident_id: str
    revision: int
    reason: NotifyReason
    member: str | None = None
    urgent: bool = False
