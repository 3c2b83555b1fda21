"""The incidents of a list of signals: what a replay or a backtest would have paged."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.incident.board import Board
from detectors.incident.policy import Policy
from schemas.incident import Incident
from schemas.signal import Signal


def group(signals: Iterable[Signal], policy: Policy | None = None) -> list[Incident]:
    """The incidents that ``signals`` make, by first detection; each alarm is in exactly one of them.

    The same reducer that notify runs, without delivery and without cases. Signals are taken in the
    order of detection whatever order they come in, and each id once, so that a shuffled or repeated
    list gives the same incidents.
    """
    policy = policy or Policy()
    boards: dict[tuple[str, str], Board] = {}
    incidents: list[Incident] = []
    for signal in sorted(signals, key=lambda signal: (signal.detected_at, signal.pages, signal.id)):
        key = signal.app, signal.environment
        if key not in boards:
            boards[key] = Board(policy)
        board = boards[key]
        incidents += board.retire(signal.detected_at)
        board.absorb(signal)
    for board in boards.values():
        incidents += board.incidents.values()
    return sorted(incidents, key=lambda incident: (incident.detected_at, incident.id))
