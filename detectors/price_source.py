"""Where a segment's costs come from: reckoned from prices, or reported by the application."""

from __future__ import annotations

from enum import Enum
from typing import Any

from schemas.observation import PriceStatus

BLOCK = 100
"""Priced requests after which the dominant source is reckoned again."""
DOMINANT = 67
"""Requests of a block that make a source dominant: below that the sources are mixed, and nothing changes."""
REPORTED = int(PriceStatus.REPORTED)


class Admission(Enum):
    """What becomes of a cost."""

    USE = "use"
    LEAVE = "leave"
    """Its source is not one of the reference's."""
    RENEW = "renew"
    """The dominant source has changed: forget the baseline, then use it."""


USE, LEAVE, RENEW = Admission


class PriceSource:
    """Keeps a change of price source from looking like a change of price.

    Sources that the reference was learned from are all used. Another one that turns up after arming is
    left out of the detector, until it makes two thirds of a hundred priced requests: then it is dominant,
    and the detector arms anew. A mix that stays mixed never does.
    """

    __slots__ = ("_dominant", "_known", "_n", "_reported")

    def __init__(self) -> None:
        self._n = 0
        self._reported = 0
        self._dominant: int | None = None
        self._known = 0

    def admit(self, price: int, armed: bool) -> Admission:
        """What to do with a request's cost, by its ``PriceStatus`` and whether the detector is armed."""
        self._n += 1
        if price == REPORTED:
            self._reported += 1
            source = 2
        else:
            source = 1
        if self._n == BLOCK and self._end_of_block():
            self._known = source
            return RENEW
        if not armed:
            self._known |= source
            return USE
        return USE if self._known & source else LEAVE

    def admit_run(self, reported: bool, units: int) -> int:
        """How many of the next ``units``, all from one source, are used for sure; they are counted.

        The first one after them, if there is one, is :meth:`admit`'s to decide.
        """
        if not self._known & (2 if reported else 1):
            return 0
        used = 0
        while used < units:
            part = min(units - used, BLOCK - 1 - self._n)
            self._n += part
            self._reported += part if reported else 0
            used += part
            if used == units or self._ends_with_news(reported):
                break
            self._reported += reported
            self._end_of_block()
            used += 1
        return used

    def _ends_with_news(self, reported: bool) -> bool:
        dominant = self._majority(self._reported + reported)
        return dominant is not None and self._dominant is not None and dominant != self._dominant

    def _end_of_block(self) -> bool:
        reported, self._n, self._reported = self._reported, 0, 0
        dominant = self._majority(reported)
        if dominant is None:
            return False
        before, self._dominant = self._dominant, dominant
        return before is not None and before != dominant

    @staticmethod
    def _majority(reported: int) -> int | None:
        if BLOCK - DOMINANT < reported < DOMINANT:
            return None
        return 2 if reported >= DOMINANT else 1

    def snapshot(self) -> dict[str, Any]:
        return {"n": self._n, "reported": self._reported, "dominant": self._dominant, "known": self._known}

    def restore(self, state: dict[str, Any]) -> None:
        self._n = state["n"]
        self._reported = state["reported"]
        self._dominant = state["dominant"]
        self._known = state["known"]
