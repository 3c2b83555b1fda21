"""Which incidents are held back because another one explains them: measurement before quality."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from detectors.incident.policy import Policy
from schemas.incident import Incident, IncidentState, Member
from schemas.lifecycle import Inhibition
from schemas.signal import Signal

QUALITY = frozenset(
    {
        "faithfulness", "grounded_rate", "escalation_rate", "task_failure_rate", "negative_feedback_rate",
        "correction_rate", "abandonment_rate", "refusal_rate",
    }
)  # fmt: skip
"""Signals of what the answers are worth."""


class Inhibits(NamedTuple):
    """A signal that moved in ``direction`` ("" is any) explains those of ``signals`` on its route, for the
    reason that ``why`` gives."""

    direction: str
    signals: frozenset[str]
    why: str


TABLE: dict[str, Inhibits] = {
    "unscored_rate": Inhibits(
        "up", frozenset({"faithfulness", "grounded_rate"}), "the judge is out, so the scores are of a remnant"
    ),
    "volume": Inhibits("down", QUALITY, "the traffic has stopped or lags, so the rates are of a remnant"),
    "broken_output_rate": Inhibits(
        "up",
        frozenset({"faithfulness", "grounded_rate", "task_failure_rate"}),
        "the output breaks its schema, so what is scored is not the answer",
    ),
    "error_rate": Inhibits(
        "up",
        frozenset({"broken_output_rate", "task_failure_rate"}),
        "requests end in errors, and an error is an empty answer and a failed task",
    ),
    "unpriced_rate": Inhibits(
        "up",
        frozenset({"cost_per_request", "cost_per_success"}),
        "requests have no price, so the mean is of a remnant",
    ),
}
"""By the inhibiting signal. Rows act where a rule watches their signal. No signal inhibits itself, even by
way of others. Only what makes the *measurement* of another signal unsound is here: consequences (an outage
that ends in escalations) are members of one incident, where they show how far it reaches."""


def explains(by: Member | Signal, other: Member | Signal) -> bool:
    """Whether ``by`` is of a kind that explains ``other``, on the same route."""
    row = TABLE.get(by.signal.value)
    return (
        row is not None
        and by.route == other.route
        and other.signal.value in row.signals
        and by.direction in (row.direction, "")
    )


def overlaps(by: Member, other: Member | Signal, policy: Policy) -> bool:
    """Whether ``other`` began while ``by`` lasted, give or take the error of an onset."""
    ended = by.recovered_since if by.recovered else None
    begun, other_begun = begin(by), begin(other)
    return other_begun >= begun - policy.window_ms and (
        ended is None or other_begun <= ended + policy.window_ms
    )


def speaks(by: Member, at: int | None, policy: Policy) -> bool:
    """Whether ``by`` has been heard of lately enough, at event time ``at``, to explain anything.

    ``at`` None: however long ago that was.
    """
    return at is None or at < by.last_at + policy.silent_ms


def begin(moved: Member | Signal) -> int:
    """Since when it has been wrong this time: a member that came back began anew."""
    return moved.resumed if isinstance(moved, Member) and moved.resumed is not None else moved.onset


def explained(alarm: Signal, incidents: Iterable[Incident], policy: Policy) -> bool:
    """Whether an open member of any incident, heard of lately enough, explains ``alarm``."""
    return any(
        explains(member, alarm) and overlaps(member, alarm, policy)
        for incident in incidents
        if incident.state is not IncidentState.RESOLVED
        for member in incident.members
        if not member.recovered and speaks(member, alarm.detected_at, policy)
    )


def apart(alarm: Signal, incident: Incident) -> bool:
    """Whether ``alarm`` must not be a member of ``incident``: one of them explains the other.

    An alarm that some member explains stays out; so does one that explains every open member. Of an incident
    that is held back only what would be held back with it becomes a member.
    """
    standing = [member for member in incident.members if not member.recovered] or list(incident.members)
    if any(explains(member, alarm) for member in standing):
        return True
    if all(explains(alarm, member) for member in standing):
        return True
    held = incident.inhibited
    return held is not None and not (
        held.route == alarm.route and alarm.signal.value in TABLE[held.signal.value].signals
    )


def inhibitor(
    incident: Incident, others: Iterable[Incident], policy: Policy, at: int | None
) -> Inhibition | None:
    """What explains every open member of ``incident`` at event time ``at`` (None: at any): the earliest such
    member of another open incident.

    None where one of its members stands for itself. A member that a person has called no problem, or
    resolved, explains nothing, nor does one whose rule has said nothing for ``policy.silent_ms``.
    """
    standing = [member for member in incident.members if not member.recovered]
    candidates = [
        (begin(member), other.id, member)
        for other in others
        if other.id != incident.id and other.state is not IncidentState.RESOLVED
        for member in other.members
        if not member.recovered and speaks(member, at, policy)
    ]
    found: list[tuple[int, str, Member]] = []
    for one in standing:
        by = [
            candidate
            for candidate in candidates
            if explains(candidate[2], one) and overlaps(candidate[2], one, policy)
        ]
        if not by:
            return None
        found.append(min(by, key=lambda candidate: (candidate[0], candidate[1], candidate[2].signal_id)))
    if not found:
        return None
    _, incident_id, member = min(found, key=lambda each: (each[0], each[1], each[2].signal_id))
    return Inhibition(
        incident_id=incident_id, signal=member.signal, rule=member.rule, route=member.route,
        since=max(begin(member), incident.onset), heard=min(each[2].last_at for each in found),
        why=TABLE[member.signal.value].why,
    )  # fmt: skip
