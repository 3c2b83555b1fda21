"""When conversations begin: office hours, a dip at lunch, a few at night."""

from __future__ import annotations

from itertools import accumulate
from random import Random

from streams.simulate.scenarios import DAY_MS, END_MS, HOUR_MS, START_MS

BY_HOUR = (2, 1, 1, 1, 2, 4, 10, 24, 46, 62, 66, 60, 46, 52, 62, 60, 52, 42, 30, 22, 16, 11, 7, 4)
"""Relative traffic of the hours of a day, UTC."""
HOURS = range(START_MS, END_MS, HOUR_MS)
_CUMULATED = tuple(accumulate(BY_HOUR[hour % DAY_MS // HOUR_MS] for hour in HOURS))


def begin(rng: Random) -> int:
    """The time at which a conversation begins, in epoch milliseconds, anywhere in the simulated week.

    Drawn independently for each: any number of conversations has the same daily cycle.
    """
    (hour,) = rng.choices(HOURS, cum_weights=_CUMULATED)
    return hour + int(rng.random() * HOUR_MS)
