"""Declared rules in a rules file: what each kind says, and that what is wrong is named with its fix."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path
from random import Random
from typing import Any

import pytest

from detectors.declared.expected import blind, chance, pages_a_month
from detectors.declared.policy import DAY_MS, HOUR_MS, LEVELS, MaxAge, Slo, Threshold, UserBudget
from detectors.rulebook import parse
from detectors.rules import Kind, Rule, declared_of, rules_of
from schemas.signal import Severity, SignalName
from streams.rules_file import RulesError, load_rules


def one(**entry: Any) -> Rule:
    return parse({"defaults": False, "rules": [{"name": "x", **entry}]})[0]


@pytest.mark.parametrize(
    ("entry", "kind", "declared"),
    [
        (
            {"signal": "error_rate", "slo": {"objective": 0.999, "window": "28d", "min_units": 50}},
            Kind.SLO,
            Slo(0.999, 28 * DAY_MS, None, 50),
        ),
        (
            {"signal": "latency_ms", "slo": {"objective": 0.99}, "above": 2000},
            Kind.SLO,
            Slo(0.99, 30 * DAY_MS, 2000.0),
        ),
        (
            {"signal": "faithfulness", "threshold": {"below": 0.85, "over": "1h", "min_units": 50}},
            Kind.THRESHOLD,
            Threshold(0.85, True),
        ),
        (
            {"signal": "spend", "threshold": {"above": 250, "over": "24h", "clear": 200}},
            Kind.THRESHOLD,
            Threshold(250.0, False, 24 * HOUR_MS, clear=200.0),
        ),
        ({"signal": "index_age", "max_age": "24h"}, Kind.MAX_AGE, MaxAge(24 * HOUR_MS)),
        (
            {"signal": "user_budget", "budget_per_user": {"tokens": 100000}},
            Kind.BUDGET_PER_USER,
            UserBudget(100_000, False, LEVELS),
        ),
        (
            {"signal": "user_budget", "budget_per_user": {"usd": 5, "levels": {1.0: "P2", 0.5: "info"}}},
            Kind.BUDGET_PER_USER,
            UserBudget(5, True, ((0.5, Severity.INFO), (1.0, Severity.P2))),
        ),
        ({"signal": "volume", "budget": "1 per 8 weeks"}, Kind.VOLUME, None),
        ({"signal": "grounded_rate"}, Kind.LEARNED, None),
        ({"signal": "unscored_rate", "bound": 0.05}, Kind.BOUND, None),
    ],
)
def test_each_kind(entry: dict[str, Any], kind: Kind, declared: object) -> None:
    rule = one(**entry)
    assert (rule.kind, rule.declared) == (kind, declared)


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            {"signal": "error_rate", "bound": 0.1, "threshold": {"above": 0.1}},
            "threshold: stands beside bound",
        ),
        (
            {"signal": "error_rate", "threshold": {"above": 0.1}, "slo": {"objective": 0.9}},
            "slo: stands beside",
        ),
        (
            {"signal": "error_rate", "threshold": {"above": 0.1}, "budget": "1 per week"},
            "budget: is of learned",
        ),
        (
            {"signal": "error_rate", "threshold": {"above": 0.1}, "min_units": 9},
            "min_units: .*inside threshold",
        ),
        ({"signal": "error_rate", "threshold": {}}, "either above or below"),
        ({"signal": "error_rate", "threshold": {"above": 0.1, "below": 0.2}}, "either above or below"),
        ({"signal": "error_rate", "threshold": {"above": 3}}, "above: error_rate lies between 0 and 1"),
        ({"signal": "error_rate", "threshold": {"above": 0.1, "over": "90 min"}}, "threshold.over.*24h"),
        ({"signal": "error_rate", "threshold": {"above": 0.1, "over": "7m"}}, "over: is from 5m to 3d"),
        ({"signal": "error_rate", "above": 3}, "above: belongs beside slo, or inside threshold"),
        ({"signal": "error_rate", "slo": {"objective": 99}}, "objective: is a share"),
        ({"signal": "error_rate", "slo": {"objective": 0.99}, "above": 3}, "above: is for latency"),
        ({"signal": "latency_ms", "slo": {"objective": 0.99}}, "above: is needed"),
        ({"signal": "faithfulness", "slo": {"objective": 0.99}}, "slo: is for rates"),
        ({"signal": "served_model", "threshold": {"above": 1}}, "has no mean"),
        ({"signal": "cost_per_success", "threshold": {"above": 1}}, "is for cost_per_request"),
        ({"signal": "error_rate", "max_age": "24h"}, "max_age: is for the signal index_age"),
        ({"signal": "index_age", "max_age": "soon"}, "rules.1.max_age.*24h"),
        ({"signal": "index_age"}, "max_age: is needed"),
        ({"signal": "spend"}, "threshold: is needed"),
        ({"signal": "user_budget"}, "budget_per_user: is needed"),
        ({"signal": "cost_per_request", "budget_per_user": {"usd": 5}}, "is for the signal user_budget"),
        ({"signal": "user_budget", "budget_per_user": {"usd": 5, "tokens": 9}}, "either tokens or usd"),
        ({"signal": "slow_request_rate", "bound": 0.1}, "name latency_ms"),
        ({"signal": "volume", "slo": {"objective": 0.9}}, "slo: is for rates"),
    ],
)
def test_what_is_wrong_is_named(entry: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        one(**entry)


PLACES: list[tuple[dict[str, Any], str]] = [
    ({"signal": "latency_ms", "threshold": {"above": ...}}, "threshold.above"),
    ({"signal": "faithfulness", "threshold": {"below": ...}}, "threshold.below"),
    ({"signal": "latency_ms", "threshold": {"above": 9, "clear": ...}}, "threshold.clear"),
    ({"signal": "latency_ms", "threshold": {"above": 9, "min_units": ...}}, "threshold.min_units"),
    ({"signal": "error_rate", "slo": {"objective": ...}}, "slo.objective"),
    ({"signal": "error_rate", "slo": {"objective": 0.9, "min_units": ...}}, "slo.min_units"),
    ({"signal": "latency_ms", "slo": {"objective": 0.9}, "above": ...}, "above"),
    ({"signal": "user_budget", "budget_per_user": {"usd": ...}}, "budget_per_user.usd"),
    ({"signal": "user_budget", "budget_per_user": {"tokens": ...}}, "budget_per_user.tokens"),
    ({"signal": "faithfulness", "min_effect": ...}, "min_effect"),
    ({"signal": "faithfulness", "min_units": ...}, "min_units"),
    ({"signal": "error_rate", "bound": ...}, "bound"),
]


def filled(entry: dict[str, Any], value: object) -> dict[str, Any]:
    return {
        name: filled(said, value) if isinstance(said, dict) else value if said is ... else said
        for name, said in entry.items()
    }


@pytest.mark.parametrize("value", [nan, inf, -inf, "nan", True, False], ids=str)
@pytest.mark.parametrize(("entry", "place"), PLACES, ids=[place for _, place in PLACES])
def test_a_number_is_finite_and_no_truth(entry: dict[str, Any], place: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^rules\.1\.{place}: ") as refused:
        one(**filled(entry, value))
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("level", [nan, inf, True])
def test_a_level_is_a_number_too(level: float) -> None:
    with pytest.raises(ValueError, match="levels"):
        one(signal="user_budget", budget_per_user={"usd": 5, "levels": {level: "P2"}})


def test_a_policy_refuses_what_is_no_number() -> None:
    for value in (nan, inf):
        for make in (
            lambda value: Slo(0.99, above=value),
            lambda value: Threshold(value, False),
            lambda value: Threshold(value, True),
            lambda value: Threshold(9.0, True, clear=value),
            lambda value: Threshold(9.0, False, clear=value),
            lambda value: UserBudget(value, True),
            lambda value: UserBudget(5.0, True, ((value, Severity.P2),)),
            lambda value: Rule("x", SignalName.ERROR, Severity.P2, min_effect=value),
            lambda value: Rule("x", SignalName.ERROR, Severity.P2, budget_weeks=value),
        ):
            with pytest.raises(ValueError):
                make(value)
    with pytest.raises(ValueError, match=r"rules\.1\.budget"):
        one(signal="error_rate", budget=f"1 per {'9' * 400} weeks")


def test_a_file_that_is_nested_very_deeply_is_refused_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: " + "[" * 3_000 + "]" * 3_000)
    with pytest.raises(RulesError, match=r"rules\.yaml: is nested too deeply for a rules file") as refused:
        load_rules(file)
    assert len(str(refused.value).splitlines()) == 1


def test_declared_rules_run_beside_the_learned_one_and_each_other() -> None:
    rules = parse(
        {
            "rules": [
                {"name": "hour", "signal": "escalation_rate", "threshold": {"above": 0.1}},
                {"name": "day", "signal": "escalation_rate", "threshold": {"above": 0.05, "over": "24h"}},
                {"name": "other", "signal": "error_rate", "slo": {"objective": 0.99}, "where": {"app": "b"}},
            ]
        }
    )
    assert rules_of(rules, "a", "prod", "chat")[SignalName.ESCALATION].name == "escalation_spike"
    assert [rule.name for rule in declared_of(rules, "a", "prod", "chat")] == ["hour", "day"]
    assert [rule.name for rule in declared_of(rules, "b", "prod", "chat")] == ["hour", "day", "other"]


def test_a_default_rule_may_be_declared_instead() -> None:
    rule = parse({"rules": [{"name": "escalation_spike", "threshold": {"above": 0.1}}]})[0]
    assert (rule.kind, rule.severity, rule.min_effect) == (Kind.THRESHOLD, Severity.P2, 0.0)
    assert rule.budget == "no stated budget"


def test_the_example_shows_every_kind() -> None:
    rules = load_rules(Path(__file__).parents[3] / "examples" / "rules.yaml")
    assert {rule.kind for rule in rules} == set(Kind)


def test_the_chance_of_an_objective_is_what_simulation_says() -> None:
    """The ticket of a 90 % objective on 30 requests in three days, of which one in twenty is bad."""
    policy, random, n = Slo(0.9, min_units=10), Random(1), 30
    ticket = policy.tiers[-1]
    assert ticket.rate == 1.0
    hits = sum(sum(random.random() < 0.05 for _ in range(n)) >= 5 for _ in range(20_000))
    assert chance(policy, ticket, n / 3) == pytest.approx(hits / 20_000, abs=0.003)


def test_low_traffic_is_named() -> None:
    policy = Slo(0.99)
    assert [tier.long_ms for tier in blind(policy, 500)] == [HOUR_MS]
    assert blind(policy, 10) == list(policy.tiers)
    assert pages_a_month(policy, 10) == 0.0
