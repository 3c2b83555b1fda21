"""What is watched, and how rarely it may be wrong: the rules of a segment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from schemas.catalog import CATALOG, Measure
from schemas.signal import Severity, SignalName

AMOUNTS = (Measure.DOLLARS, Measure.TOKENS, Measure.MILLISECONDS)


@dataclass(frozen=True, slots=True)
class Rule:
    """One signal's alarm in the segments that it is for.

    ``budget_weeks`` N means: at most one false page in N weeks over all segments. ``min_units`` and
    ``min_effect`` hold an alarm back that rests on too few units or is too small to matter; both can only
    make alarms rarer, so the budget stands. ``min_effect`` is in the signal's unit, but for amounts
    (dollars, tokens, milliseconds) a share of what is normal. While the reference of a score or a rate is
    shorter than a day, it is also the daily swing that the baseline allows for.

    ``bound`` replaces the learned baseline: the mean score is to stay above it, or the rate below it.
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

    def __post_init__(self) -> None:
        if self.budget_weeks <= 0 or self.min_units < 1 or self.min_effect < 0:
            raise ValueError(f"rule {self.name}: budget_weeks > 0, min_units >= 1 and min_effect >= 0")
        if self.bound is not None:
            if self.measure not in (Measure.SCORE, Measure.RATE):
                raise ValueError(f"rule {self.name}: bound: only a score or a rate can have one")
            if not 0.0 < self.bound < 1.0:
                raise ValueError(f"rule {self.name}: bound: is between 0 and 1, both left out")

    @property
    def measure(self) -> Measure:
        return CATALOG[self.signal].measure

    @property
    def direction(self) -> Literal["up", "down", "changed"]:
        """Where it gets worse: scores fall, rates and amounts rise, events happen."""
        if self.measure is Measure.EVENT:
            return "changed"
        return "down" if self.measure is Measure.SCORE else "up"

    @property
    def unit(self) -> str:
        if self.signal is SignalName.COST_PER_SUCCESS:
            return "US dollars a success"
        return {
            Measure.SCORE: "mean score",
            Measure.RATE: "share of conversations",
            Measure.DOLLARS: "US dollars a request",
            Measure.TOKENS: "tokens a request",
            Measure.MILLISECONDS: "milliseconds a request",
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
        if self.direction == "changed":
            return ""
        weeks = f"{self.budget_weeks:g} weeks" if self.budget_weeks != 1 else "week"
        return f"at most 1 false {'page' if self.pages else 'note'} per {weeks}"


def rules_of(rules: Iterable[Rule], app: str, environment: str, route: str) -> dict[SignalName, Rule]:
    """A segment's rules: for each signal the first that covers it."""
    chosen: dict[SignalName, Rule] = {}
    for rule in rules:
        if rule.signal not in chosen and rule.covers(app, environment, route):
            chosen[rule.signal] = rule
    return chosen


DEFAULT_RULES = (
    Rule("faithfulness_drop", SignalName.FAITHFULNESS, Severity.P2, min_effect=0.03),
    Rule("escalation_spike", SignalName.ESCALATION, Severity.P2, min_effect=0.005),
    Rule("cost_per_success_rise", SignalName.COST_PER_SUCCESS, Severity.P2, min_effect=0.05),
    Rule("broken_output", SignalName.BROKEN_OUTPUT, Severity.P2, min_effect=0.005),
    Rule("served_model_change", SignalName.SERVED_MODEL, Severity.INFO, pages=False),
)
"""What runs without a rules file: groundedness, escalation, cost per success, broken output, and the served
model's change."""
