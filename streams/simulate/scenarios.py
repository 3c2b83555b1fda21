"""What goes wrong, and when: the healthy week, the three incidents, and all of them at once."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
MONDAY_MS = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp()) * 1000
"""2 March 2026, 00:00 UTC. Fixed: simulated events lie in the past of every machine's clock."""
FRIDAY_MS = MONDAY_MS + 4 * DAY_MS
START_MS = MONDAY_MS + 8 * HOUR_MS
END_MS = FRIDAY_MS + 20 * HOUR_MS
"""The week begins on Monday at 08:00 and ends on Friday at 20:00, hours after the last fault has begun."""
OUTLIERS_MS = MONDAY_MS + 3 * DAY_MS
"""From day four on somebody now and then sends a big document. Single requests, and no incident."""


class Fault(StrEnum):
    """One thing that goes wrong on the fifth day, and stays wrong."""

    SILENT_UPDATE = "silent-update"
    """The provider answers requests for the same model with a newer one, which embellishes."""
    COST_SPIKE = "cost-spike"
    """One user sends documents of 200 pages."""
    STALE_INDEX = "stale-index"
    """The index goes back to last year's documents: the answers are faithful to them, and out of date."""


class Scenario(NamedTuple):
    """``onsets``: which faults there are, and since when, in epoch milliseconds."""

    name: str
    title: str
    onsets: dict[Fault, int]

    def broken(self, fault: Fault, time: int) -> bool:
        """Whether ``fault`` is there at ``time``.

        >>> [SCENARIOS[name].broken(Fault.STALE_INDEX, END_MS) for name in ("demo", "healthy")]
        [True, False]
        """
        onset = self.onsets.get(fault)
        return onset is not None and time >= onset


ONSETS = {
    Fault.SILENT_UPDATE: FRIDAY_MS + 9 * HOUR_MS + 12 * 60_000,
    Fault.STALE_INDEX: FRIDAY_MS + 10 * HOUR_MS + 5 * 60_000,
    Fault.COST_SPIKE: FRIDAY_MS + 12 * HOUR_MS + 40 * 60_000,
}

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("demo", "all three faults, each in its own application", ONSETS),
        Scenario("healthy", "nothing goes wrong: whatever pages here is a false page", {}),
        *(
            Scenario(fault.value, title, {fault: ONSETS[fault]})
            for fault, title in (
                (Fault.SILENT_UPDATE, "the provider updates support-bot's model in silence"),
                (Fault.COST_SPIKE, "one user sends contract-extractor documents of 200 pages"),
                (Fault.STALE_INDEX, "policy-bot's index goes back to last year's documents"),
            )
        ),
    )
}
