"""Rules that were edited while a segment's state was away: what it was written under, and what ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from detectors.rules import Rule
from schemas.catalog import Measure
from schemas.identity import derive
from schemas.signal import Recovery, Signal, SignalName


def says(rule: Rule) -> str:
    """What a rule decides by: a state that was written under another answer is not its state.

    Its name, its budget and what holds alarms back are not in it.

    >>> from schemas.signal import Severity
    >>> says(Rule("r", SignalName.ERROR, Severity.P3, bound=0.02))
    'error_rate 0.02'
    """
    return f"{rule.signal} {rule.declared or rule.bound}"


class Under(NamedTuple):
    """What a baseline was written under."""

    name: str
    says: str
    weeks: float


def under(rule: Rule) -> Under:
    return Under(rule.name, says(rule), rule.budget_weeks)


class Open(NamedTuple):
    """A rule's alarm that has not ended: its first record's id, and what the latest one said."""

    says: str
    alarm_id: str
    signal: str
    told: int
    """Event time of the latest, ms."""
    baseline: float | None
    value: float
    n: int
    unit: str


class OpenAlarms:
    """The alarms of a segment that have not ended, by rule.

    A rule that is renamed, taken out, or decides by something else now is not there any more to say that its
    alarm is over, so :meth:`restore` says it. What the new rule sees, it tells by itself. Rules of single
    events (another served model) have no end, and are not kept. Bounded by the number of rules.

    **Misleads** about an alarm that opened before states had this: it is known from its next telling on, and
    its end then names that one.
    """

    __slots__ = ("_of", "_open", "_says")

    def __init__(self, of: tuple[str, str, str], rules: Iterable[Rule]) -> None:
        """``of`` is the segment (app, environment, route), ``rules`` those that watch it."""
        self._of = of
        self._says = {rule.name: says(rule) for rule in rules if rule.measure is not Measure.EVENT}
        self._open: dict[str, Open] = {}

    def note(self, records: Iterable[Signal | Recovery]) -> None:
        """Take in what the segment's rules say, in their order."""
        for record in records:
            if isinstance(record, Recovery):
                self._open.pop(record.rule, None)
            elif record.rule in self._says and record.value is not None:
                before = self._open.get(record.rule)
                self._open[record.rule] = Open(
                    self._says[record.rule],
                    record.id if before is None else before.alarm_id,
                    record.signal.value,
                    record.detected_at,
                    record.baseline,
                    record.value,
                    record.n,
                    record.unit,
                )

    def snapshot(self) -> dict[str, Any]:
        return {name: list(one) for name, one in self._open.items()}

    def restore(self, state: Mapping[str, Any], now: int = 0) -> list[Recovery]:
        """Take over a snapshot at event time ``now`` (ms); the ends of what no rule stands for any more."""
        known = {name: Open(*one) for name, one in state.items()}
        self._open = {name: one for name, one in known.items() if self._says.get(name) == one.says}
        return [self._ended(name, one, now) for name, one in known.items() if name not in self._open]

    def _ended(self, rule: str, one: Open, now: int) -> Recovery:
        app, environment, route = self._of
        at = max(one.told, now)
        return Recovery(
            id=derive("recovery", *self._of, rule, "edited", one.alarm_id),
            alarm_id=one.alarm_id,
            app=app,
            environment=environment,
            route=route,
            signal=SignalName(one.signal),
            rule=rule,
            since=at,
            detected_at=at,
            baseline=one.value if one.baseline is None else one.baseline,
            bound=None,
            value=one.value,
            n=one.n,
            unit=one.unit,
            reason="the rule was edited, renamed or taken out of the rules file: it does not watch this as"
            " it did when it fired; nothing says that the signal is back",
        )
