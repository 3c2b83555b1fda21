"""What is watched, and how rarely it may be wrong: the rules of a segment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.signal import Severity, SignalName


@dataclass(frozen=True, slots=True)
class Rule:
    """One signal's alarm. ``budget_weeks`` N means: at most one false page in N weeks over all segments.

    ``min_units`` and ``min_effect`` (in the signal's unit) hold an alarm back that rests on too few units
    or is too small to matter; both can only make alarms rarer, so the budget stands. While the reference is
    shorter than a day, ``min_effect`` is also the daily swing that the baseline allows for.
    """

    name: str
    signal: SignalName
    title: str
    direction: Literal["up", "down", "changed"]
    severity: Severity
    unit: str
    pages: bool = True
    budget_weeks: float = 4.0
    min_units: int = 8
    min_effect: float = 0.0

    def __post_init__(self) -> None:
        if self.budget_weeks <= 0 or self.min_units < 1 or self.min_effect < 0:
            raise ValueError(f"rule {self.name}: budget_weeks > 0, min_units >= 1 and min_effect >= 0")

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


DEFAULT_RULES = (
    Rule(
        name="faithfulness_drop",
        signal=SignalName.FAITHFULNESS,
        title="Answers are less supported by their sources",
        direction="down",
        severity=Severity.P2,
        unit="mean score",
        min_effect=0.03,
    ),
    Rule(
        name="escalation_spike",
        signal=SignalName.ESCALATION,
        title="More conversations are handed to people",
        direction="up",
        severity=Severity.P2,
        unit="share of conversations",
        min_effect=0.005,
    ),
    Rule(
        name="cost_spike",
        signal=SignalName.COST,
        title="Requests cost more",
        direction="up",
        severity=Severity.P2,
        unit="US dollars a request",
    ),
    Rule(
        name="served_model_change",
        signal=SignalName.SERVED_MODEL,
        title="The provider answers with another model",
        direction="changed",
        severity=Severity.INFO,
        unit="",
        pages=False,
    ),
)
"""What runs without a rules file."""
