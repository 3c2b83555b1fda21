"""A rules file as data: what may be written there, checked field by field."""

from __future__ import annotations

import re
from math import inf
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from detectors.declared.policy import Declared, MaxAge
from detectors.declared.spec import Count, Duration, Number, SloSpec, ThresholdSpec, UserBudgetSpec
from detectors.rules import DEFAULT_RULES, Rule
from schemas.signal import Severity, SignalName

BUDGET = re.compile(r"^(?:at most )?1 per (?:(\d+(?:\.\d+)?) )?weeks?$")
KINDS = ("bound", "threshold", "slo", "max_age", "budget_per_user")
"""What a rule may say instead of learning: at most one of them."""
VOLUME_EFFECT = 0.25
"""Part of what is expected by which volume must have moved, where its rule does not say."""
WEEKS = {"week": 1.0, "month": 4.345, "quarter": 13.0, "year": 52.18}


def weeks(value: Any) -> float:
    """A budget as weeks to one false page.

    >>> weeks("1 per 4 weeks"), weeks("1 per week"), weeks("1 per month")
    (4.0, 1.0, 4.345)
    """
    text = str(value).strip().lower()
    for name, length in WEEKS.items():
        if text == f"1 per {name}":
            return length
    match = BUDGET.match(text)
    if match is None or not 0 < float(match.group(1) or 1) < inf:
        raise ValueError(f'a budget is "1 per 4 weeks", "1 per month" or the like, not {value!r}')
    return float(match.group(1) or 1)


class Where(BaseModel):
    """Which segments a rule is for: patterns."""

    model_config = ConfigDict(extra="forbid", strict=True)
    app: str = "*"
    environment: str = "*"
    route: str = "*"


class RuleSpec(BaseModel):
    """One entry under ``rules``. What is left out is taken from the default rule of that name, if any.

    A rule that has none of ``KINDS`` learns what is normal. ``above`` stands beside ``slo``.
    """

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9_\-]*$")]
    signal: SignalName | None = None
    enabled: bool = True
    budget: Annotated[float | None, BeforeValidator(weeks)] = None
    bound: Annotated[Number, Field(gt=0, lt=1)] | None = None
    threshold: ThresholdSpec | None = None
    slo: SloSpec | None = None
    above: Number | None = None
    max_age: Duration | None = None
    budget_per_user: UserBudgetSpec | None = None
    min_effect: Annotated[Number, Field(ge=0)] | None = None
    min_units: Annotated[Count, Field(ge=1)] | None = None
    severity: Severity | None = None
    page: bool | None = None
    where: Where = Where()
    owner: Annotated[str | None, Field(max_length=120)] = None
    runbook: Annotated[str | None, Field(max_length=500, pattern=r"^https?://\S+$")] = None
    action: Annotated[str | None, Field(min_length=1, max_length=300)] = None

    def rule(self) -> Rule:
        """The rule that this says, on top of the default rule of its name."""
        known = next((rule for rule in DEFAULT_RULES if rule.name == self.name), None)
        signal = self.signal if known is None or self.signal is not None else known.signal
        if signal is None:
            raise ValueError(f"rule {self.name}: signal: is needed, one of {', '.join(SignalName)}")
        declared = self._declared()
        given: dict[str, Any] = {
            "declared": declared,
            "budget_weeks": self.budget,
            "bound": self.bound,
            "min_effect": self.min_effect,
            "min_units": self.min_units,
            "severity": self.severity,
            "pages": self.page,
            "owner": self.owner,
            "runbook": self.runbook,
            "action": self.action,
        }
        start = known
        if start is None or start.signal != signal or declared is not None:
            # Not from a rule of another signal or kind: what it holds against noise is in other units.
            severity = Severity.P3 if known is None or known.signal != signal else known.severity
            start = _start(self.name, signal, severity, declared)
        fields = {name: getattr(start, name) for name in start.__dataclass_fields__}
        return Rule(**(fields | {k: v for k, v in given.items() if v is not None} | self.where.model_dump()))

    def _declared(self) -> Declared | None:
        kinds = [name for name in KINDS if getattr(self, name) is not None]
        if len(kinds) > 1:
            raise ValueError(f"rule {self.name}: {kinds[1]}: stands beside {kinds[0]}; keep one of them")
        if self.above is not None and self.slo is None:
            raise ValueError(f"rule {self.name}: above: belongs beside slo, or inside threshold")
        if not kinds or self.bound is not None:
            return None
        for name in ("budget", "min_effect", "min_units"):
            if getattr(self, name) is not None:
                where = f"write it inside {kinds[0]}" if name == "min_units" else "leave it out"
                raise ValueError(f"rule {self.name}: {name}: is of learned rules, not of {kinds[0]}: {where}")
        try:
            if self.slo is not None:
                return self.slo.value(self.above)
            if self.threshold is not None:
                return self.threshold.value()
            if self.budget_per_user is not None:
                return self.budget_per_user.value()
            assert self.max_age is not None
            return MaxAge(self.max_age)
        except ValueError as error:
            raise ValueError(f"rule {self.name}: {error}") from None


def _start(name: str, signal: SignalName, severity: Severity, declared: Declared | None) -> Rule:
    effect = VOLUME_EFFECT if signal is SignalName.VOLUME and declared is None else 0.0
    return Rule(name, signal, severity, min_effect=effect, declared=declared)


class RuleFile(BaseModel):
    """``defaults: false`` leaves out the default rules that the file doesn't name."""

    model_config = ConfigDict(extra="forbid")
    defaults: bool = True
    rules: list[RuleSpec] = []


def parse(document: object) -> tuple[Rule, ...]:
    """The rules that a file's content says, its own first. Raises ``ValueError`` that names the field."""
    try:
        file = RuleFile.model_validate({} if document is None else document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part + 1) if isinstance(part, int) else part for part in first["loc"])
        raise ValueError(f"{place or 'rules'}: {first['msg'].removeprefix('Value error, ')}") from None
    names = [spec.name for spec in file.rules]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"rule {name}: is named twice: give each rule a name of its own")
    own = tuple([spec.rule() for spec in file.rules if spec.enabled])
    rest = tuple([rule for rule in DEFAULT_RULES if rule.name not in names]) if file.defaults else ()
    return own + rest
