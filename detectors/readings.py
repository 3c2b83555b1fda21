"""How a rule's units are read from traces and conversations, and which detector watches them."""

from __future__ import annotations

from collections.abc import Callable

from detectors.baseline import ArmingPolicy
from detectors.blocks import Read
from detectors.bounded import BoundedDetector
from detectors.cost import CostDetector
from detectors.detector import Detector
from detectors.esr import fraction_bets, rate_bets
from detectors.monitor import Monitor
from detectors.rules import Rule
from schemas.catalog import Measure
from schemas.observation import TraceRow
from schemas.signal import SignalName

Amount = Callable[[TraceRow], float | None]


def one_monitor(rule: Rule, policy: ArmingPolicy | None = None) -> Monitor:
    """The monitor of a score, rate or amount by itself, with a memory of its own."""
    return Monitor(rule, detector_of(rule, policy or ArmingPolicy()))


def one_of(bits: int) -> Read:
    """Reads 1 from a conversation that has one of these bits, else 0."""
    return lambda value: 1.0 if int(value) & bits else 0.0


def detector_of(rule: Rule, policy: ArmingPolicy) -> Detector:
    """The detector of a score, a rate or an amount that a rule watches."""
    if rule.measure not in (Measure.SCORE, Measure.RATE):
        return CostDetector(rule.budget_weeks, policy)
    score = rule.measure is Measure.SCORE
    bound = None if rule.bound is None else 1.0 - rule.bound if score else rule.bound
    bets = fraction_bets if score else rate_bets
    return BoundedDetector(bets, rule.budget_weeks, policy, rule.min_effect, bound)


def _tokens(row: TraceRow) -> float | None:
    return None if row[12] is None or row[13] is None else float(row[12] + row[13])


def _latency(row: TraceRow) -> float | None:
    return row[14]


def _first_token(row: TraceRow) -> float | None:
    return row[16]


AMOUNTS: dict[SignalName, Amount] = {
    SignalName.TOKENS: _tokens,
    SignalName.LATENCY: _latency,
    SignalName.TIME_TO_FIRST_TOKEN: _first_token,
}
"""Signals of single requests beside their cost, and how a trace states them."""
