"""A rules file as data: what may be written there, checked field by field."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from detectors.rules import DEFAULT_RULES, Rule
from schemas.signal import Severity, SignalName

BUDGET = re.compile(r"^(?:at most )?1 per (?:(\d+(?:\.\d+)?) )?weeks?$")
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
    if match is None or float(match.group(1) or 1) <= 0:
        raise ValueError(f'a budget is "1 per 4 weeks", "1 per month" or the like, not {value!r}')
    return float(match.group(1) or 1)


class Where(BaseModel):
    """Which segments a rule is for: patterns."""

    model_config = ConfigDict(extra="forbid", strict=True)
    app: str = "*"
    environment: str = "*"
    route: str = "*"


class RuleSpec(BaseModel):
    """One entry under ``rules``. What is left out is taken from the default rule of that name, if any."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[a-z0-9][a-z0-9_\-]*$")]
    signal: SignalName | None = None
    enabled: bool = True
    budget: Annotated[float | None, BeforeValidator(weeks)] = None
    bound: Annotated[float | None, Field(gt=0, lt=1)] = None
    min_effect: Annotated[float | None, Field(ge=0)] = None
    min_units: Annotated[int | None, Field(ge=1)] = None
    severity: Severity | None = None
    page: bool | None = None
    where: Where = Where()
    owner: Annotated[str | None, Field(max_length=120)] = None
    runbook: Annotated[str | None, Field(max_length=500, pattern=r"^https?://\S+$")] = None

    def rule(self) -> Rule:
        """The rule that this says, on top of the default rule of its name."""
        known = next((rule for rule in DEFAULT_RULES if rule.name == self.name), None)
        signal = self.signal if known is None or self.signal is not None else known.signal
        if signal is None:
            raise ValueError(f"rule {self.name}: signal: is needed, one of {', '.join(SignalName)}")
        given: dict[str, Any] = {
            "budget_weeks": self.budget,
            "bound": self.bound,
            "min_effect": self.min_effect,
            "min_units": self.min_units,
            "severity": self.severity,
            "pages": self.page,
            "owner": self.owner,
            "runbook": self.runbook,
        }
        start = Rule(self.name, signal, Severity.P3) if known is None or known.signal != signal else known
        fields = {name: getattr(start, name) for name in start.__dataclass_fields__}
        return Rule(**(fields | {k: v for k, v in given.items() if v is not None} | self.where.model_dump()))


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
