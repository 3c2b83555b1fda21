"""What rules cover: units a day, usual values and shared budgets from a segment's days."""

from __future__ import annotations

import pytest

from detectors.coverage import DAY_MS, DayUnits, Segment, coverage
from detectors.planning import plans, threshold
from detectors.rules import DEFAULT_RULES, Rule
from schemas.signal import Severity, SignalName

ESCALATION = next(rule for rule in DEFAULT_RULES if rule.signal is SignalName.ESCALATION)
FAITHFULNESS = next(rule for rule in DEFAULT_RULES if rule.signal is SignalName.FAITHFULNESS)
COST = Rule("cost_spike", SignalName.COST, Severity.P2, min_effect=0.05)
PER_SUCCESS = next(rule for rule in DEFAULT_RULES if rule.signal is SignalName.COST_PER_SUCCESS)


def days(*values: tuple[int, float], unmeasured: int = 0) -> list[DayUnits]:
    """One day after the other, each (n, total)."""
    return [
        DayUnits(n, total, unmeasured, at * DAY_MS, (at + 1) * DAY_MS) for at, (n, total) in enumerate(values)
    ]


SHOP = Segment(
    "shop",
    "prod",
    "chat",
    {
        SignalName.ESCALATION: days((500, 10.0), (500, 200.0), (500, 11.0), (500, 9.0)),
        SignalName.FAITHFULNESS: days((800, 720.0), (800, 400.0), (800, 728.0), (800, 712.0), unmeasured=50),
        SignalName.COST: days(*[(900, 1.8)] * 4, unmeasured=100),
        # Watched by no rule: its windows are only those above 0.
        SignalName.REFUSAL: days((0, 0.0), (20, 4.0), (0, 0.0), (30, 5.0)),
    },
)


def test_a_rates_units_are_conversations_and_an_incident_is_not_usual() -> None:
    (one,) = coverage(DEFAULT_RULES, [SHOP])["escalation_spike"]
    assert (one.days, one.per_day, one.shared_by) == (4.0, 500.0, 1)
    assert one.usual == pytest.approx((10 / 500 + 11 / 500) / 2)
    assert one.threshold == threshold(ESCALATION, 500, 1)
    assert one.plans == plans(ESCALATION, 500, 1, one.usual)


def test_a_scores_units_are_no_more_than_conversations() -> None:
    (one,) = coverage(DEFAULT_RULES, [SHOP])["faithfulness_drop"]
    assert one.per_day == 500.0
    assert one.usual == pytest.approx(0.895)
    assert one.plans == plans(FAITHFULNESS, 500, 1, one.usual)


def test_an_amounts_units_are_requests_that_state_it() -> None:
    (one,) = coverage([COST], [SHOP])["cost_spike"]
    assert one.per_day == 900.0
    assert one.usual == pytest.approx(0.002)
    latency = Rule("slow", SignalName.LATENCY, Severity.P3)
    (other,) = coverage([latency], [SHOP])["slow"]
    assert (other.per_day, other.usual) == (1_000.0, None)


def test_cost_per_success_is_costs_by_successes_of_its_days() -> None:
    signals = SHOP.signals | {
        SignalName.TASK_FAILURE: days((500, 50.0), (500, 300.0), (500, 40.0), (500, 60.0))
    }
    (one,) = coverage(DEFAULT_RULES, [SHOP._replace(signals=signals)])["cost_per_success_rise"]
    assert one.per_day == 900.0
    assert one.usual == pytest.approx((1.8 / 450 + 1.8 / 440) / 2)
    alone = plans(COST, 900)
    assert all(two.units > side.units for two, side in zip(one.plans, alone, strict=True))


def test_a_rate_that_nobody_watches_is_taken_over_all_conversations() -> None:
    refusals = Rule("refusals", SignalName.REFUSAL, Severity.P3)
    (one,) = coverage([refusals], [SHOP])["refusals"]
    assert one.per_day == 500.0
    assert one.usual == pytest.approx((0 + 4 / 500) / 2)


def test_the_segments_of_an_app_share_a_budget_and_the_first_rule_that_covers_one_counts() -> None:
    search, other = SHOP._replace(route="search"), SHOP._replace(app="desk")
    only = Rule("chat_only", SignalName.ESCALATION, Severity.P1, route="chat", app="shop")
    found = coverage([only, *DEFAULT_RULES], [SHOP, search, other])
    assert [one[:3] for one in found["chat_only"]] == [SHOP[:3]]
    assert [one[:3] for one in found["escalation_spike"]] == [search[:3], other[:3]]
    assert [one.shared_by for one in found["escalation_spike"]] == [2, 1]
    assert found["chat_only"][0].threshold == threshold(only, 500, 2)
    assert {one.shared_by for one in coverage([COST], [SHOP], least=9)["cost_spike"]} == {9}
    assert "served_model_change" not in found


def test_without_units_nothing_is_planned() -> None:
    empty = Segment("new", "prod", "chat", {SignalName.COST: days((0, 0.0), unmeasured=7)})
    for rule in (FAITHFULNESS, ESCALATION, COST, PER_SUCCESS):
        (one,) = coverage([rule], [empty])[rule.name]
        assert (one.per_day, one.usual, one.plans) == (0.0, None, [])


def test_a_rate_of_nothing_is_planned_for_moves_that_would_be_told() -> None:
    shifts = [plan.shift for plan in plans(ESCALATION, 1_000, 1, 0.0)]
    assert shifts == ["0.00% → 0.50%", "0.00% → 1.0%", "0.00% → 2.5%"]
    assert plans(FAITHFULNESS, 1_000, 1, 0.04) == [], "nothing is left to fall"
