"""The few values that make a batch fail, found by halving."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import duckdb

Item = TypeVar("Item")

FAULTS_OF_A_VALUE = (
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.InvalidInputException,
    ValueError,
    TypeError,
    OverflowError,
)
"""What a value that cannot be stored raises. All else (a full disk, no memory, a lost lock) is no value's
fault, and is left to the caller to try again."""


def isolate(
    items: Sequence[Item], attempt: Callable[[Sequence[Item]], None]
) -> tuple[list[Item], list[tuple[Item, Exception]]]:
    """The items that ``attempt`` accepts, in order, and the others with what they raised.

    ``attempt`` must leave no trace of what it tried. It is called about 2·log2(n) times per bad item.
    Raises what ``attempt`` raises for no items at all: then nothing is wrong with the items.

    >>> isolate(["1", "x", "2"], lambda items: [int(i) for i in items] and None)[0]
    ['1', '2']
    """
    attempt(())
    return _halve(items, attempt)


def _halve(
    items: Sequence[Item], attempt: Callable[[Sequence[Item]], None]
) -> tuple[list[Item], list[tuple[Item, Exception]]]:
    if not items:
        return [], []
    try:
        attempt(items)
    except FAULTS_OF_A_VALUE as error:
        if len(items) == 1:
            return [], [(items[0], error)]
    else:
        return list(items), []
    middle = len(items) // 2
    good, bad = _halve(items[:middle], attempt)
    more_good, more_bad = _halve(items[middle:], attempt)
    return good + more_good, bad + more_bad
