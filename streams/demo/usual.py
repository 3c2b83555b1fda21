"""What the usual dashboards saw of it: latency, errors, tokens, schema, thumbs. That is, nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from rich.table import Table

from schemas.base import parse_time
from streams.simulate.shape import Event


class Usual(NamedTuple):
    """The usual figures of some traffic; None where an application has no such thing."""

    latency_ms: float | None
    errors: float | None
    output_tokens: float | None
    schema_valid: float | None
    thumbs_down: float | None


def usual(events: Sequence[Event]) -> Usual:
    """
    >>> usual([{"event": "trace", "latency_ms": 5}, {"event": "trace", "latency_ms": 7, "error": "timeout"}])
    Usual(latency_ms=6.0, errors=0.5, output_tokens=None, schema_valid=None, thumbs_down=0.0)
    """
    traces = [event for event in events if event["event"] == "trace"]
    down = sum(event.get("value") == "down" for event in events)
    tokens = [event["output_tokens"] for event in traces if "output_tokens" in event]
    valid = [event["schema_valid"] for event in traces if "schema_valid" in event]
    return Usual(
        median([event["latency_ms"] for event in traces]) if traces else None,
        sum("error" in event for event in traces) / len(traces) if traces else None,
        median(tokens) if tokens else None,
        sum(valid) / len(valid) if valid else None,
        down / len(traces) if traces else None,
    )


def compared(events: Sequence[Event], app: str, route: str, onset: int) -> tuple[Usual, Usual]:
    """The figures of one route before ``onset`` and since; feedback belongs to its trace's route."""
    ours = {e["trace_id"] for e in events if e["event"] == "trace" and (e["app"], e["route"]) == (app, route)}
    before: list[Event] = []
    since: list[Event] = []
    for event in events:
        if event.get("trace_id") in ours:
            (since if parse_time(event["timestamp"]) >= onset else before).append(event)
    return usual(before), usual(since)


COLUMNS: tuple[tuple[str, Callable[[float], str]], ...] = (
    ("median latency", lambda ms: f"{ms / 1000:.2f} s"),
    ("errors", lambda share: f"{share:.1%}"),
    ("median output", lambda tokens: f"{tokens:.0f} tokens"),
    ("valid schema", lambda share: f"{share:.0%}"),
    ("thumbs down", lambda share: f"{share:.1%}"),
)


def usual_table(rows: Sequence[tuple[str, Usual, Usual]]) -> Table:
    """A row for each application: each figure before and since."""
    table = Table("", *(name for name, _ in COLUMNS), box=None, padding=(0, 1))
    for name, before, since in rows:
        cells = []
        for (_, show), old, new in zip(COLUMNS, before, since, strict=True):
            cells.append("–" if old is None or new is None else f"{show(old)} → {show(new)}")
        table.add_row(name, *cells)
    return table
