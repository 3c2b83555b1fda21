"""A finding of a declared rule as a signal."""

from __future__ import annotations

from typing import NamedTuple

from detectors.declared.finding import Finding
from detectors.declared.policy import Slo
from detectors.rules import Rule
from schemas.catalog import ABOVE, CATALOG
from schemas.identity import derive
from schemas.signal import Severity, Signal, SignalName


class Segment(NamedTuple):
    app: str
    environment: str
    route: str


def told_as(rule: Rule) -> SignalName:
    """The signal that a rule's alarms are of: an objective for an amount is for the share above its limit."""
    if isinstance(rule.declared, Slo) and rule.declared.above is not None:
        return ABOVE[rule.signal]
    return rule.signal


def tell(rule: Rule, of: Segment, found: Finding) -> Signal:
    """The alarm. A share of bad units is shown as the share of good ones where that is the signal."""
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
        unit="share of requests" if signal is not rule.signal else rule.unit,
        evidence=None if found.evidence is None else round(found.evidence, 3),
        threshold=None if found.threshold is None else round(found.threshold, 3),
        budget=rule.budget,
        cause=found.cause,
        examples=found.examples,
        reason=found.reason,
        owner=rule.owner,
        runbook=rule.runbook,
    )
