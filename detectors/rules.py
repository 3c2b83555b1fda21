"""What is watched, and how rarely it may be wrong: the rules of a segment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase
from math import inf
from typing import Literal

from detectors.declared.policy import Declared, MaxAge, Slo, Threshold, UserBudget
from schemas.catalog import ABOVE, CATALOG, Measure
from schemas.signal import Severity, SignalName

AMOUNTS = (Measure.DOLLARS, Measure.TOKENS, Measure.MILLISECONDS)
SUMS = (SignalName.SPEND, SignalName.VOLUME)
"""Signals whose value is a sum over a window, not a mean."""


class Kind(Enum):
    """How a rule decides: what the rules file calls it."""

    LEARNED = "learned"
    BOUND = "bound"
    EVENT = "event"
    """The first trace that shows it: no statistics."""
    VOLUME = "volume"
    """Learned in both directions."""
    THRESHOLD = "threshold"
    SLO = "slo"
    MAX_AGE = "max_age"
    BUDGET_PER_USER = "budget_per_user"


DECLARED: dict[type[Declared], Kind] = {
    Threshold: Kind.THRESHOLD,
    Slo: Kind.SLO,
    MaxAge: Kind.MAX_AGE,
    UserBudget: Kind.BUDGET_PER_USER,
}
MONITORED = frozenset({Kind.LEARNED, Kind.BOUND, Kind.EVENT})
"""Kinds of which a segment has one rule a signal; of the others each rule that covers it runs."""
ONLY_DECLARED = {
    SignalName.SPEND: "threshold",
    SignalName.INDEX_AGE: "max_age",
    SignalName.USER_BUDGET: "budget_per_user",
}
"""Signals that nothing is learned of, and what their rules say instead."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One signal's alarm in the segments that it is for.

    ``budget_weeks`` N means: at most one false page in N weeks over all segments. ``min_units`` and
    ``min_effect`` hold an alarm back that rests on too few units or is too small to matter; both can only
    make alarms rarer, so the budget stands. ``min_effect`` is in the signal's unit, but for amounts
    (dollars, tokens, milliseconds) a share of what is normal. While the reference of a score or a rate is
    shorter than a day, it is also the daily swing that the baseline allows for.

    ``bound`` replaces the learned baseline: the mean score is to stay above it, or the rate below it.
    ``declared`` replaces the e-SR altogether: an objective, a line, a greatest age, a budget per user. Such
    rules have no budget of false pages, and run beside the learned rule of their signal.
    ``action`` takes the place of Gleaner's own words about what to do first.
    ``app``, ``environment`` and ``route`` are patterns (``*``, ``?``, ``[…]``).
    """

    name: str
    signal: SignalName
    severity: Severity
    pages: bool = True
    budget_weeks: float = 4.0
    min_units: int = 8
    min_effect: float = 0.0
    bound: float | None = None
    app: str = "*"
    environment: str = "*"
    route: str = "*"
    owner: str = ""
    runbook: str = ""
    action: str = ""
    declared: Declared | None = None

    def __post_init__(self) -> None:
        if not 0 < self.budget_weeks < inf or self.min_units < 1 or not 0 <= self.min_effect < inf:
            raise ValueError(
                f"rule {self.name}: budget_weeks > 0, min_units >= 1, min_effect >= 0, all finite"
            )
        if self.bound is not None:
            if self.measure not in (Measure.SCORE, Measure.RATE):
                raise ValueError(f"rule {self.name}: bound: only a score or a rate can have one")
            if not 0.0 < self.bound < 1.0:
                raise ValueError(f"rule {self.name}: bound: is between 0 and 1, both left out")
        wrong = self._misfit()
        if wrong:
            raise ValueError(f"rule {self.name}: {wrong}")

    def _misfit(self) -> str:
        """What its signal and what it declares have against each other."""
        declared, signal = self.declared, self.signal
        share = self.measure in (Measure.SCORE, Measure.RATE)
        if share and self.min_effect >= 1.0:
            return f"min_effect: {signal} lies between 0 and 1 and moves by less: five points are 0.05"
        if signal in ABOVE.values():
            of = next(name for name, share in ABOVE.items() if share is signal)
            return f"signal: {signal} is what a rule of {of} with slo and above tells: name {of}"
        if declared is None:
            missing = ONLY_DECLARED.get(signal)
            return f"{missing}: is needed, nothing is learned of {signal}" if missing else ""
        if self.bound is not None:
            return f"bound: stands beside {self.kind.value}; keep one of them"
        match declared:
            case MaxAge():
                return "" if signal is SignalName.INDEX_AGE else "max_age: is for the signal index_age"
            case UserBudget():
                fits = signal is SignalName.USER_BUDGET
                return "" if fits else "budget_per_user: is for the signal user_budget"
            case Slo(above=None):
                fits = self.measure is Measure.RATE
                return (
                    ""
                    if fits
                    else (
                        "above: is needed, the limit of a good request"
                        if signal in ABOVE
                        else f"slo: is for rates, latency, cost and tokens, not for {signal}"
                    )
                )
            case Slo():
                return "" if signal in ABOVE else "above: is for latency, cost and tokens"
            case Threshold(line=line):
                if self.measure in (Measure.EVENT, Measure.HOURS, Measure.SHARE):
                    return f"threshold: {signal} has no mean to hold against a line"
                if signal is SignalName.COST_PER_SUCCESS:
                    return "threshold: is for cost_per_request or task_failure_rate, not for their ratio"
                if share and not 0 <= line <= 1:
                    return f"threshold: {declared.side}: {signal} lies between 0 and 1"
                if share and line == 1 and not declared.falls:
                    return f"threshold: above: {signal} is never above 1"
                if share and declared.clear is not None and declared.clear > 1:
                    return f"threshold: clear: {signal} is never above 1, so it would never end"
        return ""

    @property
    def kind(self) -> Kind:
        if self.declared is not None:
            return DECLARED[type(self.declared)]
        if self.measure is Measure.EVENT:
            return Kind.EVENT
        if self.signal is SignalName.VOLUME:
            return Kind.VOLUME
        return Kind.LEARNED if self.bound is None else Kind.BOUND

    @property
    def measure(self) -> Measure:
        return CATALOG[self.signal].measure

    @property
    def direction(self) -> Literal["up", "down", "changed"]:
        """Where it gets worse: scores fall, rates and amounts rise, events happen. Volume does both."""
        if self.measure is Measure.EVENT:
            return "changed"
        if isinstance(self.declared, Threshold):
            return "down" if self.declared.falls else "up"
        return "down" if CATALOG[self.signal].falls else "up"

    @property
    def unit(self) -> str:
        if self.signal is SignalName.COST_PER_SUCCESS:
            return "US dollars a success"
        if self.signal is SignalName.SPEND:
            return "US dollars"
        if self.signal is SignalName.VOLUME and self.declared is not None:
            return "requests"
        return {
            Measure.SCORE: "mean score",
            Measure.RATE: f"share of {CATALOG[self.signal].units}",
            Measure.DOLLARS: "US dollars a request",
            Measure.TOKENS: "tokens a request",
            Measure.MILLISECONDS: "milliseconds a request",
            Measure.REQUESTS: "requests an hour",
            Measure.HOURS: "hours",
            Measure.SHARE: "share of the budget",
            Measure.EVENT: "",
        }[self.measure]

    def least_effect(self, normal: float) -> float:
        """The least move of the mean that counts, where ``normal`` is what it was."""
        return self.min_effect * normal if self.measure in AMOUNTS else self.min_effect

    def covers(self, app: str, environment: str, route: str) -> bool:
        return (
            fnmatchcase(app, self.app)
            and fnmatchcase(environment, self.environment)
            and fnmatchcase(route, self.route)
        )

    @property
    def budget(self) -> str:
        """The budget in words.

        >>> DEFAULT_RULES[0].budget
        'at most 1 false page per 4 weeks'
        """
        if self.kind in (Kind.EVENT, Kind.MAX_AGE, Kind.BUDGET_PER_USER):
            return ""
        if self.declared is not None:
            return "no stated budget"
        weeks = f"{self.budget_weeks:g} weeks" if self.budget_weeks != 1 else "week"
        return f"at most 1 false {'page' if self.pages else 'note'} per {weeks}"


def rules_of(rules: Iterable[Rule], app: str, environment: str, route: str) -> dict[SignalName, Rule]:
    """A segment's monitored rules: for each signal the first that covers it."""
    chosen: dict[SignalName, Rule] = {}
    for rule in rules:
        if rule.signal not in chosen and rule.kind in MONITORED and rule.covers(app, environment, route):
            chosen[rule.signal] = rule
    return chosen


def declared_of(rules: Iterable[Rule], app: str, environment: str, route: str) -> list[Rule]:
    """A segment's other rules: all that cover it."""
    return [rule for rule in rules if rule.kind not in MONITORED and rule.covers(app, environment, route)]


DEFAULT_RULES = (
    Rule("faithfulness_drop", SignalName.FAITHFULNESS, Severity.P2, min_effect=0.03),
    Rule("escalation_spike", SignalName.ESCALATION, Severity.P2, min_effect=0.005),
    Rule("cost_per_success_rise", SignalName.COST_PER_SUCCESS, Severity.P2, min_effect=0.05),
    Rule("broken_output", SignalName.BROKEN_OUTPUT, Severity.P2, min_effect=0.005),
    Rule("served_model_change", SignalName.SERVED_MODEL, Severity.INFO, pages=False),
)
"""What runs without a rules file: groundedness, escalation, cost per success, broken output, and the served
model's change."""
