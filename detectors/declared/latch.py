"""When a condition that is asked again and again is told: once, and again after it cleared."""

from __future__ import annotations

from enum import Enum
from typing import Any

from detectors.declared.policy import REFIRE_MS


class Turn(Enum):
    """What asking has brought."""

    QUIET = "quiet"
    FIRED = "fired"
    HELD = "held"
    """It was told already, and has not cleared."""
    REFIRED = "refired"
    CLEARED = "cleared"


class Latch:
    """Fires when ``beyond`` becomes true, then holds until ``back`` is; ``refire_ms`` after the last telling
    an alarm that is still ``beyond`` is told again.

    Between ``beyond`` and ``back`` lies a distance (hysteresis), so that noise around a line is one alarm.
    It is not asked where there is nothing to judge by: silence neither fires nor clears.

    >>> latch = Latch()
    >>> [latch.ask(at, *given).value for at, given in enumerate([(1, 0), (1, 0), (0, 0), (0, 1), (1, 0)])]
    ['fired', 'held', 'held', 'cleared', 'fired']
    """

    __slots__ = ("opened", "refire_ms", "told")

    def __init__(self, refire_ms: int = REFIRE_MS) -> None:
        self.refire_ms = refire_ms
        self.told: int | None = None
        """When the alarm that has not cleared was told last, event time in ms; None: there is none."""
        self.opened = 0
        """When the latest alarm was told first."""

    def ask(self, now: int, beyond: bool, back: bool) -> Turn:
        """``now`` is event time in ms and never falls; ``beyond`` and ``back`` are not both true."""
        if self.told is None:
            if not beyond:
                return Turn.QUIET
            self.told = self.opened = now
            return Turn.FIRED
        if back:
            self.told = None
            return Turn.CLEARED
        if beyond and now - self.told >= self.refire_ms:
            self.told = now
            return Turn.REFIRED
        return Turn.HELD

    def snapshot(self) -> Any:
        return [self.told, self.opened]

    def restore(self, state: Any) -> None:
        self.told, self.opened = state
