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


class SloSpec(BaseModel):
    """``slo: {objective: 0.99, window: 30d, min_units: 100}``."""

    model_config = ConfigDict(extra="forbid")
    objective: float
    window: Duration = 30 * DAY_MS
    min_units: int = 100

    def value(self, above: float | None) -> Slo:
        return Slo(self.objective, self.window, above, self.min_units)


class ThresholdSpec(BaseModel):
    """``threshold: {below: 0.85, over: 1h, min_units: 50, clear: 0.87}``; ``above`` or ``below``."""

    model_config = ConfigDict(extra="forbid")
    above: float | None = None
    below: float | None = None
    over: Duration = HOUR_MS
    min_units: int = 50
    clear: float | None = None

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
    tokens: float | None = None
    usd: float | None = None
    levels: dict[Annotated[float, Field(gt=0)], Severity] | None = None

    def value(self) -> UserBudget:
        if (self.tokens is None) == (self.usd is None):
            raise ValueError("budget_per_user: has either tokens or usd")
        limit = self.tokens if self.usd is None else self.usd
        assert limit is not None
        levels = LEVELS if self.levels is None else tuple(sorted(self.levels.items()))
        return UserBudget(limit, self.usd is not None, levels)
