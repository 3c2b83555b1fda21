"""Backtest: what a set of rules would have paged over recorded events, by the steps that production runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from detectors.rules import Rule
from schemas.base import rfc3339
from schemas.dead_letter import DeadLetter
from schemas.incident import Incident
from schemas.observation import ChangeRow
from schemas.signal import Signal, WindowStat
from streams.file_rows import Seen
from streams.memory import collecting_rarely
from streams.owner_policy import owner_policy
from streams.replay import Watch, replay
from streams.settings import Settings
from streams.steps.ingest import IngestPolicy
from streams.steps.observe import ScoringPolicy
from streams.steps.owner import OwnerPolicy

DAY_MS = 86_400_000


class Backtested(NamedTuple):
    """``events`` were read, all but ``dead_letters`` replayed. ``alarms`` are before grouping, each with the
    id of its incident (None: a note that joined none)."""

    events: int
    span_days: float
    seconds: float
    alarms: list[tuple[Signal, str | None]]
    incidents: list[Incident]
    windows: list[WindowStat]
    changes: list[tuple[str, ChangeRow]]
    """The change events, each with its app."""
    last: int
    """Event time of the last event, ms."""
    dead_letters: list[DeadLetter]
    traces: int
    unscored: int
    """Traces, and those of them without a score, of which rules on scores saw nothing."""

    def a_week(self, incidents: int) -> float | None:
        """So many incidents, a week of event time; None for less than a day of it."""
        return incidents / (self.span_days / 7) if self.span_days >= 1 else None


def backtest(
    files: Sequence[Path],
    policy: OwnerPolicy,
    score: bool = False,
    seen: Seen = lambda events: None,
    watch: Watch | None = None,
) -> Backtested:
    """Run the files through identity, windows, detectors and grouping. No scorer runs unless told: answers
    count as scored only where their application did. ``watch``: see ``replay``. Raises ``OSError`` where a
    file cannot be read."""
    begun = time.monotonic()
    ingest = IngestPolicy(scoring=ScoringPolicy(rate=1.0 if score else 0.0))
    with collecting_rarely():
        done = replay(files, ingest, policy, seen, watch)
    incidents = done.incidents()
    first, last = done.span
    return Backtested(
        done.events,
        (last - first) / DAY_MS,
        time.monotonic() - begun,
        [(alarm, _incident_of(alarm, incidents)) for alarm in done.alarms()],
        incidents,
        [record for record in done.signals if isinstance(record, WindowStat)],
        done.changes,
        last,
        done.dead_letters,
        done.traces,
        done.unscored,
    )


def _incident_of(alarm: Signal, incidents: Sequence[Incident]) -> str | None:
    for incident in incidents:
        if (incident.app, incident.environment) != (alarm.app, alarm.environment):
            continue
        for member in incident.members:
            if (
                member.identity == alarm.identity
                and member.detected_at <= alarm.detected_at <= member.last_at
            ):
                return incident.id
    return None


def alarm_data(alarm: Signal, incident_id: str | None) -> dict[str, Any]:
    """An alarm as the INCIDENT object of the command-line contract, with ``incident_id``."""
    onset, detected = rfc3339(alarm.onset), rfc3339(alarm.detected_at)
    return {
        "id": alarm.id,
        "incident_id": incident_id,
        "app": alarm.app,
        "environment": alarm.environment,
        "route": alarm.route,
        "signal": alarm.signal.value,
        "rule": alarm.rule,
        "severity": alarm.severity.value,
        "onset": onset,
        "detected_at": detected,
        "baseline": alarm.baseline,
        "value": alarm.value,
        "n": alarm.n,
        "members": [
            {"signal": alarm.signal.value, "rule": alarm.rule, "onset": onset, "detected_at": detected}
        ],
        "cause": alarm.cause
        and {"dimension": alarm.cause.dimension, "from": alarm.cause.previous, "to": alarm.cause.current},
    }


class Difference(NamedTuple):
    """Incidents of two sets of rules: those that only one of them has, and how many both have."""

    only_first: list[Incident]
    only_second: list[Incident]
    both: int


def compare(first: Sequence[Incident], second: Sequence[Incident]) -> Difference:
    """Two incidents are the same if app, environment and a member's route agree and their times overlap."""
    left = list(second)
    only_first, both = [], 0
    for incident in first:
        twin = next((other for other in left if _same(incident, other)), None)
        if twin is None:
            only_first.append(incident)
        else:
            left.remove(twin)
            both += 1
    return Difference(only_first, left, both)


def _same(one: Incident, other: Incident) -> bool:
    if (one.app, one.environment) != (other.app, other.environment):
        return False
    routes = {member.route for member in one.members} & {member.route for member in other.members}
    return bool(routes) and _begin(one) <= _end(other) and _begin(other) <= _end(one)


def _begin(incident: Incident) -> int:
    return min(member.onset for member in incident.members)


def _end(incident: Incident) -> int:
    return max(member.last_at for member in incident.members)


def policy_with(settings: Settings, rules: tuple[Rule, ...]) -> OwnerPolicy:
    """Production's event-time settings under other rules."""
    return owner_policy(settings)._replace(rules=rules)
