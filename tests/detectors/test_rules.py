"""Rules: which covers a segment, what a rules file may say, and what a declared bound does."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import yaml

from detectors.rulebook import parse
from detectors.rules import DEFAULT_RULES, Rule, rules_of
from detectors.segment import SegmentMonitors
from schemas.observation import Flag, Outcome
from schemas.signal import Severity, SignalName
from tests.detectors.streams import HEALTHY, rate

FILE = """
rules:
  - name: escalation_spike          # a default rule, changed
    budget: 1 per 8 weeks
    owner: support team
    runbook: https://wiki.example/escalations
    action: Ask the support lead first.
  - name: slow_answers              # a rule of one's own
    signal: latency_ms
    severity: P3
    page: false
    min_effect: 0.2
    where: {app: "shop-*", environment: prod}
  - name: blocks
    signal: policy_block_rate
    bound: 0.02
  - name: cost_per_success_rise
    enabled: false
"""


def test_a_file_changes_adds_and_leaves_out_rules() -> None:
    rules = {rule.name: rule for rule in parse(yaml.safe_load(FILE))}
    assert list(rules) == [
        "escalation_spike",
        "slow_answers",
        "blocks",
        "faithfulness_drop",
        "broken_output",
        "served_model_change",
    ]
    changed = rules["escalation_spike"]
    assert (changed.budget_weeks, changed.min_effect, changed.severity) == (8.0, 0.005, Severity.P2)
    assert (changed.owner, changed.runbook) == ("support team", "https://wiki.example/escalations")
    assert changed.action == "Ask the support lead first."
    assert rules["slow_answers"].budget == "at most 1 false note per 4 weeks"
    assert SignalName.LATENCY in rules_of(rules.values(), "shop-a", "prod", "chat")
    assert SignalName.LATENCY not in rules_of(rules.values(), "care", "prod", "chat")


def test_without_a_file_or_with_an_empty_one_the_defaults_run() -> None:
    assert parse(None) == DEFAULT_RULES
    assert parse({"defaults": False}) == ()


def test_the_first_rule_that_covers_a_segment_is_its_signals() -> None:
    mine = Rule("mine", SignalName.ESCALATION, Severity.P1, app="shop")
    rules = (mine, *DEFAULT_RULES)
    assert rules_of(rules, "shop", "prod", "chat")[SignalName.ESCALATION].name == "mine"
    assert rules_of(rules, "other", "prod", "chat")[SignalName.ESCALATION].name == "escalation_spike"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"name": "x"}, "signal: is needed"),
        ({"name": "x", "signal": "speed"}, "rules.1.signal"),
        ({"name": "x", "signal": "error_rate", "budget": "never"}, "rules.1.budget.*1 per 4 weeks"),
        ({"name": "x", "signal": "error_rate", "budget": "1 per 0 weeks"}, "rules.1.budget"),
        ({"name": "x", "signal": "error_rate", "bound": 1.5}, "rules.1.bound"),
        ({"name": "x", "signal": "latency_ms", "bound": 0.5}, "bound: only a score or a rate"),
        ({"name": "x", "signal": "error_rate", "threshold": 3}, "rules.1.threshold"),
        ({"name": "X y", "signal": "error_rate"}, "rules.1.name"),
        ({"name": "x", "signal": "error_rate", "runbook": "wiki"}, "rules.1.runbook"),
        ({"name": "x", "signal": "error_rate", "min_units": 0}, "rules.1.min_units"),
        ({"name": "x", "signal": "error_rate", "where": {"tenant": "a"}}, "rules.1.where.tenant"),
    ],
)
def test_what_is_wrong_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse({"rules": [entry]})


def test_a_name_may_be_given_once() -> None:
    with pytest.raises(ValueError, match="named twice"):
        parse({"rules": [{"name": "x", "signal": "error_rate"}, {"name": "x", "signal": "refusal_rate"}]})


def watch(rule: Rule, bits: int, share: float, n: int, seed: int) -> list[int]:
    """Decided conversations of which ``share`` have ``bits``: at which the rule fires."""
    segment, rng = SegmentMonitors("app", "prod", "chat", (rule,)), Random(seed)
    decided = [(at * 60_000, bits if rate(rng, share) else 0, f"t{at}", HEALTHY, None) for at in range(n)]
    return [signal.detected_at // 60_000 for signal in segment.on_conversations(decided, 0, 1)]


def test_a_bound_is_not_learned() -> None:
    """Five per cent from the first day on is no news to a learned baseline, and above a bound of 2 %."""
    learned = Rule("learned", SignalName.POLICY_BLOCK, Severity.P2)
    bound = Rule("bound", SignalName.POLICY_BLOCK, Severity.P2, bound=0.02)
    assert watch(learned, Flag.POLICY_BLOCKED, 0.05, 3_000, 3) == []
    assert watch(bound, Flag.POLICY_BLOCKED, 0.05, 3_000, 3)[0] == 643
    assert watch(bound, Flag.POLICY_BLOCKED, 0.01, 20_000, 4) == []


def test_each_rate_counts_its_own_bits() -> None:
    rule = Rule("bad", SignalName.NEGATIVE_FEEDBACK, Severity.P2, bound=0.02)
    assert watch(rule, Outcome.DISLIKED, 0.3, 400, 5)
    assert watch(rule, Flag.LOW_RATING, 0.3, 400, 5)
    assert watch(rule, Outcome.ESCALATED | Flag.ERROR, 0.3, 400, 5) == []
