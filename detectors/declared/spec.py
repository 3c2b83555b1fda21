"""What a rules file may write for a declared rule, and the frozen value that it means."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from detectors.declared.policy import (
    DAY_MS,
    HOUR_MS,
    LEVELS,
    MINUTE_MS,
    Slo,
    Threshold,
    UserBudget,
)
from schemas.signal import Severity

UNITS = {"m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
LENGTH = re.compile(r"^(\d{1,5}) ?([mhdw])$")


def duration(value: Any) -> int:
    """A length of time in milliseconds.

    >>> duration("5m"), duration("24h"), duration("30d")
    (300000, 86400000, 2592000000)
    """
    match = LENGTH.match(str(value).strip().lower())
    if match is None or not int(match[1]):
        raise ValueError(f'a length of time is "5m", "24h", "30d" or the like, not {value!r}')
    return int(match[1]) * UNITS[match[2]]


Duration = Annotated[int, BeforeValidator(duration)]


def no_truth(value: Any) -> Any:
    """``value``, unless it is true or false, which would pass for 1 and 0.

    >>> no_truth(2)
    2
    """
    if isinstance(value, bool):
        raise ValueError(f"a number is needed, not {str(value).lower()}")
    return value


Number = Annotated[float, BeforeValidator(no_truth), Field(allow_inf_nan=False)]
"""A finite one: nothing compares with what is not a number, so a rule of it could never fire."""
Count = Annotated[int, BeforeValidator(no_truth)]


class SloSpec(BaseModel):
    """``slo: {objective: 0.99, window: 30d, min_units: 100}``."""

    model_config = ConfigDict(extra="forbid")
    objective: Number
    window: Duration = 30 * DAY_MS
    min_units: Count = 100

    def value(self, above: float | None) -> Slo:
        return Slo(self.objective, self.window, above, self.min_units)


class ThresholdSpec(BaseModel):
    """``threshold: {below: 0.85, over: 1h, min_units: 50, clear: 0.87}``; ``above`` or ``below``."""

    model_config = ConfigDict(extra="forbid")
    above: Number | None = None
    below: Number | None = None
    over: Duration = HOUR_MS
    min_units: Count = 50
    clear: Number | None = None

    def value(self) -> Threshold:
        if (self.above is None) == (self.below is None):
            raise ValueError("threshold: has either above or below")
        falls = self.above is None
        line = self.below if falls else self.above
        assert line is not None
        return Threshold(line, falls, self.over, self.min_units, self.clear)


class UserBudgetSpec(BaseModel):
    """``budget_per_user: {tokens: 100000}`` or ``{usd: 5, levels: {0.9: P3, 1: P2}}``."""

    model_config = ConfigDict(extra="forbid")
    tokens: Number | None = None
    usd: Number | None = None
    levels: dict[Annotated[Number, Field(gt=0)], Severity] | None = None

    def value(self) -> UserBudget:
        if (self.tokens is None) == (self.usd is None):
            raise ValueError("budget_per_user: has either tokens or usd")
        limit = self.tokens if self.usd is None else self.usd
        assert limit is not None
        levels = LEVELS if self.levels is None else tuple(sorted(self.levels.items()))
        return UserBudget(limit, self.usd is not None, levels)
