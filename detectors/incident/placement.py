"""Which incident an alarm joins, and why."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from detectors.incident.policy import Policy
from schemas.incident import Incident, IncidentState
from schemas.signal import Cause, Signal


class Fit(StrEnum):
    """Why an alarm belongs to an incident; in the order of precedence."""

    SAME_RULE = "same_rule"
    SAME_CAUSE = "same_cause"
    SAME_ONSET = "same_onset"
    SAME_ROUTE = "same_route"
    """An open incident of the alarm's route, where nothing explains the one or the other."""
    NONE = "none"


class Placement(NamedTuple):
    """``incident_id`` is None where the alarm opens an incident of its own."""

    fit: Fit
    incident_id: str | None


CauseKey = tuple[str, str | None]


def cause_key(cause: Cause | None) -> CauseKey | None:
    """What tells causes apart: the dimension and the value it went to; not where it came from."""
    return None if cause is None else (cause.dimension, cause.current)


def last_alarm(incident: Incident) -> int:
    """Event time of the incident's latest alarm."""
    return max(member.last_at for member in incident.members)


def is_open(incident: Incident, at: int, policy: Policy) -> bool:
    """Whether an alarm detected ``at`` may still join: not resolved, and not quiet for too long."""
    first = min(member.detected_at for member in incident.members)
    return (
        incident.state is not IncidentState.RESOLVED
        and first - policy.quiet_ms <= at <= last_alarm(incident) + policy.quiet_ms
    )


def place(alarm: Signal, incidents: Iterable[Incident], policy: Policy) -> Placement:
    """Where ``alarm`` belongs among the incidents of its app and environment.

    A rule that fires again on its route while its incident is open is the same shift going on, whatever
    onset it now estimates. Otherwise the same cause decides, then the nearest onset within the window,
    and last, where nothing explains the alarm or the incident, the open incident of its own route: a slow
    signal's onset is found hours late, and of two pages about one route, one of them "cause unknown", the
    second helps nobody. If the alarm brings the cause, the incident takes it over.
    Misleads where two unrelated regressions begin within the window, or the second one is unexplained:
    they are shown as one, as a member of its own with its own onset and numbers.
    """
    best: tuple[tuple[int, int, int, str], Placement] | None = None
    key = cause_key(alarm.cause)
    for incident in incidents:
        if not is_open(incident, alarm.detected_at, policy):
            continue
        distance = abs(alarm.onset - incident.onset)
        if any(member.rule == alarm.rule and member.route == alarm.route for member in incident.members):
            rank, fit = 0, Fit.SAME_RULE
        elif key is not None and key in _causes(incident):
            rank, fit = 1, Fit.SAME_CAUSE
        elif distance <= policy.window_ms:
            rank, fit = 2, Fit.SAME_ONSET
        elif (key is None or _causes(incident) == {None}) and any(
            member.route == alarm.route for member in incident.members
        ):
            rank, fit = 3, Fit.SAME_ROUTE
        else:
            continue
        order = (rank, distance, incident.detected_at, incident.id)
        if best is None or order < best[0]:
            best = order, Placement(fit, incident.id)
    return best[1] if best else Placement(Fit.NONE, None)


def _causes(incident: Incident) -> set[CauseKey | None]:
    return {cause_key(incident.cause), *(cause_key(member.cause) for member in incident.members)}
