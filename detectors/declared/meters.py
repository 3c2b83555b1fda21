"""What a declared rule on a signal's units measures: its meter, in the words of its signal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from detectors.declared.buckets import Measured
from detectors.declared.burn_rate import BurnRate
from detectors.declared.finding import Said
from detectors.declared.level import Level
from detectors.declared.policy import Slo, Threshold
from detectors.declared.say import SAY
from detectors.rules import SUMS, Rule
from schemas.catalog import CATALOG, Measure
from schemas.signal import SignalName


class Meter(Protocol):
    """Takes a signal's units in event-time order, and is asked when all before a time have been."""

    def add(self, units: Iterable[Measured]) -> None: ...
    def close(self, upto: int) -> list[Said]: ...
    def snapshot(self) -> dict[str, Any]: ...
    def restore(self, state: dict[str, Any]) -> None: ...


class Objective:
    """A burn rate on a signal's own units: bad are those above the limit; of a rate those that it counts, or
    does not where it gets worse by falling."""

    __slots__ = ("_above", "_burn", "_falls")

    def __init__(self, rule: Rule, policy: Slo) -> None:
        about = CATALOG[rule.signal]
        self._above = policy.above
        self._falls = about.falls
        limit = about.says
        if policy.above is not None:
            limit = f"with {about.noun} above {SAY[about.measure](policy.above)}"
        self._burn = BurnRate(policy, rule.severity, about.units, limit)

    def add(self, units: Iterable[Measured]) -> None:
        above = self._above
        if above is not None:
            self._burn.add([(time, 1.0 if value > above else 0.0, trace) for time, value, trace in units])
        elif self._falls:
            self._burn.add([(time, 1.0 - value, trace) for time, value, trace in units])
        else:
            self._burn.add(units)

    def close(self, upto: int) -> list[Said]:
        return self._burn.close(upto)

    def snapshot(self) -> dict[str, Any]:
        return self._burn.snapshot()

    def restore(self, state: dict[str, Any]) -> None:
        self._burn.restore(state)


def meter_of(rule: Rule) -> Meter:
    """The meter of a rule that declares an objective or a line."""
    if isinstance(rule.declared, Slo):
        return Objective(rule, rule.declared)
    assert isinstance(rule.declared, Threshold)
    about = CATALOG[rule.signal]
    return Level(
        rule.declared,
        about.units,
        about.noun,
        SAY[about.measure],
        share=about.measure in (Measure.SCORE, Measure.RATE),
        sums=rule.signal in SUMS,
        counts=rule.signal is SignalName.VOLUME,
    )
