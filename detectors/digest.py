"""A day or a week of alerting as a digest: from incidents, labels, spend and rules, and nothing else."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from detectors.rules import MONITORED, Rule
from schemas.calibration import Calibration, Calibrations
from schemas.digest import Digest, NewCases, Period, Quiet, RuleRecord, Spend, Worst
from schemas.identity import derive
from schemas.incident import Incident, IncidentState
from schemas.lifecycle import LabelRecord

DAY_MS = 86_400_000
LENGTH_MS = {Period.DAILY: DAY_MS, Period.WEEKLY: 7 * DAY_MS}
LOOK_BACK_DAYS = 30
WORST, QUIET, APPS, CASES, SCORERS = 5, 8, 8, 5, 8
"""So many of each are shown."""
RATE_DAYS, LEAST_DAYS = 7, 3
"""Whole days that a forecast rests on, at most and at least."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class DaySpend(NamedTuple):
    """Dollars of an app on a UTC day (number of days since 1970), and its requests without a price."""

    app: str
    day: int
    dollars: float
    unpriced: int


class Seen(NamedTuple):
    """What a digest is made of. ``covers`` is the number of segments of each rule, None if not known;
    ``cases_in_all`` of the clusters that ``cases`` are the first of, None where these are all."""

    incidents: Sequence[Incident]
    labels: Sequence[LabelRecord]
    spend: Sequence[DaySpend]
    covers: Mapping[str, int] | None
    cases: Sequence[NewCases]
    cases_why: str = ""
    cases_in_all: int | None = None
    calibrations: Calibrations | None = None


def latest_due(period: Period, when: str, zone: str, now: int) -> int:
    """The latest time at or before ``now`` (epoch ms) at which a digest was due; ``when`` is ``09:00``, or
    ``mon 09:00`` for a weekly one, in ``zone``.

    >>> latest_due(Period.DAILY, "09:00", "UTC", 1_772_355_900_000)  # 1 March 2026, 09:05
    1772355600000
    >>> latest_due(Period.WEEKLY, "mon 09:00", "UTC", 1_772_355_900_000) == 1772355600000 - 6 * DAY_MS
    True
    """
    day, _, clock = when.rpartition(" ")
    hour, _, minute = clock.partition(":")
    here = datetime.fromtimestamp(now / 1000, UTC).astimezone(ZoneInfo(zone))
    due = here.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)
    back = (due.weekday() - WEEKDAYS.index(day)) % 7 if period is Period.WEEKLY else 0
    due -= timedelta(days=back)
    if due.timestamp() * 1000 > now:
        due -= timedelta(days=7 if period is Period.WEEKLY else 1)
    return round(due.timestamp() * 1000)


def digest(period: Period, end: int, rules: Sequence[Rule], seen: Seen, start: int | None = None) -> Digest:
    """The digest of the period from ``start`` to ``end`` (epoch ms); without ``start`` of 24 hours or 7 days.

    One that is due begins where the one before it was due: 23 or 25 hours where the clocks change.

    ``incidents`` are all that were open or detected in the last thirty days. Their times are event time,
    which in a live service is the period's. What came to its end after ``end`` was open then.
    """
    start = end - LENGTH_MS[period] if start is None else start
    known = [_as_of(one, end) for one in seen.incidents]
    mine = [one for one in known if one.detected_at < end and _until(one) >= start]
    opened = [one for one in mine if one.detected_at >= start]
    quiet = [one for incident in mine if (one := _quiet(incident)) is not None]
    spent = spend(seen.spend, start, end)
    figures = [] if seen.calibrations is None else sorted(seen.calibrations.figures, key=_least_trusted)
    kinds = len(seen.cases) if seen.cases_in_all is None else seen.cases_in_all
    return Digest(
        id=derive("digest", period.value, end),
        period=period,
        start=start,
        end=end,
        opened=len(opened),
        resolved=sum(one.resolved_at is not None and start <= one.resolved_at < end for one in mine),
        still_open=sum(one.state is not IncidentState.RESOLVED for one in mine),
        worst=tuple(_worst(one) for one in sorted(mine, key=_gravity)[:WORST]),
        worst_more=max(0, len(mine) - WORST),
        quiet=tuple(quiet[:QUIET]),
        quiet_more=max(0, len(quiet) - QUIET),
        rules=tuple(records(rules, seen.incidents, seen.labels, end, seen.covers)),
        looked_back_days=LOOK_BACK_DAYS,
        spend=tuple(spent[:APPS]),
        spend_more=max(0, len(spent) - APPS),
        calibrations=tuple(figures[:SCORERS]),
        calibrations_more=max(0, len(figures) - SCORERS),
        calibrations_known=seen.calibrations is not None,
        cases=tuple(seen.cases)[:CASES],
        cases_more=max(0, kinds - CASES),
        cases_why=seen.cases_why,
    )


def records(
    rules: Iterable[Rule],
    incidents: Sequence[Incident],
    labels: Sequence[LabelRecord],
    end: int,
    covers: Mapping[str, int] | None,
) -> list[RuleRecord]:
    """Of each rule that pages what it did in thirty days: those with false alarms first, the most first, then
    those that never fired; rules that fired and were never called wrong are left out."""
    since = end - LOOK_BACK_DAYS * DAY_MS
    found = []
    for rule in rules:
        if not rule.pages:
            continue
        fired = {
            one.id
            for one in incidents
            for member in one.members
            if member.rule == rule.name and since <= member.detected_at < end
        }
        false = {label.incident_id for label in labels if label.rule == rule.name} & fired
        if false or not fired:
            # Declared rules have no detector that tells how it stands: of them nothing is known.
            if covers is None or rule.kind not in MONITORED:
                segments = None
            else:
                segments = covers.get(rule.name, 0)
            found.append(RuleRecord(rule=rule.name, incidents=len(fired), false=len(false), covers=segments))
    return sorted(found, key=lambda one: (-one.false, one.rule))


def spend(days: Sequence[DaySpend], start: int, end: int) -> list[Spend]:
    """Each app's dollars of the period's days, and of the month that ``end`` is in, the dearest first.

    The forecast adds to what the month has cost so far its remaining days at the mean of the last whole days,
    seven at most. **Misleads** where a cost has just jumped: it knows no trend, and a jump fills the mean by
    a seventh a day.
    """
    today = end // DAY_MS
    moment = datetime.fromtimestamp(end / 1000, UTC)
    first = today - moment.day + 1
    length = calendar.monthrange(moment.year, moment.month)[1]
    found = []
    for app in sorted({one.app for one in days}):
        of = {one.day: one for one in days if one.app == app}
        # The period's whole UTC days: a digest at nine tells of yesterday, not of half of two days.
        shown = [of[day] for day in range(start // DAY_MS, today) if day in of]
        whole = [of[day].dollars for day in range(today - RATE_DAYS, today) if day in of]
        daily = sum(whole) / len(whole) if len(whole) >= LEAST_DAYS else None
        so_far = sum(of[day].dollars for day in range(first, today) if day in of)
        month = None if daily is None else so_far + daily * (first + length - today)
        if not shown and month is None:
            continue
        found.append(
            Spend(
                app=app,
                period=sum(one.dollars for one in shown),
                days=len(shown),
                daily=daily,
                month=month,
                unpriced=sum(one.unpriced for one in shown),
            )
        )
    return sorted(found, key=lambda one: (-one.period, one.app))


def _least_trusted(one: Calibration) -> tuple[bool, float, str, str]:
    """Those with a share before those without, the lowest share first."""
    return (not one.known, one.confirmed / max(one.reviewed, 1), one.app, one.scorer)


def _as_of(incident: Incident, end: int) -> Incident:
    """An incident without an end that came at or after ``end``, for a digest that is made late."""
    if incident.resolved_at is None or incident.resolved_at < end:
        return incident
    return incident.model_copy(update={"state": IncidentState.FIRING, "resolved_at": None})


def _until(incident: Incident) -> int:
    return 1 << 62 if incident.resolved_at is None else incident.resolved_at


def _gravity(incident: Incident) -> tuple[bool, int, float, str]:
    """Open before resolved, then by severity, then by how far it moved in its own terms."""
    moved = 0.0
    if incident.baseline and incident.peak is not None:
        moved = abs(incident.peak - incident.baseline) / abs(incident.baseline)
    return (incident.state is IncidentState.RESOLVED, incident.severity.rank, -moved, incident.id)


def _worst(incident: Incident) -> Worst:
    return Worst(
        incident_id=incident.id,
        app=incident.app,
        environment=incident.environment,
        route=incident.route,
        signal=incident.signal,
        severity=incident.severity,
        state=incident.state,
        baseline=incident.baseline,
        peak=incident.peak if incident.peak is not None else incident.value,
        onset=incident.onset,
        direction=incident.direction,
    )


def _quiet(incident: Incident) -> Quiet | None:
    """Why an incident was not told, or only in edits; None where it was."""
    why = ""
    if (by := incident.inhibited) is not None:
        why = f"held back: {by.why or by.signal.value}"
    elif incident.muted_by:
        why = f"muted by {incident.muted_by}"
    elif incident.snooze is not None:
        why = f"snoozed by {incident.snooze.by}"
    elif incident.flapping:
        why = "flapping: edits only until it holds still"
    elif not incident.posted and incident.state is IncidentState.RESOLVED:
        why = "over before it was told"
    if not why:
        return None
    return Quiet(incident_id=incident.id, app=incident.app, signal=incident.signal, why=why)
