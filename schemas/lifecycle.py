"""What becomes of an incident after its first page: its states, who did what, and why it is silent."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import Record
from schemas.signal import SignalName


class IncidentState(StrEnum):
    """``pending`` waits for its fellow members and is not told yet; ``resolved`` is reached by the recovery
    of every member or by a person, never by silence."""

    PENDING = "pending"
    FIRING = "firing"
    ACKED = "acked"
    RESOLVED = "resolved"


class Resolution(StrEnum):
    """How an incident came to its end."""

    RECOVERED = "recovered"
    """Every member's rule has shown that its signal is back."""
    BY_PERSON = "by_person"
    NOT_A_PROBLEM = "not_a_problem"
    """By a person, who calls it a false positive."""


class Happening(StrEnum):
    """An entry of an incident's history."""

    OPENED = "opened"
    JOINED = "joined"
    WORSENED = "worsened"
    TOLD = "told"
    HELD_BACK = "held_back"
    EXPLAINED = "explained"
    """Another incident explains it: inhibited."""
    UNEXPLAINED = "unexplained"
    MEMBER_RECOVERED = "member_recovered"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    FLAPPING = "flapping"
    STEADY = "steady"
    STALE = "stale"
    DATA_BACK = "data_back"
    ESCALATED = "escalated"
    ACKED = "acked"
    ACK_EXPIRED = "ack_expired"
    UNACKED = "unacked"
    SNOOZED = "snoozed"
    SNOOZE_OVER = "snooze_over"
    ASSIGNED = "assigned"
    MUTED = "muted"
    UNMUTED = "unmuted"
    NOT_A_PROBLEM = "not_a_problem"
    ACCEPTED = "accepted"
    """A person has accepted what a member fired on as normal: its rule learns anew."""


class Entry(Record):
    """``what`` happened ``at`` (epoch ms); ``actor`` is a person, or empty where a rule or a timer did it."""

    at: int
    what: Happening
    actor: str = ""
    detail: str = ""


class Snooze(Record):
    """Silence asked for at ``at`` by ``by``: until ``until`` (epoch ms), or until the next deploy.

    ``after`` is the event time of the incident's latest alarm when it was asked: a change before it is no
    next deploy.
    """

    at: int
    by: str
    until: int | None = None
    deploy: bool = False
    after: int = 0


class Inhibition(Record):
    """The member of another incident that explains this one, since this event time.

    ``until`` is set once that member is over, or has been silent for too long: if this incident still stands
    then, it is told. ``heard`` is the event time of that member's latest alarm as it was last looked up.
    """

    incident_id: str
    signal: SignalName
    rule: str
    route: str
    since: int
    until: int | None = None
    heard: int | None = None
    why: str = ""
    """In words: how that member's move makes the measurement of this one unsound."""


class Explained(Record):
    """An incident that is not told because the one that holds this explains it."""

    incident_id: str
    signal: SignalName
    rule: str
    route: str


class StaleKind(StrEnum):
    """Why nothing is heard of an open incident; neither reason ends it."""

    NO_DATA = "no_data"
    """No units of its signals any more: it can't be known whether they are back."""
    NO_ALARM = "no_alarm"
    """Units, but neither an alarm nor a recovery for the quiet time: grouping has ended, the incident not."""


class Stale(Record):
    kind: StaleKind
    since: int
    """Event time of the last unit, or of the last alarm."""


class Label(Record):
    """A person's word on an incident: its alarms were false positives. ``time`` in epoch ms."""

    actor: str
    time: int
    note: str = ""


class LabelRecord(Record):
    """A labelled alarm: what a rule's measured precision and a backtest are computed from.

    One for each member: ``signal_id`` is its first alarm, ``alarms`` how often it fired, from ``onset`` to
    ``last_at`` in event time (epoch ms).
    """

    incident_id: str
    app: str
    environment: str
    route: str
    signal: SignalName
    rule: str
    signal_id: str
    onset: int
    last_at: int
    alarms: int
    user: str = ""
    """Of a user's budget the user; empty in labels from before it was told, which are of any."""
    verdict: str = "false_positive"
    actor: str
    time: int
    note: str = ""
