"""What a day or a week of alerting came to: values that a receiver puts into words."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import WIRE_VERSION, Record
from schemas.calibration import Calibration
from schemas.lifecycle import IncidentState
from schemas.signal import Severity, SignalName


class Period(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"


class Worst(Record):
    """An incident that was open in the period, with the worst value that it had."""

    incident_id: str
    app: str
    environment: str
    route: str
    signal: SignalName
    severity: Severity
    state: IncidentState
    baseline: float | None = None
    peak: float | None = None
    onset: int
    direction: str = ""


class Quiet(Record):
    """An incident that was kept from people, or told of in edits only, and why."""

    incident_id: str
    app: str
    signal: SignalName
    why: str


class RuleRecord(Record):
    """A rule's incidents in the days that are looked back on, and how many people called no problem.

    Of the others nobody has said that they were right: ``1 - false / incidents`` is what its precision is at
    most. ``covers`` segments had its detector lately; None where nothing is known of that.
    """

    rule: str
    incidents: int
    false: int
    covers: int | None = None


class Spend(Record):
    """An app's dollars: of the period, and of the month at the rate of its last whole days.

    ``month`` is None for fewer than three whole days. ``unpriced`` requests have no price and are in no sum.
    """

    app: str
    period: float
    days: int
    daily: float | None = None
    month: float | None = None
    unpriced: int = 0


class NewCases(Record):
    """A cluster of failing cases that was first seen in the period."""

    cluster_id: str
    app: str
    cases: int
    reasons: tuple[str, ...]
    question: str = ""


class Digest(Record):
    """A period of alerting, ``[start, end)`` in epoch ms; ``cases_why`` is why there are no cases to show.

    ``worst_more``, ``quiet_more`` and so on: how many there are beyond those listed.
    """

    v: int = WIRE_VERSION
    id: str
    period: Period
    start: int
    end: int
    opened: int
    resolved: int
    still_open: int
    worst: tuple[Worst, ...] = ()
    worst_more: int = 0
    quiet: tuple[Quiet, ...] = ()
    quiet_more: int = 0
    rules: tuple[RuleRecord, ...] = ()
    """The rules that have fired falsely, and those that have never fired, over ``looked_back_days``."""
    looked_back_days: int = 30
    spend: tuple[Spend, ...] = ()
    spend_more: int = 0
    calibrations: tuple[Calibration, ...] = ()
    calibrations_more: int = 0
    calibrations_known: bool = False
    """Whether anything has been told of reviewers: nothing reviewed is another thing than nothing known."""
    cases: tuple[NewCases, ...] = ()
    cases_more: int = 0
    cases_why: str = ""
