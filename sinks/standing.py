"""Where an incident stands: its state, whose it is, why it is silent, how it ended. In words, not yet
escaped."""

from __future__ import annotations

from schemas.incident import Incident, IncidentState, Member
from schemas.lifecycle import Resolution, StaleKind
from sinks.clean import clean
from sinks.numbers import clock, duration, value
from sinks.phrases import SIGNALS, UNITS, capital

ROOM = 40


def standing(incident: Incident) -> str:
    """Severity, state and what is out of the ordinary: ``P2 · RESOLVED after 42 min``."""
    return " · ".join([incident.severity.value, _state(incident), *_beside(incident)])


def ended(incident: Incident) -> int | None:
    """Estimated event time at which the last member was back; None unless every one of them is."""
    over = incident.state is IncidentState.RESOLVED and all(one.recovered for one in incident.members)
    return _back(incident) if over else None


def lasted(incident: Incident) -> str:
    """How long it was wrong until its latest recovery, by its estimated onset and return.

    Also of one that has come back since: what is told late is told as it was.
    """
    until = _back(incident)
    return "" if until is None else duration(max(0, until - incident.onset))


def _back(incident: Incident) -> int | None:
    known = [one.recovered_since for one in incident.members if one.recovered_since is not None]
    return max(known) if known and len(known) == len(incident.members) else None


def recovery(incident: Incident) -> str | None:
    """To what the incident's own signal came back, over how many units."""
    own = own_member(incident)
    if own is None or not own.recovered or own.recovered_value is None:
        return None
    back = f"back at {value(own.signal, own.recovered_value, own.baseline)}"
    back += f" over {own.recovered_n:,} {UNITS[own.signal]}"
    return back if own.recovered_since is None else f"{back} since {clock(own.recovered_since)}"


def held_back(incident: Incident) -> list[str]:
    """What explains this incident, or what it explains: neither is lost, only one is told."""
    lines = []
    if (by := incident.inhibited) is not None:
        name = SIGNALS[by.signal]
        over = "; that is over now" if by.until is not None else ""
        lines.append(f"Held back: {name} of incident {by.incident_id} explains it, {by.why}{over}")
    for one in incident.explains[:3]:
        lines.append(
            f"{capital(SIGNALS[one.signal])} moved, too, and is held back: incident {one.incident_id}"
        )
    if len(incident.explains) > 3:
        lines.append(f"{len(incident.explains) - 3} more are held back: see gleaner incidents list")
    return lines


def own_member(incident: Incident) -> Member | None:
    """The member that speaks for the incident."""
    return next((member for member in incident.members if is_own(member, incident)), None)


def is_own(member: Member, incident: Incident) -> bool:
    return member.identity == incident.identity


def _state(incident: Incident) -> str:
    by = clean(incident.resolved_by, ROOM) if incident.resolved_by else "a person"
    match incident.state, incident.resolution:
        case IncidentState.RESOLVED, Resolution.NOT_A_PROBLEM:
            return f"NOT A PROBLEM, says {by}"
        case IncidentState.RESOLVED, Resolution.BY_PERSON:
            return f"RESOLVED by {by}"
        case IncidentState.RESOLVED, _:
            after = lasted(incident)
            return f"RESOLVED after {after}" if after else "RESOLVED"
        case IncidentState.ACKED, _ if incident.acked_by:
            return f"ACKED by {clean(incident.acked_by, ROOM)}"
        case state, _:
            return state.value.upper()


def _beside(incident: Incident) -> list[str]:
    parts = []
    if incident.assignee:
        parts.append(f"with {clean(incident.assignee, ROOM)}")
    if incident.escalation_level:
        parts.append(f"not acknowledged, level {incident.escalation_level}")
    if (snooze := incident.snooze) is not None:
        ends = [clock(snooze.until)] if snooze.until is not None else []
        until = " or ".join([*ends, *(["the next deploy"] if snooze.deploy else [])])
        parts.append(f"snoozed until {until} by {clean(snooze.by, ROOM)}")
    if incident.muted_by:
        parts.append(f"muted by {clean(incident.muted_by, ROOM)}")
    if incident.flapping:
        parts.append(f"flapping: came back {len(incident.reopened_at)} times")
    if incident.inhibited is not None:
        parts.append("held back")
    if (stale := incident.stale) is not None:
        what = "data" if stale.kind is StaleKind.NO_DATA else "alarm and no recovery"
        parts.append(f"no {what} since {clock(stale.since)}")
    return parts
