"""The result files of promptfoo, DeepEval and Inspect: what each says of one run of one case.

A judge that failed, or a test that asserts nothing, says nothing of the application: no result, with why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sinks.evalstore.releases.result import NoResult, Result, mean, number, text

OF_INSPECT = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
TEXTUAL = frozenset(("match", "includes"))
"""Scorers of Inspect's that find an empty target in every answer."""
UNASSERTED = "No assertions"
"""What promptfoo (0.121.20) gives as the reason of such a test, which it lets pass."""


class Found(NamedTuple):
    """The rows of a file, and what reads one of them."""

    runner: str
    rows: list[Any]
    read: Callable[[dict[str, Any], float], Result]


def rows_of(whole: Any) -> Found | None:
    """By the shape of the file as a whole; None where it is none of these."""
    if not isinstance(whole, dict):
        return None
    if isinstance(found := at(whole, "results", "results"), list):
        return Found("promptfoo", found, promptfoo)
    if isinstance(found := whole.get("testCases", whole.get("test_cases")), list):
        return Found("DeepEval", found, deepeval)
    if isinstance(found := whole.get("samples"), list) and "eval" in whole:
        return Found("Inspect", found, inspect)
    return None


def promptfoo(row: dict[str, Any], min_score: float) -> Result:
    """``success`` of a result, which is no result where nothing was asserted, where the provider failed
    (failureReason 2), or where a judge did (``graderError`` in the metadata of its part of the grading).

    promptfoo writes a cost of 0 where it knows no price: that is no cost. Misleads where an assertion of
    another kind than ``llm-rubric`` hides its judge's error: of promptfoo 0.121.20, ``context-faithfulness``
    does, and the case counts as failing.
    """
    case = row.get("testCase") or {}
    metadata = case.get("metadata") or row.get("metadata") or {}
    grading = row.get("gradingResult")
    why = None
    if row.get("failureReason") == 2 or (row.get("error") and row.get("success") is None):
        why = NoResult.RUNNER_FAILED
    elif any(at(part, "metadata", "graderError") for part in _parts(grading)):
        why = NoResult.JUDGE_FAILED
    elif row["success"] and _unasserted(grading, case):
        why = NoResult.NO_ASSERTION
    passed = None if why is not None else bool(row["success"])
    case_id, question = text(metadata.get("case_id"), "case_id"), at(row, "vars", "question")
    score, cost = number(row.get("score")), number(row.get("cost")) or None
    return Result(case_id, question if isinstance(question, str) else None, passed, score, cost, (), why)


def _parts(grading: Any) -> Iterator[dict[str, Any]]:
    """A grading and all that it is made of."""
    if isinstance(grading, dict):
        yield grading
        for part in grading.get("componentResults") or ():
            yield from _parts(part)


def _unasserted(grading: Any, case: dict[str, Any]) -> bool:
    """Nothing at the leaves: no assertion at all, or sets of assertions that are empty."""
    if not isinstance(grading, dict):
        return case.get("assert") == []
    if grading.get("reason") == UNASSERTED:
        return True
    return "componentResults" in grading and all("componentResults" in part for part in _parts(grading))


def deepeval(row: dict[str, Any], min_score: float) -> Result:
    """``success`` of a test case of a saved run, if any metric says so; its cost is the judge's, and is left
    out."""
    metadata = row.get("additionalMetadata") or row.get("additional_metadata") or {}
    metrics = row.get("metricsData") or row.get("metrics_data") or []
    success = row.get("success")
    why = None
    if any(metric.get("error") for metric in metrics):
        why = NoResult.JUDGE_FAILED
    elif success is None:
        why = NoResult.RUNNER_FAILED
    elif success and not metrics:
        why = NoResult.NO_ASSERTION
    case_id = text(metadata.get("case_id"), "case_id") or text(row.get("name"), "name")
    asked, score = row.get("input"), mean([number(metric.get("score")) for metric in metrics])
    passed = None if why is not None else bool(success)
    return Result(case_id, asked if isinstance(asked, str) else None, passed, score, None, (), why)


def inspect(row: dict[str, Any], min_score: float) -> Result:
    """A sample of a log in JSON: passed if every scorer's value reaches ``min_score`` (C 1, P 0.5, I 0).

    One that only looked for an empty target, as a case without an expected answer has, asserted nothing.
    """
    scores = [_inspect_value(score.get("value")) for score in (row.get("scores") or {}).values()]
    known = [score for score in scores if score is not None]
    why = None
    if row.get("error"):
        why = NoResult.RUNNER_FAILED
    elif not scores or (row.get("target") in ("", [], [""]) and TEXTUAL.issuperset(row["scores"])):
        why = NoResult.NO_ASSERTION
    elif len(known) < len(scores):
        why = NoResult.NO_SCORE
    passed = None if why is not None else min(known) >= min_score
    return Result(str(row["id"]), None, passed, mean(scores), None, (), why)


def _inspect_value(value: Any) -> float | None:
    if isinstance(value, str):
        return OF_INSPECT.get(value)
    return float(value) if isinstance(value, bool) else number(value)


def at(value: Any, *names: str) -> Any:
    """What is below these names, None where one of them is not there."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
