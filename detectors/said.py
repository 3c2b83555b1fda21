"""Alarms and their ends, as the records that are published."""

from __future__ import annotations

from typing import Any, NamedTuple

from detectors.alarm import Alarm
from detectors.changes import ServedChange
from detectors.cost_per_success import FAILURES, Dollars, Told
from detectors.interval import interval
from detectors.recovery import Return
from detectors.rules import Rule
from detectors.unit import Unit
from detectors.words import reason, returned, served_model, success
from schemas.catalog import SCORED, Measure
from schemas.identity import derive
from schemas.signal import Cause, Recovery, Signal

OF_FAILURES = "failures"
"""What tells an alarm of a rule's second side from one of its first on the same trace."""


class Where(NamedTuple):
    """A segment."""

    app: str
    environment: str
    route: str


def signal_id(where: Where, rule: Rule, trace_id: str, time: int, *side: str) -> str:
    return derive("signal", *where, rule.name, trace_id, time, *side)


def alarm_signal(where: Where, rule: Rule, unit: Unit, alarm: Alarm, scorer: str | None = None) -> Signal:
    """An alarm of a score, a rate, or an amount; scores fall, though y rises. ``scorer``: the segment's."""
    time, _, trace_id, _, _ = unit
    falls = rule.direction == "down"
    known = interval(rule.measure, alarm.value, alarm.n, [unit[1] for unit in alarm.after])
    low, high = known or (None, None)
    if falls and known is not None:
        low, high = 1.0 - known[1], 1.0 - known[0]
    return Signal(
        **_of(where, rule, alarm),
        id=signal_id(where, rule, trace_id, time),
        scorer=(scorer or "") if rule.signal in SCORED else "",
        detected_at=time,
        baseline=1.0 - alarm.baseline if falls else alarm.baseline,
        value=1.0 - alarm.value if falls else alarm.value,
        value_from=low,
        value_to=high,
        reason=reason(rule.signal, alarm),
    )


def success_signal(where: Where, rule: Rule, told: Told, alarm: Alarm, dollars: Dollars) -> Signal:
    """An alarm of what a successful task costs."""
    time, _, trace_id, _, _ = told.unit
    low, high = _between(told, alarm, dollars) or (None, None)
    side = (OF_FAILURES,) if told.side == FAILURES else ()
    return Signal(
        **_of(where, rule, alarm),
        id=signal_id(where, rule, trace_id, time, *side),
        detected_at=time,
        baseline=dollars.normal,
        value=dollars.now,
        value_from=low,
        value_to=high,
        reason=success(told.side == FAILURES, alarm, dollars),
    )


def _between(told: Told, alarm: Alarm, dollars: Dollars) -> tuple[float, float] | None:
    """The interval of what a success costs: that of the side that moved, the other being as it normally is.

    See :func:`~detectors.interval.interval`, and for the two sides
    :class:`~detectors.cost_per_success.CostPerSuccess`.
    """
    failures = told.side == FAILURES
    measure = Measure.RATE if failures else Measure.DOLLARS
    known = interval(measure, alarm.value, alarm.n, [unit[1] for unit in alarm.after])
    if known is None or alarm.value <= 0.0:
        return None
    if failures:
        succeeds = [1.0 - min(share, 0.999) for share in (alarm.value, *known)]
        return dollars.now * succeeds[0] / succeeds[1], dollars.now * succeeds[0] / succeeds[2]
    return dollars.now * known[0] / alarm.value, dollars.now * known[1] / alarm.value


def _of(where: Where, rule: Rule, alarm: Alarm) -> dict[str, Any]:
    return {
        **where._asdict(),
        "signal": rule.signal,
        "rule": rule.name,
        "severity": rule.severity,
        "pages": rule.pages,
        "direction": rule.direction,
        "onset": alarm.onset,
        "onset_from": alarm.between and alarm.between[0],
        "onset_to": alarm.between and alarm.between[1],
        "baseline_n": alarm.baseline_n,
        "baseline_note": alarm.baseline_note,
        "n": alarm.n,
        "unit": rule.unit,
        "evidence": round(alarm.evidence, 3),
        "threshold": round(alarm.threshold, 3),
        "budget": rule.budget,
        "cause": alarm.verdict.cause,
        "ruled_out": alarm.verdict.ruled_out,
        "examples": alarm.examples,
        "owner": rule.owner,
        "runbook": rule.runbook,
        "action": rule.action,
    }


def recovery_record(where: Where, rule: Rule, unit: Unit, back: Return, alarm_id: str = "") -> Recovery:
    """The end of an alarm: of ``alarm_id``, or of the one on the unit that opened it."""
    time, _, trace_id, _, _ = unit
    falls = rule.direction == "down"
    bound = back.bound
    return Recovery(
        **where._asdict(),
        id=derive("recovery", *where, rule.name, trace_id, time),
        alarm_id=alarm_id or signal_id(where, rule, *back.opened),
        signal=rule.signal,
        rule=rule.name,
        since=back.since,
        detected_at=time,
        baseline=1.0 - back.baseline if falls else back.baseline,
        bound=1.0 - bound if falls and bound is not None else bound,
        value=1.0 - back.value if falls else back.value,
        n=back.n,
        unit=rule.unit,
        reason=returned(rule.signal, back),
        accepted_by=back.accepted_by,
    )


def served_signal(where: Where, rule: Rule, time: int, trace_id: str, change: ServedChange) -> Signal:
    """Another model answers: a fact, no statistics."""
    return Signal(
        **where._asdict(),
        id=signal_id(where, rule, trace_id, time),
        signal=rule.signal,
        rule=rule.name,
        severity=rule.severity,
        pages=rule.pages,
        direction=rule.direction,
        onset=time,
        detected_at=time,
        baseline=None,
        value=None,
        n=1,
        unit=rule.unit,
        budget=rule.budget,
        cause=Cause(dimension="served_model", previous=change.previous, current=change.current),
        examples=(trace_id,),
        reason=served_model(change.model, change.previous, change.current),
        owner=rule.owner,
        runbook=rule.runbook,
        action=rule.action,
    )
