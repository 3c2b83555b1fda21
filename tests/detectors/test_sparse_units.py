"""The last 32 units that were added, as columns."""

from __future__ import annotations

from detectors.sparse_units import HISTORY, SparseUnits
from detectors.unit import Unit
from schemas.observation import Profile

PLACES = (Profile("prod", "chat"), Profile("prod", "search"))


def unit(number: int) -> Unit:
    user = f"u{number}" if number % 3 else None
    return 1_000 * number, number / 7, f"trace-{number}", PLACES[number % 2], user


def test_they_come_back_as_they_were_without_their_trace() -> None:
    sparse = SparseUnits((number, unit(number)) for number in range(5))
    assert sparse.items() == [(n, (*unit(n)[:2], "", *unit(n)[3:])) for n in range(5)]
    assert sparse.users() == [unit(n)[4] for n in range(5)]


def test_the_oldest_leaves() -> None:
    sparse = SparseUnits()
    for number in range(31, 31 + 32 * (HISTORY + 5), 32):
        sparse.add(number, unit(number))
    numbers = [number for number, _ in sparse.items()]
    assert numbers == list(range(31 + 32 * 5, 31 + 32 * (HISTORY + 5), 32))
    assert len(sparse.users()) == HISTORY
