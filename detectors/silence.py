"""Why a rule fired in a segment at a time, or why it did not: read from what was kept, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from detectors.baseline import ArmingPolicy
from detectors.rules import Kind, Rule, rules_of
from schemas.incident import Incident, Member
from schemas.lifecycle import Happening
from schemas.signal import Watched

FRESH_MS = 2 * 3_600_000
"""A detector's standing that is older than this at the time in question says nothing of it."""
SLIGHT = 0.5
"""Evidence (log10) below which nothing is moving: a healthy statistic is about here most of the time."""


class Silence(StrEnum):
    """The first of these that holds."""

    NO_RULE = "no_rule"
    """No rule of that name."""
    ELSEWHERE = "elsewhere"
    """The rule does not cover the segment, or another one watches its signal there."""
    FIRED = "fired"
    UNTOLD = "untold"
    """It had fired; it was over before anybody was told, or waits for its fellows."""
    HELD_BACK = "held_back"
    """It had fired; another incident explained it."""
    MUTED = "muted"
    """It had fired; a person had muted or snoozed the incident."""
    RESOLVED = "resolved"
    """It had fired; a person had ended the incident, or called it no problem."""
    NO_DATA = "no_data"
    """No unit of its signal came in the hour before."""
    LEARNING = "learning"
    """No baseline yet: it cannot fire."""
    TOO_FEW = "too_few"
    """Beyond its bound, on fewer units than the rule asks for."""
    SMALL = "small"
    """Beyond its bound in the two hours before, with a mean that had moved less than the least effect."""
    BUDGET = "budget"
    """Evidence, but less than the bound that follows from the budget of false pages."""
    QUIET = "quiet"
    """Hardly any evidence of a move."""
    NOT_KEPT = "not_kept"
    """Nothing is known of that time, any more or yet; or the rule declares its line, and has no evidence."""


class Known(NamedTuple):
    """What was kept of a rule in a segment near a time. ``units`` and ``total`` are of the hour before it;
    ``windows`` says whether its signal is kept in windows, and that time still is."""

    incidents: Sequence[Incident]
    watched: Watched | None
    watched_at: int | None
    units: int
    total: float
    windows: bool


class Answer(NamedTuple):
    """``why``, and what it rests on: the incident and its member, and the nearest alarms of the rule."""

    why: Silence
    rule: Rule | None
    known: Known
    incident: Incident | None = None
    member: Member | None = None
    instead: str = ""
    """The rule that watches the signal there."""
    earlier: int | None = None
    """Event time of the last alarm before, and of the first one after."""
    later: int | None = None


def silence(rules: Sequence[Rule], name: str, of: tuple[str, str, str], at: int, known: Known) -> Answer:
    """Why rule ``name`` fired, or did not, in segment ``of`` (app, environment, route) at event time ``at``.

    An alarm counts as standing from its detection until the recovery that ended it; one without a recovery
    until the incident was resolved. Commands of people carry the time at which they were given, which in a
    live service is event time give or take the lateness.
    """
    rule = next((one for one in rules if one.name == name), None)
    mine = [
        (incident, member)
        for incident in known.incidents
        for member in incident.members
        if (member.rule, member.route) == (name, of[2]) and (incident.app, incident.environment) == of[:2]
    ]
    times = [time for _, member in mine for time in (member.detected_at, member.last_at)]
    earlier = max((time for time in times if time <= at), default=None)
    later = min((time for time in times if time > at), default=None)
    answer = Answer(Silence.NOT_KEPT, rule, known, earlier=earlier, later=later)
    for incident, member in sorted(mine, key=lambda pair: pair[1].detected_at, reverse=True):
        if member.detected_at <= at <= _until(incident, member):
            return answer._replace(why=_told(incident, at), incident=incident, member=member)
    if rule is None:
        return answer._replace(why=Silence.NO_RULE)
    if not rule.covers(*of):
        return answer._replace(why=Silence.ELSEWHERE)
    first = rules_of(rules, *of).get(rule.signal)
    if rule.kind in (Kind.LEARNED, Kind.BOUND, Kind.EVENT) and first is not None and first.name != name:
        return answer._replace(why=Silence.ELSEWHERE, instead=first.name)
    return answer._replace(why=_detector(rule, at, known))


def _until(incident: Incident, member: Member) -> int:
    """How long an alarm stands: to its recovery, else to the incident's end; else it stands still."""
    if member.recovered and member.recovered_at is not None:
        return member.recovered_at
    if incident.resolved_at is not None:
        return max(incident.resolved_at, member.last_at)
    return 1 << 62


def _told(incident: Incident, at: int) -> Silence:
    """What kept the incident from being told at ``at``, by its history."""
    held = silenced = ended = False
    for entry in incident.history:
        if entry.at > at:
            continue
        match entry.what:
            case Happening.EXPLAINED:
                held = True
            case Happening.UNEXPLAINED:
                held = False
            case Happening.MUTED | Happening.SNOOZED:
                silenced = True
            case Happening.UNMUTED | Happening.SNOOZE_OVER:
                silenced = False
            case Happening.NOT_A_PROBLEM:
                ended = True
            case Happening.RESOLVED:
                ended, held = bool(entry.actor), False
            case Happening.REOPENED:
                held = silenced = ended = False
    if ended:
        return Silence.RESOLVED
    if held or (incident.inhibited is not None and not incident.posted):
        return Silence.HELD_BACK
    if silenced:
        return Silence.MUTED
    return Silence.FIRED if incident.posted else Silence.UNTOLD


def _detector(rule: Rule, at: int, known: Known) -> Silence:
    watched, when = known.watched, known.watched_at
    if known.windows and known.units == 0:
        return Silence.NO_DATA
    if watched is None or when is None or at - when > FRESH_MS:
        return Silence.NOT_KEPT
    if watched.stage == "learning":
        return Silence.LEARNING
    if watched.waiting:
        return Silence.TOO_FEW
    if watched.dropped_at is not None and at - FRESH_MS <= watched.dropped_at <= at:
        return Silence.SMALL
    evidence = watched.evidence or 0.0
    return Silence.BUDGET if evidence >= SLIGHT else Silence.QUIET


def needed() -> int:
    """Units that a first baseline takes."""
    return ArmingPolicy().provisional_units
