"""What a reply in an incident's thread says: the news since its message, in a sentence."""

from __future__ import annotations

from schemas.effect import NotifyReason
from schemas.incident import Incident, IncidentState, Member
from sinks.base import Message
from sinks.clean import clean
from sinks.numbers import clock, duration, value
from sinks.phrases import ORDINARY, SIGNALS, numbers
from sinks.standing import lasted, own_member
from sinks.words import headline


def reply(message: Message) -> str:
    """What is new since the first message, in a sentence that a locked phone can show by itself."""
    incident, reason = message.incident, message.reason
    if reason is NotifyReason.RECOVERED:
        return _recovered(incident)
    if reason is NotifyReason.FELL_BACK:
        return f"While this could not be posted here, it was told elsewhere: {message.detail}."
    if reason in (NotifyReason.WORSENED, NotifyReason.GREW):
        worse = reason is NotifyReason.WORSENED
        return _member(f"Worse, now {incident.severity.value}" if worse else "It grew", message)
    return f"{_start(incident, reason)}: {headline(incident)}"


def _start(incident: Incident, reason: NotifyReason) -> str:
    times = len(incident.reopened_at)
    match reason:
        case NotifyReason.REOPENED:
            return "Back again"
        case NotifyReason.FLAPPING:
            within = duration(incident.reopened_at[-1] - incident.reopened_at[0]) if times else "a while"
            quiet = "from here on edits only, until it holds still or grows"
            return f"Back {times} times within {within}, so {quiet}"
        case NotifyReason.STEADY:
            over = incident.state is IncidentState.RESOLVED
            return "Holds still again, resolved" if over else "Holds still again, and is not over"
        case NotifyReason.ESCALATED:
            return f"Nobody has acknowledged it (level {incident.escalation_level})"
        case NotifyReason.ACK_EXPIRED:
            return "Fires on, long after it was acknowledged"
        case NotifyReason.SNOOZE_OVER:
            return "The snooze is over, the incident is not"
        case NotifyReason.CAUSE_FOUND:
            return "Cause found"
        case NotifyReason.UNEXPLAINED:
            return "What explained it is over, the incident is not"
        case _:
            return reason.value.replace("_", " ")


def _recovered(incident: Incident) -> str:
    """``Recovered after 42 min: faithfulness on billing-assistant is back at 0.88.``"""
    own, after = own_member(incident), lasted(incident)
    start = f"Recovered after {after}" if after else "Recovered"
    if own is None or own.recovered_value is None:
        return f"{start}: {headline(incident)}"
    others = len(incident.members) - 1
    rest = f", and so {'is 1 other' if others == 1 else f'are {others} others'}" if others else ""
    back = value(own.signal, own.recovered_value, own.baseline)
    worst = value(own.signal, own.peak, own.baseline)
    where = clean(incident.app, 48)
    normal = f" (normally {value(own.signal, own.baseline, own.value)}, at worst {worst})"
    known = own.peak is not None and own.baseline is not None
    return f"{start}: {SIGNALS[own.signal]} on {where} is back at {back}{normal if known else ''}{rest}."


def _member(start: str, message: Message) -> str:
    incident = message.incident
    member: Member | None = next((one for one in incident.members if one.signal_id == message.member), None)
    if member is not None and member.user and member.reason:
        # The headline names the user who was first.
        where = clean(incident.app, 48)
        return f"{start}: on {where} {clean(member.reason, 320).rstrip('.')} ({member.severity.value})."
    if member is None or member.value is None or member.baseline is None:
        return f"{start}: {headline(incident)}"
    where = clean(incident.app, 48)
    if member.route not in (incident.route, *ORDINARY):
        where += f" {clean(member.route, 32)}"
    since = clock(member.onset, member.detected_at)
    return f"{start}: {SIGNALS[member.signal]} on {where} {numbers(member)} since {since}, too."
