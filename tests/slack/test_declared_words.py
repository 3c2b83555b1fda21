"""What a page of a declared rule says: figures in their own unit, nothing over no units, the right action."""

from __future__ import annotations

import pytest

from detectors.declared.finding import Finding
from detectors.declared.policy import MaxAge, Slo, Threshold, UserBudget
from detectors.declared.tell import Segment, tell
from detectors.incident import group
from detectors.rules import Rule
from schemas.incident import Incident
from schemas.signal import Cause, Severity, Signal, SignalName
from sinks import words
from sinks.actions import first_action

AT = 1_772_438_400_000


def page(rule: Rule, value: float, baseline: float | None, n: int, cause: Cause | None = None) -> Incident:
    found = Finding(AT, AT, value, baseline, "", n, "so it is", rises=rule.direction == "up", cause=cause)
    signal = tell(rule, Segment("shop", "prod", "chat"), found)
    assert isinstance(signal, Signal)
    return group([signal])[0]


@pytest.mark.parametrize(
    ("rule", "value", "baseline", "says"),
    [
        (
            Rule("x", SignalName.LATENCY, Severity.P2, declared=Slo(0.99, above=2_000.0)),
            0.16,
            0.01,
            "P2 · slow request rate on shop rose 1.0% → 16.0% since 08:00 UTC, cause unknown.",
        ),
        (
            Rule("x", SignalName.GROUNDED, Severity.P2, declared=Slo(0.95)),
            0.4,
            0.05,
            "P2 · grounded rate on shop fell 95.0% → 60.0% since 08:00 UTC, cause unknown.",
        ),
        (
            Rule("x", SignalName.VOLUME, Severity.P2, declared=Threshold(30.0, True)),
            0.0,
            30.0,
            "P2 · volume on shop fell 30 requests → 0 requests since 08:00 UTC, cause unknown.",
        ),
        (
            Rule("x", SignalName.SPEND, Severity.P3, declared=Threshold(250.0, False)),
            251.2,
            250.0,
            "P3 · spend on shop rose $250 → $251 since 08:00 UTC, cause unknown.",
        ),
        (
            Rule("x", SignalName.INDEX_AGE, Severity.P3, declared=MaxAge(86_400_000)),
            24.0,
            None,
            "P3 · index age on shop rose since 08:00 UTC, cause unknown.",
        ),
    ],
)
def test_the_headline(rule: Rule, value: float, baseline: float | None, says: str) -> None:
    assert words.headline(page(rule, value, baseline, 100)) == says


def test_a_budget_names_its_user_and_what_to_do() -> None:
    rule = Rule("x", SignalName.USER_BUDGET, Severity.P2, declared=UserBudget(9_000, False))
    incident = page(rule, 0.95, None, 0, Cause(dimension="user_id", current="u7", share=1.0))
    assert words.headline(incident).endswith("rose since 08:00 UTC, mostly user id u7.")
    assert words.facts(incident)[0].text == "95.0%"
    assert first_action(incident).startswith("Read what the user asks: a loop, an outsized input")
    assert "budget:" not in words.footer(incident)


def test_a_line_has_no_stated_budget_and_says_so() -> None:
    rule = Rule("x", SignalName.FAITHFULNESS, Severity.P3, declared=Threshold(0.75, True))
    assert words.footer(page(rule, 0.7, 0.75, 60)).endswith("budget: no stated budget")
