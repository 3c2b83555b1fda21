"""The incidents of a list of signals: what a replay or a backtest would have paged."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.incident.board import Board, time_of
from detectors.incident.policy import Policy
from schemas.incident import Incident
from schemas.signal import Recovery, Signal, WindowStat


def group(signals: Iterable[Signal | Recovery | WindowStat], policy: Policy | None = None) -> list[Incident]:
    """The incidents that ``signals`` make, by first detection; each alarm is in exactly one of them.

    The same reducer that notify runs, without delivery and without cases; both of its clocks are event
    time. Signals are taken in the order of detection whatever order they come in, and each id once, so that
    a shuffled or repeated list gives the same incidents.
    """
    policy = policy or Policy()
    boards: dict[tuple[str, str], Board] = {}
    next_due: dict[tuple[str, str], int] = {}
    incidents: list[Incident] = []
    at = 0
    for signal in sorted(signals, key=order):
        key = signal.app, signal.environment
        if key not in boards:
            boards[key] = Board(policy)
        board, at = boards[key], time_of(signal)
        due = at >= next_due.get(key, NEVER)
        if due:
            board.due(at, at)
        if not isinstance(signal, WindowStat):
            incidents += board.retire(at)
        # There are many windows, and hardly any of them changes an incident.
        if board.absorb(signal, at).incidents or due:
            next_due[key] = _next(board)
    for board in boards.values():
        board.release(at)
        board.due(at, at)
        incidents += board.incidents.values()
    return sorted(incidents, key=lambda incident: (incident.detected_at, incident.id))


NEVER = 1 << 62


def _next(board: Board) -> int:
    """The earliest timer of a board whose clocks are one."""
    timers = (at for one in board.incidents for at in board.next_due(one) if at is not None)
    return min(timers, default=NEVER)


def order(signal: Signal | Recovery | WindowStat) -> tuple[int, int, str]:
    """In the order of detection; at one instant windows, then notes, then alarms, then recoveries."""
    match signal:
        case Signal():
            return signal.detected_at, 1 + signal.pages, signal.id
        case Recovery():
            return signal.detected_at, 3, signal.id
        case WindowStat():
            return signal.end, 0, f"{signal.route}\x1f{signal.signal.value}"
