"""Whether a release may go out: each check with its value, its bound and the reason, from data alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sinks.evalstore.releases.exact import binomial_cdf, clopper_pearson, sign_test
from sinks.evalstore.releases.family import Tail, decide
from sinks.evalstore.releases.result import NoResult
from sinks.evalstore.releases.results import Outcome

ALL = "all cases"
NO_RESULT = {
    NoResult.NO_ASSERTION: "{} had nothing asserted: give each an assertion that can fail",
    NoResult.JUDGE_FAILED: "the judge failed on {}: run them again",
    NoResult.RUNNER_FAILED: "the runner or the provider failed on {}: run them again",
    NoResult.NO_SCORE: "{} have no score",
    NoResult.SHARED_QUESTION: "{} share their question with another case: give the results a case_id",
    NoResult.NOT_RUN: "{} were not run",
}
"""What to do about cases without a result."""


class GatePolicy(NamedTuple):
    """``alpha`` is the level of each of the two families of tests: slices, and the comparison.

    ``slice_floors``: pass rates that named slices must reach, as (``reason=low_score``, 0.8).
    """

    min_pass_rate: float = 0.90
    max_mean_cost_usd: float | None = None
    slice_floors: tuple[tuple[str, float], ...] = ()
    alpha: float = 0.05


class Check(NamedTuple):
    """``value`` None: the results do not say; only a comparison with nothing passes so."""

    name: str
    passed: bool
    value: float | None
    bound: float | None
    reason: str


class Verdict(NamedTuple):
    """``failing``: cases without a pass, critical ones first; ``missing``: those without a result, why."""

    passed: bool
    checks: list[Check]
    failing: list[str]
    missing: dict[str, NoResult]


def gate(
    cases: Sequence[Mapping[str, Any]],
    intact: bool,
    results: Mapping[str, Outcome],
    earlier: Mapping[str, Outcome] | None,
    policy: GatePolicy,
    why: Mapping[str, NoResult] | None = None,
) -> Verdict:
    """The verdict on the frozen ``cases`` of a release; ``earlier``: the results of the release before;
    ``why``: of cases that were run without a result, by case id.

    Cases without a result are in no rate: they have a check of their own, so that neither a broken runner nor
    a broken judge looks like a bad release, or like a good one. Misleads where the set is small: the interval
    in the reason of ``pass_rate`` says how far the true rate may be from the one seen.
    """
    there = [case for case in cases if case["case_id"] in results]
    absent = [case["case_id"] for case in cases if case["case_id"] not in results]
    missing = {case_id: (why or {}).get(case_id, NoResult.NOT_RUN) for case_id in absent}
    failing = [case for case in there if not results[case["case_id"]].passed]
    checks = [
        _frozen_set(intact, cases),
        _complete(missing, len(cases)),
        _replayable(cases),
        _pass_rate(len(there) - len(failing), len(there), policy.min_pass_rate),
        _critical(cases, results),
    ]
    if policy.max_mean_cost_usd is not None:
        checks.append(_cost([results[case["case_id"]] for case in there], policy.max_mean_cost_usd))
    slices = _slices(there, results)
    checks += [_floor(name, floor, slices.get(name), results) for name, floor in policy.slice_floors]
    checks.append(_concentration(slices, results, policy))
    checks.append(_no_regression(there, results, earlier, policy.alpha))
    order = sorted(failing, key=lambda case: (not case["critical"], -case["severity"], case["case_id"]))
    return Verdict(all(c.passed for c in checks), checks, [case["case_id"] for case in order], missing)


def _frozen_set(intact: bool, cases: Sequence[Mapping[str, Any]]) -> Check:
    there = bool(cases)
    reason = (
        "the set is empty"
        if not there
        else "as it was frozen"
        if intact
        else "its hash differs: it was edited"
    )
    return Check("frozen_set", intact and there, float(intact and there), 1.0, reason)


def _complete(missing: Mapping[str, NoResult], cases: int) -> Check:
    counts = Counter(missing.values())
    words = [NO_RESULT[reason].format(counts[reason]) for reason in NoResult if counts[reason]]
    reason = "; ".join([f"{len(missing)} of {cases} cases have no result", *words])
    return Check("results_complete", not missing, float(len(missing)), 0.0, reason)


def _replayable(cases: Iterable[Mapping[str, Any]]) -> Check:
    lacking = sum(not (case["question"] or case["messages"]) or not case["model"] for case in cases)
    return Check(
        "replayable", not lacking, float(lacking), 0.0, f"{lacking} cases lack a question or a model"
    )


def _pass_rate(passed: int, n: int, bound: float) -> Check:
    if not n:
        return Check("pass_rate", False, None, bound, "no case has a result")
    low, high = clopper_pearson(passed, n)
    reason = f"{passed} of {n}; 95 % interval {low:.3f} to {high:.3f}"
    return Check("pass_rate", passed >= bound * n - 1e-9, passed / n, bound, reason)


def _critical(cases: Iterable[Mapping[str, Any]], results: Mapping[str, Outcome]) -> Check:
    """A critical case without a result has not passed."""
    ids = [case["case_id"] for case in cases if case["critical"]]
    bad = sum(not (case_id in results and results[case_id].passed) for case_id in ids)
    return Check(
        "critical_failures", not bad, float(bad), 0.0, f"{bad} of {len(ids)} critical cases did not pass"
    )


def _cost(there: Sequence[Outcome], cap: float) -> Check:
    known = [one.cost_usd for one in there if one.cost_usd is not None]
    if not there or len(known) < len(there):
        unknown = len(there) - len(known)
        return Check("mean_cost_usd", False, None, cap, f"{unknown} of {len(there)} results have no cost_usd")
    mean = math.fsum(known) / len(known)
    return Check("mean_cost_usd", mean <= cap, mean, cap, f"over {len(known)} cases")


def _slices(there: Iterable[Mapping[str, Any]], results: Mapping[str, Outcome]) -> dict[str, list[str]]:
    """Case ids by slice: each app, each reason, and what the runner named."""
    found: dict[str, list[str]] = {}
    for case in there:
        case_id = case["case_id"]
        names = {f"app={case['app']}", *(f"reason={reason}" for reason in case["reasons"])}
        names |= {f"{name}={value}" for name, value in results[case_id].slices}
        for name in sorted(names):
            found.setdefault(name, []).append(case_id)
    return dict(sorted(found.items()))


def _distinct(groups: dict[str, list[str]]) -> dict[str, list[str]]:
    """Of groups of the same cases the first: to test it twice would cost power and tell nothing."""
    first: dict[tuple[str, ...], str] = {}
    for name, ids in groups.items():
        first.setdefault(tuple(sorted(ids)), name)
    return {name: list(ids) for ids, name in first.items()}


def _floor(name: str, floor: float, ids: list[str] | None, results: Mapping[str, Outcome]) -> Check:
    if not ids:
        return Check(f"slice:{name}", False, None, floor, "no result in this slice")
    passed = sum(results[case_id].passed for case_id in ids)
    return Check(
        f"slice:{name}",
        passed >= floor * len(ids) - 1e-9,
        passed / len(ids),
        floor,
        f"{passed} of {len(ids)}",
    )


def _concentration(slices: dict[str, list[str]], results: Mapping[str, Outcome], policy: GatePolicy) -> Check:
    """Whether a slice passes less often than it would by chance if its true rate were the bound."""
    tests, counts = [], {}
    for name, ids in _distinct(slices).items():
        n, passed = len(ids), sum(results[case_id].passed for case_id in ids)
        counts[name] = f"{name} {passed} of {n}"
        rate = policy.min_pass_rate
        tests.append(Tail(name, binomial_cdf(passed, n, rate), binomial_cdf(0, n, rate)))
    family = decide(tests, policy.alpha)
    worst = ", ".join(counts[test.name] for test in family.broken[:3])
    reason = (
        f"failures concentrate in {worst}"
        if worst
        else f"no slice of {len(tests)} is below by more than chance"
    )
    return Check("slices", not family.broken, family.adjusted, policy.alpha, reason)


def _no_regression(
    there: Sequence[Mapping[str, Any]],
    results: Mapping[str, Outcome],
    earlier: Mapping[str, Outcome] | None,
    alpha: float,
) -> Check:
    """The exact one-sided McNemar test on the same cases, over all and by slice, under one level."""
    if earlier is None:
        return Check("no_regression", True, None, alpha, "no results of an earlier release to compare with")
    both = [case for case in there if case["case_id"] in earlier]
    if not both:
        return Check("no_regression", True, None, alpha, "no case has a result in the earlier release")
    groups = {ALL: [case["case_id"] for case in both], **_slices(both, results)}
    tests, counts = [], {}
    for name, ids in _distinct(groups).items():
        worse = sum(earlier[i].passed and not results[i].passed for i in ids)
        better = sum(results[i].passed and not earlier[i].passed for i in ids)
        counts[name] = f"{name}: {worse} worse, {better} better of {len(ids)}"
        tests.append(Tail(name, sign_test(worse, better), 0.5 ** (worse + better)))
    family = decide(tests, alpha)
    worst = "; ".join(counts[test.name] for test in family.broken[:3]) or counts[ALL]
    return Check("no_regression", not family.broken, family.adjusted, alpha, worst)
