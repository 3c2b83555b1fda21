"""What a rule would see in the segments of a store, as a table and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from detectors.baseline import ArmingPolicy
from detectors.coverage import Covered
from detectors.planning import Plan
from detectors.rules import Rule
from schemas.catalog import CATALOG
from sinks.numbers import value


def print_covered(rule: Rule, segments: Sequence[Covered]) -> None:
    """One row per segment; figures of a detection delay are upper ones."""
    from rich.table import Table
    from rich.text import Text

    from streams.commands.case_view import console, segment

    units = CATALOG[rule.signal].units
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("  segment", overflow="fold")
    for name in (f"{units} a day", "usual", "threshold"):
        table.add_column(name, justify="right", overflow="fold")
    for name in ("a small shift", "a larger one", "a large one"):
        table.add_column(name, overflow="fold")
    for one in segments:
        name = "  " + segment(one.app, one.environment, one.route)
        seen = [_delay(plan) for plan in one.plans] or [f"no {units}\nof it yet"]
        cells = [_number(one.per_day), value(rule.signal, one.usual), f"{one.threshold:,.0f}", *seen]
        table.add_row(*[Text(cell) for cell in (name, *cells)])
    console().print(table)
    shared = sorted({one.shared_by for one in segments})
    among = f"{shared[0]}" if len(shared) == 1 else f"{shared[0]} to {shared[-1]}"
    typer.echo(f"  {rule.budget}, shared by the segments of an app ({among})")
    typer.echo(f"  a shift is seen mostly sooner than after so many {units}, and in that time")


def covered_data(one: Covered) -> dict[str, Any]:
    """As ``--json`` prints a segment."""
    least = ArmingPolicy().provisional_units
    return {
        "app": one.app,
        "environment": one.environment,
        "route": one.route,
        "days": round(one.days, 3),
        "units_per_day": round(one.per_day, 3),
        "usual": one.usual,
        "shared_by": one.shared_by,
        "threshold": one.threshold,
        "days_to_arm": round(least / one.per_day, 3) if one.per_day else None,
        "sees": plans_data(one.plans),
    }


def plans_data(seen: Sequence[Plan]) -> list[dict[str, Any]]:
    return [
        {"shift": plan.shift, "units": round(plan.units), "days": round(plan.days, 3)}
        for plan in seen
        if plan.units != float("inf")
    ]


def days(length: float) -> str:
    """A delay in the unit that a reader would choose.

    >>> days(0.01), days(0.5), days(3.24), days(90)
    ('14 min', '12.0 h', '3.2 days', '90 days')
    """
    hours = length * 24
    if hours >= 48:
        return f"{length:.1f} days" if length < 30 else f"{length:,.0f} days"
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def _delay(plan: Plan) -> str:
    if plan.units == float("inf"):
        return f"{plan.shift}\nnever"
    return f"{plan.shift}\n{plan.units:,.0f}, {days(plan.days)}"


def _number(per_day: float) -> str:
    return f"{per_day:,.0f}" if per_day >= 10 or per_day == 0 else f"{per_day:.1f}"
