"""How rules did against labelled incidents: detection delays, missed ones, false pages."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from schemas.base import rfc3339
from schemas.incident import Incident
from schemas.signal import Signal, SignalName, WindowStat
from streams.labels import Label

COUNTED = {SignalName.COST_PER_SUCCESS: SignalName.COST}
"""Whose windows count the units of a signal that has none of its own."""


class Outcome(StrEnum):
    PAGED = "paged"
    MISSED = "missed"
    NO_DATA = "no_data"
    """No event of the label's segment lies in it: nothing could have been seen."""


class Found(NamedTuple):
    """What became of a label. The rest is None where nothing paged.

    ``delay_ms`` is event time from the label's start to the first alarm of an incident in it;
    ``delay_units`` about how many units of the alarm's signal came meanwhile, by its windows, each counted
    by the part of it that lies there (None: the signal has no windows). ``already_open``: the incident had
    paged before the label began, so its delay flatters.
    """

    label: Label
    outcome: Outcome
    alarm: Signal | None = None
    incident_id: str | None = None
    delay_ms: int | None = None
    delay_units: int | None = None
    already_open: bool = False

    def data(self) -> dict[str, Any]:
        """As ``--json`` prints it; times RFC 3339."""
        label, alarm = self.label, self.alarm
        return {
            "name": label.name,
            "app": label.app,
            "environment": label.environment,
            "route": label.route,
            "signal": label.signal and label.signal.value,
            "start": rfc3339(label.start),
            "end": rfc3339(label.end),
            "outcome": self.outcome.value,
            "rule": alarm and alarm.rule,
            "detected_at": alarm and rfc3339(alarm.detected_at),
            "incident_id": self.incident_id,
            "delay_seconds": None if self.delay_ms is None else self.delay_ms / 1000,
            "delay_units": self.delay_units,
            "already_open": self.already_open,
        }


def find(
    labels: Sequence[Label],
    alarms: Sequence[tuple[Signal, str | None]],
    incidents: Sequence[Incident],
    windows: Sequence[WindowStat],
) -> list[Found]:
    """What became of each label; ``alarms`` are with the ids of their incidents."""
    opened = {incident.id: min(m.detected_at for m in incident.members) for incident in incidents}
    found = []
    for label in labels:
        if not any(_in_segment(label, w) and _shared(label.start, label.end, w) for w in windows):
            found.append(Found(label, Outcome.NO_DATA))
            continue
        hits = [
            (alarm, incident)
            for alarm, incident in alarms
            if incident is not None
            and label.about(alarm.app, alarm.environment, alarm.route, alarm.signal)
            and label.start <= alarm.detected_at < label.end
        ]
        # Alarms come in the order of decision: a conversation is decided minutes after its first trace.
        hit = min(hits, key=lambda pair: (pair[0].detected_at, pair[0].id), default=None)
        if hit is None:
            found.append(Found(label, Outcome.MISSED))
            continue
        alarm, incident = hit
        found.append(
            Found(
                label,
                Outcome.PAGED,
                alarm,
                incident,
                alarm.detected_at - label.start,
                _units(label, alarm, windows),
                opened[incident] < label.start,
            )
        )
    return found


def false_pages(labels: Sequence[Label], incidents: Sequence[Incident]) -> list[Incident]:
    """The incidents that overlap no label, from the first onset of a member to its last alarm."""
    return [incident for incident in incidents if not any(_overlaps(label, incident) for label in labels)]


def _overlaps(label: Label, incident: Incident) -> bool:
    return any(
        label.about(incident.app, incident.environment, member.route, member.signal)
        and member.onset < label.end
        and label.start <= member.last_at
        for member in incident.members
    )


def _units(label: Label, alarm: Signal, windows: Sequence[WindowStat]) -> int | None:
    counted = COUNTED.get(alarm.signal, alarm.signal)
    parts = [
        (window.n, _shared(label.start, alarm.detected_at, window))
        for window in windows
        if window.signal is counted and _in_segment(label, window)
    ]
    return round(sum(n * share for n, share in parts)) if parts else None


def _in_segment(label: Label, window: WindowStat) -> bool:
    return label[1:4] == (window.app, window.environment, window.route)


def _shared(start: int, end: int, window: WindowStat) -> float:
    """The part of the window that lies between the two."""
    return max(min(end, window.end) - max(start, window.start), 0) / (window.end - window.start)
