"""What came out of it, as the store says it."""

from __future__ import annotations

from typing import Any, NamedTuple

from schemas.incident import Incident
from sinks.evalstore import Connection, Totals, event_counters, open_for_reading, totals
from streams.demo.home import Home
from streams.demo.watch import ACCEPTED
from streams.wall import now_ms


class Result(NamedTuple):
    """``published`` is counted where events go in; the rest is what the store holds at the end."""

    published: int
    processed: int
    dead: int
    incidents: list[Incident]
    totals: Totals
    seconds: float

    @property
    def complete(self) -> bool:
        """Every event that went in came out, processed or as a dead letter."""
        return self.published == self.processed + self.dead

    def summary(self) -> dict[str, Any]:
        """The object of the command-line contract."""
        return {
            "events": {"in": self.published, "processed": self.processed, "dead_lettered": self.dead},
            "incidents": [incident.summary() for incident in self.incidents],
            "cases": self.totals.cases,
            "distinct_cases": self.totals.distinct_cases,
            "seconds": round(self.seconds, 1),
        }


def open_store(home: Home) -> Connection:
    return open_for_reading(home.store, now_ms())


def read_result(con: Connection, published: int, seconds: float) -> Result:
    counters = event_counters(con)
    found = totals(con)
    bodies = con.execute("SELECT body FROM incidents ORDER BY detected_at, id").fetchall()
    return Result(
        published,
        sum(counter.get(name, 0) for counter in counters.values() for name in ACCEPTED),
        found.dead_letters,
        [Incident.model_validate_json(body) for (body,) in bodies],
        found,
        seconds,
    )
