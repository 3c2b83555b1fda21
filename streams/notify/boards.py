"""Boards from notify's file, and what has become of them back into it: the reducer's edge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from detectors.incident import Board, Event, Past, Policy, Step, labels
from detectors.incident.board import time_of
from schemas.calibration import Calibrations
from schemas.command import Command
from schemas.effect import Effect
from schemas.incident import CasePreview, Incident
from schemas.signal import WindowStat
from sinks.batch import Batch, Units
from sinks.outbox import Outbox


def board_of(
    outbox: Outbox, policy: Policy, segment: tuple[str, str], now: int, events: Sequence[Event] = ()
) -> Board:
    """The board of an app and environment, as far back as ``events`` can reach.

    What is open is always on it; without events, that is all that time alone can touch.
    """
    times = [time_of(event) for event in events if not isinstance(event, Command)]
    asked = [event for event in events if isinstance(event, Command)]
    earliest = min(times, default=now)
    incidents = {one.id: one for one in outbox.open_incidents(*segment, earliest - policy.reach_ms)}
    for command in asked:
        named = outbox.incident(command.incident_id)
        if named is not None:
            incidents.setdefault(named.id, named)
    first = min((one.detected_at for one in incidents.values()), default=earliest)
    return Board(
        policy,
        incidents.values(),
        outbox.notes(*segment, earliest - policy.note_ms) if times else (),
        outbox.previews(*segment) if times else (),
        outbox.seen(one.id for one in events if not isinstance(one, CasePreview | WindowStat)),
        outbox.data(*segment),
        (Past(*row) for row in outbox.alike(*segment, min(first, earliest) - policy.recur_ms))
        if times
        else (),
    )


def batch_of(
    boards: Mapping[tuple[str, str], Board], steps: Iterable[Step], known: Calibrations | None = None
) -> Batch:
    """What the steps changed, and the next timers of everything on the boards.

    What changes is told with what is ``known`` of its scorer now. No decision rests on that, and a replay,
    which has no reviewers, decides the same.
    """
    incidents: dict[str, Incident] = {}
    effects: list[Effect] = []
    for step in steps:
        incidents |= {incident.id: calibrated(incident, known) for incident in step.incidents}
        effects += step.effects
    return Batch(
        incidents=list(incidents.values()),
        effects=effects,
        due={one: board.next_due(one) for board in boards.values() for one in board.incidents},
        labels=[label for incident in incidents.values() for label in labels(incident)],
    )


def calibrated(incident: Incident, known: Calibrations | None) -> Incident:
    """``incident`` with what reviewers said of the scorer of its own signal, else of its first member's."""
    scorers = [
        one.scorer
        for one in sorted(incident.members, key=lambda one: one.identity != incident.identity)
        if one.scorer
    ]
    if known is None or not scorers:
        return incident
    return incident.model_copy(update={"calibration": known.of(incident.app, scorers[0])})


def units(windows: Iterable[WindowStat]) -> dict[Units, int]:
    """Up to when units are known, by the windows that had any."""
    found: dict[Units, int] = {}
    for window in windows:
        if window.n > 0:
            key = (window.app, window.environment, window.route, window.signal)
            found[key] = max(window.end, found.get(key, window.end))
    return found
