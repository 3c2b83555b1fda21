"""Which incident an alarm joins, or reopens, and why."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from detectors.incident.inhibition import apart, explained
from detectors.incident.members import is_news, member_for, same_rule
from detectors.incident.policy import Policy
from detectors.incident.states import silenced
from schemas.incident import Incident, IncidentState, Member
from schemas.lifecycle import Resolution
from schemas.signal import Cause, Signal


class Fit(StrEnum):
    """Why an alarm belongs to an incident."""

    SAME_RULE = "same_rule"
    SAME_CAUSE = "same_cause"
    OTHER_USER = "other_user"
    """The same rule on the same route, of another user's budget."""
    SAME_ONSET = "same_onset"
    SAME_ROUTE = "same_route"
    """An open incident of the alarm's route, where nothing explains the one or the other."""
    NONE = "none"


class Placement(NamedTuple):
    """``incident_id`` is None where the alarm opens an incident of its own."""

    fit: Fit
    incident_id: str | None


CauseKey = tuple[str, str | None]
DISOWNED_RANK = -1
OPEN_RANKS = {
    Fit.SAME_RULE: 0, Fit.SAME_CAUSE: 2, Fit.OTHER_USER: 3, Fit.SAME_ONSET: 4, Fit.SAME_ROUTE: 7,
}  # fmt: skip
RESOLVED_RANKS = {Fit.SAME_RULE: 1, Fit.SAME_CAUSE: 5, Fit.SAME_ONSET: 6}
"""Precedence of the fits, open and resolved incidents in one order; neither a route alone reopens anything,
nor another user."""


def cause_key(cause: Cause | None) -> CauseKey | None:
    """What tells causes apart: the dimension and the value it went to; not where it came from."""
    return None if cause is None else (cause.dimension, cause.current)


def last_alarm(incident: Incident) -> int:
    """Event time of the incident's latest alarm."""
    return max(member.last_at for member in incident.members)


def is_open(incident: Incident, at: int, policy: Policy) -> bool:
    """Whether an alarm detected ``at`` may still join: not resolved, and not quiet for too long."""
    return (
        incident.state is not IncidentState.RESOLVED
        and _begun(incident, policy) <= at <= last_alarm(incident) + policy.quiet_ms
    )


def may_reopen(incident: Incident, at: int, policy: Policy) -> bool:
    """Whether an alarm detected ``at`` is near enough to the end of a resolved incident to reopen it."""
    return (
        incident.state is IncidentState.RESOLVED
        and incident.resolution is not Resolution.NOT_A_PROBLEM
        and incident.resolved_at is not None
        and _begun(incident, policy) <= at <= incident.resolved_at + policy.reopen_ms
    )


def disowned(incident: Incident, alarm: Signal, policy: Policy) -> Member | None:
    """The member whose alarms a person called no problem, if this one goes on with them.

    A detector fires again and again while a shift lasts: what has been called no problem is counted on, and
    opens nothing, until its rule has shown a recovery or has been quiet. A graver alarm than those is none of
    them: under one name an objective has a ticket and a page.
    """
    if incident.resolution is not Resolution.NOT_A_PROBLEM:
        return None
    member = member_for(incident, alarm)
    if (
        member is None
        or is_news(incident, alarm)
        or (member.recovered and alarm.detected_at > (member.recovered_at or 0))
    ):
        return None
    first = member.detected_at - policy.quiet_ms
    return member if first <= alarm.detected_at <= member.last_at + policy.quiet_ms else None


def closed(incident: Incident, alarm: Signal, policy: Policy) -> bool:
    """Whether ``incident`` may not take ``alarm``, however well it fits.

    What a person has snoozed or muted is what they saw: what they could not know of is told on its own, and
    the silence stays. Nor does an incident grow without bound.
    """
    if silenced(incident) and is_news(incident, alarm):
        return True
    return len(incident.members) >= policy.members and member_for(incident, alarm) is None


def place(alarm: Signal, incidents: Iterable[Incident], policy: Policy) -> Placement:
    """Where ``alarm`` belongs among the incidents of its app and environment.

    A rule that fires again on its route while its incident is open is the same shift going on, whatever
    onset it now estimates. Otherwise the same cause decides, then the nearest onset within the window,
    and last, where nothing explains the alarm or the incident, the open incident of its own route: a slow
    signal's onset is found hours late, and of two pages about one route, one of them "cause unknown", the
    second helps nobody. If the alarm brings the cause, the incident takes it over. An incident that was
    resolved lately is reopened by the same rule, cause or onset. Where one explains the other, they
    stay apart (:mod:`~detectors.incident.inhibition`): what is explained joins only what is held back, and
    what is held back takes only what is explained. What a person has silenced takes only what it had
    (:func:`closed`); so which incident an alarm joins may depend on when a snooze ends.
    Misleads where two unrelated regressions begin within the window, or the second one is unexplained:
    they are shown as one, as a member of its own with its own onset and numbers.
    """
    known = list(incidents)
    held = explained(alarm, known, policy)
    best: tuple[tuple[int, bool, int, int, str], Placement] | None = None
    for incident in known:
        open_, counted = is_open(incident, alarm.detected_at, policy), False
        if not open_:
            counted = disowned(incident, alarm, policy) is not None
            if not counted and not may_reopen(incident, alarm.detected_at, policy):
                continue
        if closed(incident, alarm, policy):
            continue
        fit = _fit(alarm, incident, policy)
        ranks = OPEN_RANKS if open_ else RESOLVED_RANKS
        if fit not in ranks:
            continue
        if fit is not Fit.SAME_RULE and (
            apart(alarm, incident) or (held and open_ and incident.inhibited is None)
        ):
            continue
        order = (
            DISOWNED_RANK if counted else ranks[fit],
            silenced(incident),
            abs(alarm.onset - incident.onset),
            incident.detected_at,
            incident.id,
        )
        if best is None or order < best[0]:
            best = order, Placement(fit, incident.id)
    return best[1] if best else Placement(Fit.NONE, None)


def _fit(alarm: Signal, incident: Incident, policy: Policy) -> Fit:
    key, causes = cause_key(alarm.cause), _causes(incident)
    if member_for(incident, alarm) is not None:
        return Fit.SAME_RULE
    if key is not None and key in causes:
        return Fit.SAME_CAUSE
    if any(same_rule(member, alarm) for member in incident.members):
        return Fit.OTHER_USER
    if abs(alarm.onset - incident.onset) <= policy.window_ms:
        return Fit.SAME_ONSET
    on_route = any(member.route == alarm.route for member in incident.members)
    return Fit.SAME_ROUTE if (key is None or causes == {None}) and on_route else Fit.NONE


def _begun(incident: Incident, policy: Policy) -> int:
    return min(member.detected_at for member in incident.members) - policy.quiet_ms


def _causes(incident: Incident) -> set[CauseKey | None]:
    return {cause_key(incident.cause), *(cause_key(member.cause) for member in incident.members)}
