"""``gleaner rules``: what the rules say, in words, and how soon each would see a shift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.planning import Plan, plans, threshold
from detectors.rules import Rule
from schemas.catalog import CATALOG
from streams.rules_file import load_rules

app = typer.Typer(no_args_is_help=True, help="The rules file: check it, and what each rule would see.")

File = Annotated[Path | None, typer.Argument(help="a rules file (YAML); the default rules without one")]
PerDay = Annotated[float, typer.Option(min=1, help="conversations (amounts: requests) a day in a segment")]
Segments = Annotated[int, typer.Option(min=1, help="segments that share a rule's budget")]
AsJson = Annotated[bool, typer.Option("--json", help="print one object per rule")]


@app.command()
def check(
    file: File = None, per_day: PerDay = 10_000, segments: Segments = 1, as_json: AsJson = False
) -> None:
    """Check a rules file and say each rule in words; exit 2 names the field that is wrong.

    Example: gleaner rules check rules.yaml --per-day 2000 --segments 3
    """
    rules = load_rules(file)
    for rule in rules:
        seen = plans(rule, per_day, segments)
        if as_json:
            typer.echo(json.dumps(_data(rule, seen, per_day, segments)))
        else:
            typer.echo("\n".join(_words(rule, seen, per_day, segments)) + "\n")
    if not as_json:
        typer.echo(f"{len(rules)} rules; for a signal the first rule that covers a segment counts")


app.command(name="explain", help="The same as check.")(check)


def _words(rule: Rule, seen: list[Plan], per_day: float, segments: int) -> list[str]:
    about = CATALOG[rule.signal]
    where = [
        f"{name} {pattern}"
        for name, pattern in (("app", rule.app), ("environment", rule.environment), ("route", rule.route))
        if pattern != "*"
    ]
    told = "pages" if rule.pages else "is a note, no page"
    lines = [f"{rule.name}: {about.noun} in {', '.join(where) or 'every segment'}; {rule.severity} {told}"]
    if rule.direction == "changed":
        return [*lines, "  fires on the first trace that shows it: no statistics, no budget"]
    against = "what is learned as normal, then pinned" if rule.bound is None else f"the bound {rule.bound:g}"
    lines.append(f"  fires when it {'falls' if rule.direction == 'down' else 'rises'}, against {against}")
    needed = threshold(rule, per_day, segments)
    lines.append(
        f"  {rule.budget}: at {per_day:,.0f} {about.units} a day"
        f" in {segments} segment{'' if segments == 1 else 's'} a threshold of {needed:,.0f} units"
    )
    if rule.min_effect:
        share = rule.least_effect(2.0) != rule.min_effect
        least = f"{rule.min_effect:.0%} of normal" if share else f"{rule.min_effect:g}"
        lines.append(f"  moves of less than {least}, or on fewer than {rule.min_units} units, are not told")
    lines.append("  sees, mostly sooner than: " + "; ".join([_delay(plan, about.units) for plan in seen]))
    if rule.owner or rule.runbook:
        lines.append(f"  owner {rule.owner or 'nobody named'}, runbook {rule.runbook or 'none'}")
    return lines


def _delay(plan: Plan, units: str) -> str:
    if plan.units == float("inf"):
        return f"{plan.shift} never"
    hours = plan.days * 24
    time = f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"
    return (
        f"{plan.shift} after {plan.units:,.0f} {units} ({f'{plan.days:.1f} days' if hours >= 48 else time})"
    )


def _data(rule: Rule, seen: list[Plan], per_day: float, segments: int) -> dict[str, Any]:
    return {
        "name": rule.name,
        "signal": rule.signal.value,
        "direction": rule.direction,
        "severity": rule.severity.value,
        "pages": rule.pages,
        "budget_weeks": rule.budget_weeks,
        "bound": rule.bound,
        "min_effect": rule.min_effect,
        "min_units": rule.min_units,
        "where": {"app": rule.app, "environment": rule.environment, "route": rule.route},
        "owner": rule.owner,
        "runbook": rule.runbook,
        "threshold": None if rule.direction == "changed" else threshold(rule, per_day, segments),
        "sees": [
            {"shift": plan.shift, "units": round(plan.units), "days": round(plan.days, 3)}
            for plan in seen
            if plan.units != float("inf")
        ],
    }
