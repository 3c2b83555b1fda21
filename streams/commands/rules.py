"""``gleaner rules``: what the rules say, in words, and how soon each would see a shift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from detectors.coverage import Covered, coverage
from detectors.planning import Plan, plans, threshold
from detectors.rules import Kind, Rule
from schemas.catalog import CATALOG
from streams.commands.covered import covered_data, days, plans_data, print_covered
from streams.commands.fail import Failed
from streams.commands.reader import Store, reader
from streams.commands.rule_words import declared_data, declared_words
from streams.rules_file import load_rules
from streams.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The rules file: check it, and what each rule would see.")

LEARNS = (Kind.LEARNED, Kind.BOUND)
"""Kinds whose delays can be planned."""
File = Annotated[Path | None, typer.Argument(help="a rules file (YAML); the default rules without one")]
PerDay = Annotated[
    float | None,
    typer.Option(
        min=1,
        help="conversations (amounts: requests) a day in a segment, instead of a store's; 10000 without one",
    ),
]
Segments = Annotated[int, typer.Option(min=1, help="segments that share a rule's budget, at least")]
ASSUMED_PER_DAY = 10_000.0
AsJson = Annotated[bool, typer.Option("--json", help="print one object per rule")]


@app.command()
def check(
    file: File = None,
    store: Store = None,
    per_day: PerDay = None,
    segments: Segments = 1,
    as_json: AsJson = False,
) -> None:
    """Check a rules file and say each rule in words; exit 2 names the field that is wrong.

    Says how soon each rule would see a shift, as an upper figure: where there is an eval store, in each
    segment that it covers, by that segment's own volume and usual value.

    Example: gleaner rules check rules.yaml --store store.duckdb
    """
    if store is not None and per_day is not None:
        raise Failed("--per-day: is an assumption instead of a store's volumes: give one of the two")
    rules = load_rules(file)
    covered = _coverage(rules, store, segments) if per_day is None else None
    assumed = per_day or ASSUMED_PER_DAY
    for rule in rules:
        if covered is not None:
            _tell_covered(rule, covered.get(rule.name, []), as_json)
        elif as_json:
            typer.echo(json.dumps(_data(rule) | _planned(rule, assumed, segments)))
        else:
            typer.echo("\n".join([*_words(rule), *_assumed(rule, assumed, segments), *_owner(rule)]) + "\n")
    if not as_json:
        typer.echo(
            f"{len(rules)} rules; of the learned and bound ones of a signal the first that covers a segment"
            " counts, the others all run"
        )


def _coverage(rules: tuple[Rule, ...], store: Path | None, segments: int) -> dict[str, list[Covered]] | None:
    """What the rules cover in the store; None where none is named and the configured one is not there."""
    from sinks.evalstore import snapshots_of
    from sinks.evalstore.volumes import RECENT_DAYS, day_volumes
    from streams.rule_coverage import segments_of

    settings = Settings()
    own = settings.store_file()
    if store is None and not own.exists() and not snapshots_of(own).exists():
        return None
    with reader(store or own) as con:
        known = segments_of(day_volumes(con))
    typer.echo(f"volumes of {store or own}, its last {RECENT_DAYS} days", err=True)
    return coverage(rules, known, max(segments, settings.segments))


def _tell_covered(rule: Rule, segments: list[Covered], as_json: bool) -> None:
    if as_json:
        covered = [covered_data(one) for one in segments]
        typer.echo(json.dumps(_data(rule) | {"segments": covered} | _declared(rule)))
        return
    said = [] if rule.kind in LEARNS else _assumed(rule, ASSUMED_PER_DAY, 1)
    typer.echo("\n".join([*_words(rule), *said, *_owner(rule)]))
    if rule.kind in LEARNS:
        if segments:
            print_covered(rule, segments)
        else:
            typer.echo("  covers no segment of the store")
    typer.echo()


app.command(name="explain", help="The same as check.")(check)


def _words(rule: Rule) -> list[str]:
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
    if rule.kind not in LEARNS:
        return lines
    against = "what is learned as normal, then pinned" if rule.bound is None else f"the bound {rule.bound:g}"
    lines.append(f"  fires when it {'falls' if rule.direction == 'down' else 'rises'}, against {against}")
    if rule.min_effect:
        share = rule.least_effect(2.0) != rule.min_effect
        least = f"{rule.min_effect:.0%} of normal" if share else f"{rule.min_effect:g}"
        lines.append(f"  moves of less than {least}, or on fewer than {rule.min_units} units, are not told")
    return lines


def _assumed(rule: Rule, per_day: float, segments: int) -> list[str]:
    """Threshold and delays at an assumed volume; of a declared rule what it does."""
    if rule.direction == "changed":
        return []
    if rule.kind not in LEARNS:
        return [f"  {line}" for line in declared_words(rule, per_day)]
    units = CATALOG[rule.signal].units
    among = f"{segments} segment{'' if segments == 1 else 's'}"
    needed = threshold(rule, per_day, segments)
    seen = "; ".join([_delay(plan, units) for plan in plans(rule, per_day, segments)])
    return [
        f"  {rule.budget}: at {per_day:,.0f} {units} a day in {among} a threshold of {needed:,.0f} units",
        f"  sees, mostly sooner than: {seen}",
    ]


def _owner(rule: Rule) -> list[str]:
    first = [f"  do first: {rule.action}"] if rule.action else []
    if not rule.owner and not rule.runbook:
        return first
    return [f"  owner {rule.owner or 'nobody named'}, runbook {rule.runbook or 'none'}", *first]


def _delay(plan: Plan, units: str) -> str:
    if plan.units == float("inf"):
        return f"{plan.shift} never"
    return f"{plan.shift} after {plan.units:,.0f} {units} ({days(plan.days)})"


def _data(rule: Rule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "kind": rule.kind.value,
        "signal": rule.signal.value,
        "direction": "both" if rule.kind is Kind.VOLUME else rule.direction,
        "severity": rule.severity.value,
        "pages": rule.pages,
        "budget_weeks": rule.budget_weeks if rule.declared is None else None,
        "bound": rule.bound,
        "min_effect": rule.min_effect,
        "min_units": rule.min_units,
        "where": {"app": rule.app, "environment": rule.environment, "route": rule.route},
        "owner": rule.owner,
        "runbook": rule.runbook,
        "action": rule.action,
    }


def _planned(rule: Rule, per_day: float, segments: int) -> dict[str, Any]:
    learns = rule.kind in LEARNS
    return {
        "threshold": threshold(rule, per_day, segments) if learns else None,
        "sees": plans_data(plans(rule, per_day, segments)) if learns else [],
        **_declared(rule, per_day),
    }


def _declared(rule: Rule, per_day: float = ASSUMED_PER_DAY) -> dict[str, Any]:
    if rule.kind in LEARNS or rule.direction == "changed":
        return {}
    return declared_data(rule, per_day)
