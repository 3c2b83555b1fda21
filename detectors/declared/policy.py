"""What a rule may declare instead of learning what is normal: frozen values, checked."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from schemas.signal import Severity

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
BUCKET_MS = 5 * MINUTE_MS
"""Event time that is counted as one; declared rules are asked when a bucket closes."""
LONGEST_MS = 3 * DAY_MS
"""The longest window: 864 buckets."""
REFIRE_MS = DAY_MS
"""An alarm that has not cleared is told again after this much event time."""


class Tier(NamedTuple):
    """One pair of windows of a burn-rate alert: fires where both burn at ``rate`` times the budget."""

    rate: float
    long_ms: int
    short_ms: int
    ticket: bool


@dataclass(frozen=True, slots=True)
class Slo:
    """At least ``objective`` of the units in ``window_ms`` are to be good.

    ``above`` makes a unit of an amount (latency, cost, tokens): one above it is bad. A tier needs
    ``min_units`` in its long window. Raises ``ValueError`` with the field and the fix.
    """

    objective: float
    window_ms: int = 30 * DAY_MS
    above: float | None = None
    min_units: int = 100

    def __post_init__(self) -> None:
        if not 0.5 <= self.objective < 1.0:
            raise ValueError("slo: objective: is a share of good units from 0.5 to below 1, like 0.99")
        if not 7 * DAY_MS <= self.window_ms <= 90 * DAY_MS:
            raise ValueError('slo: window: is from 7 to 90 days, like "30d"')
        if self.min_units < 1:
            raise ValueError("slo: min_units: is at least 1")
        if self.above is not None and not 0 < self.above < inf:
            raise ValueError("above: is more than 0, in the signal's unit")
        if not self.tiers:
            raise ValueError("slo: objective: leaves no burn rate that can be reached: raise it")

    @property
    def budget(self) -> float:
        """The share of bad units that the objective allows."""
        return 1.0 - self.objective

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """Gravest first. Those that cannot fire are left out: a rate that asks for more bad units than
        there are units, or one that an app within its objective reaches.

        >>> [(tier.rate, tier.long_ms // HOUR_MS, tier.short_ms // MINUTE_MS) for tier in Slo(0.99).tiers]
        [(14.4, 1, 5), (6.0, 6, 30), (1.0, 72, 360)]
        >>> [round(tier.rate, 2) for tier in Slo(0.9, 28 * DAY_MS).tiers]
        [5.6]
        """
        pairs = [
            (0.02, HOUR_MS, 5 * MINUTE_MS, False),
            (0.05, 6 * HOUR_MS, 30 * MINUTE_MS, False),
            (0.10, 3 * DAY_MS, 6 * HOUR_MS, True),
        ]
        tiers = [
            Tier(round(share * self.window_ms / long, 6), long, short, ticket)
            for share, long, short, ticket in pairs
        ]
        return tuple([tier for tier in tiers if tier.rate >= 1.0 and tier.rate * self.budget <= 1.0])


@dataclass(frozen=True, slots=True)
class Threshold:
    """The mean of a signal (of ``spend`` and ``volume``: the sum) over ``over_ms`` is not to cross ``line``.

    ``falls``: it is crossed downwards. The alarm clears at ``clear``. Raises ``ValueError``.
    """

    line: float
    falls: bool
    over_ms: int = HOUR_MS
    min_units: int = 50
    clear: float | None = None

    def __post_init__(self) -> None:
        if not BUCKET_MS <= self.over_ms <= LONGEST_MS or self.over_ms % BUCKET_MS:
            raise ValueError('threshold: over: is from 5m to 3d in steps of 5 minutes, like "1h"')
        if self.min_units < 1:
            raise ValueError("threshold: min_units: is at least 1")
        if not 0 <= self.line < inf or (self.line == 0 and self.falls):
            raise ValueError(f"threshold: {self.side}: is more than 0, in the signal's unit")
        if self.clear is not None and not (
            self.line <= self.clear < inf if self.falls else 0 <= self.clear <= self.line
        ):
            raise ValueError(
                f"threshold: clear: lies on the healthy side of {self.side} {self.line:g}, and is 0 or more"
            )

    @property
    def side(self) -> str:
        return "below" if self.falls else "above"

    def clears_at(self, share: bool) -> float:
        """Where the alarm clears: as declared, else a tenth of the line back; of a ``share`` that is not to
        fall, a tenth of what is missing to 1.

        >>> Threshold(2.0, False).clears_at(False), round(Threshold(0.9, True).clears_at(True), 3)
        (1.8, 0.91)
        """
        if self.clear is not None:
            return self.clear
        if not self.falls:
            return 0.9 * self.line
        return self.line + 0.1 * (1.0 - self.line) if share else 1.1 * self.line


@dataclass(frozen=True, slots=True)
class MaxAge:
    """The index is to be updated at least once in ``age_ms``."""

    age_ms: int

    def __post_init__(self) -> None:
        if not BUCKET_MS <= self.age_ms <= 366 * DAY_MS:
            raise ValueError('max_age: is from 5m to 366d, like "24h"')


LEVELS = ((0.8, Severity.INFO), (0.95, Severity.P3), (1.0, Severity.P2))


@dataclass(frozen=True, slots=True)
class UserBudget:
    """What one user may use in a UTC day of event time: ``limit`` tokens, or US dollars.

    ``levels`` are shares of it in rising order, each with the severity of its alarm.
    """

    limit: float
    dollars: bool
    levels: tuple[tuple[float, Severity], ...] = LEVELS

    def __post_init__(self) -> None:
        if not 0 < self.limit < inf:
            raise ValueError("budget_per_user: is a number of more than 0")
        shares = [share for share, _ in self.levels]
        if not shares or shares != sorted(set(shares)) or not all(0 < share <= 100 for share in shares):
            raise ValueError("budget_per_user: levels: are rising shares of the budget, like 0.8, 0.95, 1")


Declared = Slo | Threshold | MaxAge | UserBudget
