"""The summary of a run, for people."""

from __future__ import annotations

from collections.abc import Sequence

import typer
from rich.console import Console
from rich.table import Table

from schemas.base import rfc3339
from schemas.catalog import CATALOG, Measure
from schemas.dead_letter import DeadLetter
from schemas.incident import Incident
from schemas.signal import SignalName
from streams.commands.printable import one_line

SHOWN = 5
"""Dead letters that a person sees."""


def amount(signal: SignalName, value: float | None) -> str:
    """A signal's value in its own unit.

    >>> amount(SignalName.ESCALATION, 0.125), amount(SignalName.COST, 0.0123), amount(SignalName.COST, None)
    ('12.5%', '$0.0123', 'unknown')
    """
    if value is None:
        return "unknown"
    measure = CATALOG[signal].measure
    if measure in (Measure.RATE, Measure.SHARE):
        return f"{value:.1%}"
    if measure is Measure.DOLLARS:
        return f"${value:.4f}"
    return f"{value:.2f}" if measure is Measure.SCORE else f"{value:,.0f}"


def say_dead_letters(letters: Sequence[DeadLetter], where: str) -> None:
    """The first few of them on standard error; ``where`` all of them are."""
    for letter in letters[:SHOWN]:
        typer.echo(f"dead letter: {one_line(letter.message)}", err=True)
    if len(letters) > SHOWN:
        typer.echo(f"… and {len(letters) - SHOWN:,} more; {where}", err=True)


def print_summary(
    incidents: Sequence[Incident], events: int, processed: int, dead: int, cases: int, distinct: int
) -> None:
    console = Console(highlight=False)
    console.print(f"{events:,} events: {processed:,} processed, {dead:,} dead-lettered")
    console.print(f"{cases:,} failing cases, {distinct:,} distinct")
    if not incidents:
        console.print("no incident")
        return
    table = Table("severity", "app", "signal", "baseline", "now", "since", "cause")
    for incident in incidents:
        cause = incident.cause
        table.add_row(
            incident.severity.value,
            incident.app,
            incident.signal.value,
            amount(incident.signal, incident.baseline),
            amount(incident.signal, incident.value),
            rfc3339(incident.onset),
            f"{cause.dimension}: {cause.previous or '—'} → {cause.current}"
            if cause
            else "nothing explains it",
        )
    console.print(table)
