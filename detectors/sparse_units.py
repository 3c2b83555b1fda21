"""Units kept far apart, of a time of which the others are forgotten: columns, not objects."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from detectors.unit import Unit
from schemas.observation import Profile

HISTORY = 32
"""Units kept."""


class SparseUnits:
    """The last 32 units that were added, without their trace_ids; 40 bytes each beside the user's name.

    >>> sparse = SparseUnits()
    >>> sparse.add(31, (1_000, 0.5, "t1", Profile("prod", "chat"), "ann"))
    >>> [(number, unit[:3], unit[4]) for number, unit in sparse.items()]
    [(31, (1000, 0.5, ''), 'ann')]
    """

    __slots__ = ("_numbers", "_profiles", "_times", "_users", "_values")

    def __init__(self, units: Iterable[tuple[int, Unit]] = ()) -> None:
        self._numbers, self._times, self._values = array("q"), array("q"), array("d")
        self._profiles: list[Profile] = []
        self._users: list[str | None] = []
        for number, unit in units:
            self.add(number, unit)

    def add(self, number: int, unit: Unit) -> None:
        """Keep a unit with its number, which is above all others."""
        self._numbers.append(number)
        self._times.append(unit[0])
        self._values.append(unit[1])
        self._profiles.append(unit[3])
        self._users.append(unit[4])
        if len(self._numbers) > HISTORY:
            for column in (self._numbers, self._times, self._values, self._profiles, self._users):
                del column[0]

    def items(self) -> list[tuple[int, Unit]]:
        """Numbers and units, oldest first."""
        columns = zip(self._numbers, self._times, self._values, self._profiles, self._users, strict=True)
        return [(number, (time, value, "", profile, user)) for number, time, value, profile, user in columns]

    def users(self) -> list[str | None]:
        """Whose units they are."""
        return self._users
