"""The gate: every check by planted counts, what it costs in false holds, and what it catches."""

from __future__ import annotations

import csv
import json
import math
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from sinks.evalstore.errors import BadResults
from sinks.evalstore.releases.exact import binomial_cdf, clopper_pearson, poisson_mean, rate_ratio, sign_test
from sinks.evalstore.releases.family import Tail, decide
from sinks.evalstore.releases.gate import Check, GatePolicy, Verdict, gate
from sinks.evalstore.releases.gate_report import junit, markdown
from sinks.evalstore.releases.results import Outcome, outcomes, read_results


def case(number: int, reason: str = "low_score", **changes: Any) -> dict[str, Any]:
    values = {
        "case_id": f"case-{number}",
        "app": "shop",
        "reasons": [reason],
        "severity": 4,
        "critical": False,
        "question": f"Question {number}?",
        "messages": None,
        "model": "m-1",
    }
    return values | changes


def results(passed: dict[int, bool], cost: float | None = 0.01) -> dict[str, Outcome]:
    return {f"case-{n}": Outcome(f"case-{n}", ok, False, None, cost) for n, ok in passed.items()}


def by_name(verdict: Verdict) -> dict[str, Check]:
    return {check.name: check for check in verdict.checks}


def test_the_pass_rate_counts_to_the_case() -> None:
    cases = [case(n) for n in range(50)]
    for failing, passes in ((5, True), (6, False)):
        verdict = gate(cases, True, results({n: n >= failing for n in range(50)}), None, GatePolicy())
        check = by_name(verdict)["pass_rate"]
        assert (check.passed, check.value, check.bound) == (passes, (50 - failing) / 50, 0.9)
        assert verdict.passed is passes
        assert len(verdict.failing) == failing


def test_nothing_is_passed_on_no_results() -> None:
    checks = by_name(gate([case(1)], True, {}, None, GatePolicy(max_mean_cost_usd=1)))
    assert {name for name, check in checks.items() if not check.passed} == {
        "results_complete",
        "pass_rate",
        "mean_cost_usd",
    }
    assert checks["pass_rate"].value is None
    assert not by_name(gate([], True, {}, None, GatePolicy()))["frozen_set"].passed


def test_each_check_holds_alone() -> None:
    cases = [case(n) for n in range(40)] + [case(40, "unsafe", critical=True, severity=10)]
    fine = dict.fromkeys(range(41), True)
    assert gate(cases, True, results(fine), None, GatePolicy(max_mean_cost_usd=0.01)).passed

    def held(**changes: Any) -> set[str]:
        given: dict[str, Any] = {"cases": cases, "intact": True, "results": results(fine)}
        given |= {"earlier": None, "policy": GatePolicy()}
        return {check.name for check in gate(**(given | changes)).checks if not check.passed}

    assert held(intact=False) == {"frozen_set"}
    assert held(results=results(fine | {40: False})) == {"critical_failures"}
    assert held(results=results(dict.fromkeys(range(1, 41), True))) == {"results_complete"}
    assert held(cases=[*cases[1:], case(0, model=None)]) == {"replayable"}
    assert held(policy=GatePolicy(max_mean_cost_usd=0.0099)) == {"mean_cost_usd"}
    assert held(results=results(fine, cost=None), policy=GatePolicy(max_mean_cost_usd=9.0)) == {
        "mean_cost_usd"
    }
    floors = (("reason=low_score", 1.0), ("app=desk", 0.1))
    three = results(fine | {0: False, 1: False, 2: False})
    assert held(results=three, policy=GatePolicy(slice_floors=floors)) == {
        "slice:reason=low_score",
        "slice:app=desk",
    }


def test_failures_that_concentrate_hold_a_release_whose_rate_is_fine() -> None:
    cases = [case(n) for n in range(90)] + [case(n, "escalation") for n in range(90, 100)]
    spread = gate(cases, True, results({n: n % 11 != 0 for n in range(100)}), None, GatePolicy())
    assert spread.passed
    together = by_name(gate(cases, True, results({n: n < 94 for n in range(100)}), None, GatePolicy()))
    assert together["pass_rate"].passed
    assert not together["slices"].passed
    assert "reason=escalation 4 of 10" in together["slices"].reason
    by_chance = sum(math.comb(10, k) * 0.9**k * 0.1 ** (10 - k) for k in range(5))
    assert together["slices"].value == pytest.approx(3 * by_chance), "the app and two reasons"


def test_a_comparison_needs_the_same_cases_and_is_exact() -> None:
    cases = [case(n) for n in range(60)]
    before = results({n: n != 50 for n in range(60)})
    worse = gate(cases, True, results({n: n >= 5 for n in range(60)}), before, GatePolicy())
    check = by_name(worse)["no_regression"]
    # 5 worse, 1 better: 7 of 64; all cases, app and reason are the same cases, and count as one test.
    assert check.passed
    assert check.value == 7 / 64
    fine = results(dict.fromkeys(range(60), True))
    again = gate(cases, True, results({n: n >= 6 for n in range(60)}), fine, GatePolicy())
    check = by_name(again)["no_regression"]
    assert not check.passed
    assert check.value == 1 / 64
    assert check.reason == "all cases: 6 worse, 0 better of 60"
    assert by_name(gate(cases, True, before, results({}), GatePolicy()))["no_regression"].value is None


REASONS = ("low_score", "escalation", "error", "correction")


def simulated(seed: int, per_slice: int, drop: float, flips: float = 0.02) -> bool:
    """Whether the comparison holds a release: four slices; each case's pass is its own, seen with flips."""
    rng = random.Random(seed)
    cases = [case(n, REASONS[n % 4]) for n in range(4 * per_slice)]
    truth = [rng.random() < 0.95 for _ in cases]
    before = results({n: ok ^ (rng.random() < flips) for n, ok in enumerate(truth)})
    broken = {n for n in range(0, 4 * per_slice, 4) if rng.random() < drop}
    after = results({n: (ok and n not in broken) ^ (rng.random() < flips) for n, ok in enumerate(truth)})
    return not by_name(gate(cases, True, after, before, GatePolicy()))["no_regression"].passed


def test_a_release_against_itself_is_held_no_more_often_than_stated() -> None:
    """1,000 A/A comparisons at 5 %: 64 is the 98 % point of Binomial(1000, 0.05)."""
    held = sum(simulated(seed, 50, drop=0.0) for seed in range(1_000))
    assert held <= 64


@pytest.mark.parametrize(
    ("per_slice", "flips", "power"),
    [(50, 0.02, 0.25), (100, 0.02, 0.62), (100, 0.0, 0.90), (200, 0.02, 0.92)],
)
def test_a_drop_of_ten_points_in_one_slice_is_caught(per_slice: int, flips: float, power: float) -> None:
    """As docs/releases.md states it, less three standard errors of 200 runs."""
    runs = 200
    caught = sum(simulated(10_000 + seed, per_slice, drop=0.10 / 0.95, flips=flips) for seed in range(runs))
    assert caught / runs >= power


def test_tails_are_those_of_sums() -> None:
    for n, p in ((1, 0.3), (17, 0.9), (200, 0.05), (500, 0.5)):
        for k in range(0, n, max(1, n // 9)):
            total = sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))
            assert binomial_cdf(k, n, p) == pytest.approx(total, abs=1e-11)
    assert sign_test(10, 0) == 2**-10
    assert clopper_pearson(0, 20).high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert poisson_mean(100) == pytest.approx((81.364, 121.627), abs=1e-3)
    assert rate_ratio(0, 10.0, 0, 10.0) == (0.0, math.inf)
    assert rate_ratio(5, 10.0, 0, 10.0).low == 0.0


def test_a_test_that_cannot_be_significant_costs_nothing() -> None:
    tests = [Tail("large", 0.04, 1e-9), *(Tail(f"tiny-{n}", 0.25, 0.25) for n in range(20))]
    assert decide(tests, 0.05).broken == [tests[0]]
    assert decide([tests[0], Tail("other", 0.5, 1e-9)], 0.05).broken == []
    assert decide([], 0.05).adjusted == 1.0


def test_plain_results(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    rows = [
        {"case_id": "a", "passed": True, "cost_usd": 0.02, "slice": "vip"},
        {"case_id": "a", "passed": True, "cost_usd": 0.04, "slices": {"lang": "de"}},
        {"case_id": "b", "score": 0.49},
        {"case_id": "c", "score": 0.5},
        {"case_id": "d", "error": "timeout"},
        {"case_id": "e", "passed": True},
        {"case_id": "e", "passed": False},
        {"case_id": "f", "score": float("nan"), "error": "judge"},
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    found = outcomes(read_results(file))
    assert found["a"] == Outcome("a", True, False, None, 0.03, (("lang", "de"), ("slice", "vip")))
    assert [found[name].passed for name in "bce"] == [False, True, False]
    assert found["e"].flaky
    assert found.keys() == set("abce")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"case_id": "a", "passed": true}\n{"case_id"', ":2: is no JSON"),
        ('{"passed": true}', "has no case_id"),
        ('{"case_id": "a", "passed": "yes"}', "passed is neither"),
        ('{"case_id": "a"}', "neither passed nor score"),
        ("[1]", "item 1: is no object"),
        ('{"results": {"results": [{"vars": {}}]}}', "cannot be read"),
    ],
)
def test_a_file_that_is_no_result_says_where(text: str, says: str, tmp_path: Path) -> None:
    file = tmp_path / "r.json"
    file.write_text(text)
    with pytest.raises(BadResults, match=says):
        outcomes(read_results(file))


def test_what_other_runners_write(tmp_path: Path) -> None:
    meta = {"metadata": {"case_id": "a"}}
    promptfoo = {
        "results": {
            "version": 3,
            "results": [
                {"success": True, "score": 1, "cost": 0, "testCase": meta, "failureReason": 0},
                {
                    "success": False,
                    "score": 0,
                    "error": "429",
                    "testCase": {"metadata": {"case_id": "b"}},
                    "failureReason": 2,
                },
            ],
        }
    }
    deepeval = {
        "testCases": [
            {
                "name": "x",
                "input": "q",
                "success": True,
                "metricsData": [{"name": "m", "score": 0.9}],
                "additionalMetadata": {"case_id": "a"},
            },
            {"name": "b", "input": "q", "success": False, "metricsData": [{"name": "m", "error": "judge"}]},
        ]
    }
    inspect = {
        "version": 2,
        "eval": {},
        "samples": [
            {"id": "a", "epoch": 1, "scores": {"match": {"value": "C"}}},
            {"id": "a", "epoch": 2, "scores": {"match": {"value": "C"}}},
            {"id": "b", "epoch": 1, "scores": {}, "error": {"message": "x"}},
        ],
    }
    for name, whole in (("promptfoo", promptfoo), ("deepeval", deepeval), ("inspect", inspect)):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(whole))
        found = outcomes(read_results(file))
        assert set(found) == {"a"}, name
        assert found["a"].passed, name
        assert found["a"].cost_usd is None, name
    table = tmp_path / "ragas.csv"
    with table.open("w", newline="") as file_:
        writer = csv.writer(file_)
        writer.writerow(["user_input", "response", "faithfulness", "answer_correctness"])
        writer.writerows([["How?", "So.", 0.9, 0.8], ["Why?", "x", 0.9, 0.2], ["When?", "x", "", 0.9]])
    found = outcomes(read_results(table), {"How?": "a", "Why?": "b", "When?": "c"})
    assert {name: one.passed for name, one in found.items()} == {"a": True, "b": False}
    assert found["a"].score == pytest.approx(0.85)


def test_reports_hold_foreign_text_in_its_cell() -> None:
    evil = "</td>|\n@channel [x](http://evil) \x00<img>"
    cases = [case(1, question=evil), case(2)]
    verdict = gate(cases, True, results({1: False}), None, GatePolicy())
    text = markdown("r1", verdict, cases)
    row = next(line for line in text.splitlines() if "case-1" in line)
    assert row.replace("\\|", "").count("|") == 5
    assert "@channel" not in text
    assert "<img>" not in text.replace("\\<img\\>", "")
    root = ElementTree.fromstring(junit("r1", verdict, cases))
    suites = {suite.get("name"): suite for suite in root}
    assert (suites["cases"].get("tests"), suites["cases"].get("failures"), suites["cases"].get("errors")) == (
        "2",
        "1",
        "1",
    )
    assert len(suites["checks"].findall(".//failure")) == 2
