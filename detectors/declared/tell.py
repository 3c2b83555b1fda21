"""A finding of a declared rule as a signal, and the end of one as a recovery."""

from __future__ import annotations

from typing import NamedTuple

from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.policy import Slo
from detectors.rules import Rule
from schemas.catalog import ABOVE, CATALOG, SCORED
from schemas.identity import derive
from schemas.signal import Recovery, Severity, Signal, SignalName


class Segment(NamedTuple):
    app: str
    environment: str
    route: str


def told_as(rule: Rule) -> SignalName:
    """The signal that a rule's alarms are of: an objective for an amount is for the share above its limit."""
    if isinstance(rule.declared, Slo) and rule.declared.above is not None:
        return ABOVE[rule.signal]
    return rule.signal


def tell(rule: Rule, of: Segment, said: Said, scorer: str | None = None) -> Signal | Recovery:
    """A share of bad units is shown as the share of good ones where that is the signal. ``scorer``: whose
    scores the segment measures."""
    return _recovery(rule, of, said) if isinstance(said, Returned) else _alarm(rule, of, said, scorer)


def _unit(rule: Rule) -> str:
    return rule.unit if told_as(rule) is rule.signal else "share of requests"


def _recovery(rule: Rule, of: Segment, back: Returned) -> Recovery:
    flipped = isinstance(rule.declared, Slo) and CATALOG[told_as(rule)].falls
    return Recovery(
        id=derive("recovery", *of, rule.name, back.key, back.time),
        alarm_id=derive("signal", *of, rule.name, back.key, back.opened),
        app=of.app,
        environment=of.environment,
        route=of.route,
        signal=told_as(rule),
        rule=rule.name,
        since=back.since,
        detected_at=back.time,
        baseline=1.0 - back.baseline if flipped else back.baseline,
        bound=1.0 - back.bound if flipped and back.bound is not None else back.bound,
        value=1.0 - back.value if flipped else back.value,
        n=back.n,
        unit=_unit(rule),
        reason=back.reason,
        accepted_by=back.accepted_by,
    )


def _alarm(rule: Rule, of: Segment, found: Finding, scorer: str | None) -> Signal:
    signal = told_as(rule)
    value, baseline, rises = found.value, found.baseline, found.rises
    if isinstance(rule.declared, Slo) and CATALOG[signal].falls:
        value, rises = 1.0 - value, False
        baseline = None if baseline is None else 1.0 - baseline
    severity = found.severity or rule.severity
    return Signal(
        id=derive("signal", *of, rule.name, found.key, found.time),
        app=of.app,
        environment=of.environment,
        route=of.route,
        signal=signal,
        rule=rule.name,
        severity=severity,
        pages=rule.pages and severity is not Severity.INFO,
        direction="up" if rises else "down",
        onset=found.onset,
        detected_at=found.time,
        baseline=baseline,
        baseline_n=found.baseline_n,
        baseline_note=found.note,
        value=value,
        n=found.n,
        unit=_unit(rule),
        evidence=None if found.evidence is None else round(found.evidence, 3),
        threshold=None if found.threshold is None else round(found.threshold, 3),
        budget=rule.budget,
        scorer=(scorer or "") if signal in SCORED else "",
        cause=found.cause,
        examples=found.examples,
        reason=found.reason,
        owner=rule.owner,
        runbook=rule.runbook,
        action=rule.action,
    )
