"""A user's budget of a day: each level once, exact for few users, never too early for many."""

from __future__ import annotations

from collections import Counter
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.heavy_hitters import HeavyHitters
from detectors.declared.policy import UserBudget
from detectors.declared.user_budget import CAPACITY, UserBudgets
from schemas.signal import Cause, Severity
from tests.detectors.declared.rows import DAY, HOUR, trace

TOKENS = UserBudget(100_000, dollars=False)


def alarms(said: list[tuple[int, Said]]) -> list[tuple[int, Finding]]:
    return [(at, one) for at, one in said if isinstance(one, Finding)]


def test_each_level_once_a_day_naming_the_user() -> None:
    budgets = UserBudgets(TOKENS)
    rows = [trace(at * HOUR, f"t{at}", "u7", tokens=9_500) for at in range(24)]
    rows += [trace(at * HOUR, f"o{at}", "u8", tokens=100) for at in range(24)]
    found = alarms(budgets.add(rows))
    assert [(rows[at].trace_id, finding.severity) for at, finding in found] == [
        ("t8", Severity.INFO),
        ("t9", Severity.P3),
        ("t10", Severity.P2),
    ]
    last = found[-1][1]
    assert last.cause == Cause(dimension="user_id", current="u7", share=1.0)
    assert last.value == pytest.approx(1.045)
    assert last.examples == ("t10",)
    assert last.reason.startswith(
        "user u7 has used 104,500 tokens since midnight UTC, 100% or more of the 100,000"
    )


def test_a_new_day_begins_at_midnight_utc() -> None:
    budgets = UserBudgets(TOKENS)
    assert len(alarms(budgets.add([trace(DAY - 1, "a", "u", tokens=99_000)]))) == 1
    assert alarms(budgets.add([trace(DAY, "b", "u", tokens=79_000)])) == []
    assert len(budgets.add([trace(2 * DAY - 1, "c", "u", tokens=1_000)])) == 1


def test_the_first_trace_of_another_day_ends_the_alarm() -> None:
    budgets = UserBudgets(TOKENS)
    rows = [
        trace(9, "a", "u", tokens=99_000),
        trace(DAY + 5, "b", "v", tokens=9),
        trace(DAY + 6, "c", "v", tokens=9),
    ]
    alarm, end = budgets.add(rows)
    assert isinstance(alarm[1], Finding)
    assert isinstance(end[1], Returned)
    assert (end[0], end[1].key, end[1].opened, end[1].since) == (1, "u", 9, DAY)


def test_a_trace_that_exceeds_all_levels_is_one_alarm() -> None:
    found = alarms(
        UserBudgets(TOKENS).add([trace(0, "a", "u", tokens=250_000), trace(1, "b", "u", tokens=9)])
    )
    assert [finding.severity for _, finding in found] == [Severity.P2]


def test_dollars_and_levels_of_ones_own() -> None:
    budgets = UserBudgets(UserBudget(5.0, True, ((0.5, Severity.P3),)))
    rows = [trace(0, "a", "u", cost=2.0), trace(1, "b", "u", tokens=10**9), trace(2, "c", "u", cost=0.5)]
    assert [(at, finding.value) for at, finding in alarms(budgets.add(rows))] == [(2, 0.5)]
    assert budgets.add([trace(3, "d", None, cost=99.0)]) == [], "nobody's is nobody's budget"


def test_beyond_its_capacity_nobody_is_told_for_what_others_used() -> None:
    random, used = Random(1), Counter[str]()
    budgets = UserBudgets(UserBudget(50_000, dollars=False))
    told: dict[str, float] = {}
    for at in range(60_000):
        heavy = random.random() < 0.02
        user = f"heavy{random.randrange(5)}" if heavy else f"u{random.randrange(20_000)}"
        tokens = random.randrange(1_000, 2_000) if heavy else random.randrange(10, 500)
        used[user] += tokens
        for _, finding in alarms(budgets.add([trace(at, f"t{at}", user, tokens=tokens)])):
            told[finding.key] = finding.value
            assert used[user] + 1e-6 >= finding.value * 50_000 >= 0.8 * 50_000
    assert (
        set(told)
        == {user for user, count in used.items() if count >= 50_000}
        == {f"heavy{n}" for n in range(5)}
    )
    assert len(used) > 15_000
    assert len(orjson.dumps(budgets.snapshot())) < 48 * 1024


STREAM = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 50)), max_size=200)


@given(STREAM, st.integers(1, 8))
def test_the_bounds_of_space_saving_hold(stream: list[tuple[str, int]], capacity: int) -> None:
    most, really = HeavyHitters(capacity), Counter[str]()
    for name, weight in stream:
        really[name] += weight
        assert most.add(name, float(weight)) <= really[name]
    total = sum(really.values())
    for name in most.names():
        assert really[name] - total / capacity <= most.surely(name) <= really[name]
    assert {name for name, sum_ in really.items() if sum_ > total / capacity} <= set(most.names())
    if len(really) <= capacity:
        assert {name: most.surely(name) for name in most.names()} == dict(really)


@pytest.mark.parametrize("levels", [(), ((0.9, Severity.P2), (0.5, Severity.P3)), ((0.0, Severity.P2),)])
def test_a_policy_is_checked(levels: tuple[tuple[float, Severity], ...]) -> None:
    with pytest.raises(ValueError, match="levels"):
        UserBudget(1.0, True, levels)


def test_users_are_counted_exactly_up_to_the_capacity() -> None:
    budgets = UserBudgets(TOKENS)
    rows = [trace(at, f"t{at}", f"u{at % CAPACITY}", tokens=40_000) for at in range(2 * CAPACITY)]
    assert len(budgets.add(rows)) == CAPACITY
