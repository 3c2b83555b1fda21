"""What a test runner wrote about the cases of a release, as one kind of value whatever the runner.

Plain JSON lines, one object a case; the result files of promptfoo, DeepEval and Inspect (JSON); tables of
ragas (JSON lines, JSON or CSV). A case's result is found by ``case_id``, which every export carries; a table
of ragas has none, and is matched by the question.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sinks.evalstore.errors import BadResults

MIN_SCORE = 0.5
KNOWN = {"user_input", "response", "reference", "retrieved_contexts", "reference_contexts", "question", "row"}
"""Columns of a ragas table that are no metric."""
OF_INSPECT = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}


class Result(NamedTuple):
    """One run of one case. ``passed`` None: there is no result, because the runner or a judge failed."""

    case_id: str | None
    question: str | None
    passed: bool | None
    score: float | None = None
    cost_usd: float | None = None
    slices: tuple[tuple[str, str], ...] = ()


class Outcome(NamedTuple):
    """What all runs of a case say. ``passed``: every one passed. ``flaky``: some did, and some did not.

    ``cost_usd`` is the mean of its runs, None where any of them has no price.
    """

    case_id: str
    passed: bool
    flaky: bool
    score: float | None
    cost_usd: float | None
    slices: tuple[tuple[str, str], ...] = ()


def read_results(path: Path, min_score: float = MIN_SCORE) -> list[Result]:
    """All results of a file; raises ``BadResults`` naming the place where it is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadResults(f"{path} is no text (of Inspect, write the log as JSON)") from None
    if path.suffix == ".csv":
        return [_ragas(row, min_score) for row in csv.DictReader(text.splitlines(keepends=True))]
    try:
        whole = json.loads(text)
    except ValueError:
        return [_row(row, f"{path}:{at}", min_score) for at, row in _json_lines(path, text)]
    if isinstance(whole, list):
        return [_row(row, f"{path}: item {at}", min_score) for at, row in enumerate(whole, 1)]
    try:
        if isinstance(found := _at(whole, "results", "results"), list):
            return [_promptfoo(row, min_score) for row in found]
        if isinstance(found := whole.get("testCases", whole.get("test_cases")), list):
            return [_deepeval(row) for row in found]
        if isinstance(found := whole.get("samples"), list) and "eval" in whole:
            return [_inspect(row, min_score) for row in found]
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadResults(f"{path}: a result that cannot be read: {error}") from None
    return [_row(whole, str(path), min_score)]


def outcomes(results: Iterable[Result], questions: dict[str, str] | None = None) -> dict[str, Outcome]:
    """By case id; runs without a result are left out. ``questions``: unique question to case id.

    >>> runs = [Result("a", None, True), Result("a", None, False), Result("b", None, None)]
    >>> outcomes(runs)["a"][1:3], "b" in outcomes(runs)
    ((False, True), False)
    """
    runs: dict[str, list[Result]] = {}
    for result in results:
        case_id = result.case_id or (questions or {}).get(result.question or "")
        if case_id is not None and result.passed is not None:
            runs.setdefault(case_id, []).append(result)
    return {case_id: _outcome(case_id, found) for case_id, found in runs.items()}


def _outcome(case_id: str, runs: list[Result]) -> Outcome:
    verdicts = {run.passed for run in runs}
    slices = tuple(sorted({pair for run in runs for pair in run.slices}))
    score = _mean([run.score for run in runs])
    return Outcome(
        case_id, verdicts == {True}, len(verdicts) > 1, score, _mean([r.cost_usd for r in runs]), slices
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None


def _json_lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    for at, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield at, json.loads(line)
            except ValueError as error:
                raise BadResults(f"{path}:{at}: is no JSON: {error}") from None


def _row(row: Any, where: str, min_score: float) -> Result:
    """A plain result: case_id, passed or score, cost_usd, slice(s). Without case_id: a row of ragas."""
    if not isinstance(row, dict):
        raise BadResults(f"{where}: is no object with case_id and passed or score")
    if "case_id" not in row:
        if "user_input" not in row and "question" not in row:
            raise BadResults(f"{where}: has no case_id")
        return _ragas(row, min_score)
    if not isinstance(row["case_id"], str):
        raise BadResults(f"{where}: case_id is no text")
    passed, score = row.get("passed", row.get("success")), _number(row.get("score"))
    if passed is not None and not isinstance(passed, bool):
        raise BadResults(f"{where}: passed is neither true nor false")
    if passed is None and score is not None:
        passed = score >= min_score
    if passed is None and not {"passed", "success", "score", "error"} & row.keys():
        raise BadResults(f"{where}: has neither passed nor score, nor an error")
    if row.get("error") and row.get("passed") is None:
        passed = None
    slices = row.get("slices", row.get("slice"))
    pairs = slices.items() if isinstance(slices, dict) else [("slice", slices)] if slices is not None else []
    named = tuple(sorted((str(name), str(value)) for name, value in pairs))
    return Result(row["case_id"], None, passed, score, _number(row.get("cost_usd")), named)


def _ragas(row: dict[str, Any], min_score: float) -> Result:
    """Passed if every metric reaches ``min_score``; a metric that failed (NaN) is no result."""
    metrics = {
        name: _number(value) for name, value in row.items() if name not in KNOWN and _metric(name, value)
    }
    passed = (
        None
        if not metrics or None in metrics.values()
        else all(v >= min_score for v in metrics.values() if v is not None)
    )
    score = _mean(list(metrics.values())) if metrics else None
    case_id = row.get("case_id")
    question = row.get("user_input", row.get("question"))
    return Result(case_id or None, question, passed, score, _number(row.get("cost_usd")))


def _metric(name: str, value: Any) -> bool:
    if name in ("case_id", "cost_usd"):
        return False
    return (
        value is None
        or value == ""
        or isinstance(value, int | float)
        or _number(value) is not None
        or value == "nan"
    )


def _promptfoo(row: dict[str, Any], min_score: float) -> Result:
    """``success`` of a result; an error of the provider (failureReason 2) is no result.

    promptfoo writes a cost of 0 where it knows no price: that is no cost.
    """
    metadata = _at(row, "testCase", "metadata") or row.get("metadata") or {}
    question = _at(row, "vars", "question")
    failed = row.get("failureReason") == 2 or (row.get("error") and row.get("success") is None)
    passed = None if failed else bool(row["success"])
    return Result(
        metadata.get("case_id"), question, passed, _number(row.get("score")), _number(row.get("cost")) or None
    )


def _deepeval(row: dict[str, Any]) -> Result:
    """``success`` of a test case of a saved run; its cost is the judge's, and is left out."""
    metadata = row.get("additionalMetadata") or row.get("additional_metadata") or {}
    metrics = row.get("metricsData") or row.get("metrics_data") or []
    broken = any(metric.get("error") for metric in metrics)
    success = row.get("success")
    score = _mean([_number(metric.get("score")) for metric in metrics]) if metrics else None
    passed = None if broken or success is None else bool(success)
    return Result(metadata.get("case_id") or row.get("name"), row.get("input"), passed, score)


def _inspect(row: dict[str, Any], min_score: float) -> Result:
    """A sample of a log in JSON: passed if every scorer's value reaches ``min_score`` (C 1, P 0.5, I 0)."""
    scores = [_inspect_value(score.get("value")) for score in (row.get("scores") or {}).values()]
    known = [score for score in scores if score is not None]
    passed = None if row.get("error") or not known or len(known) < len(scores) else min(known) >= min_score
    return Result(str(row["id"]), None, passed, _mean(scores) if scores else None)


def _inspect_value(value: Any) -> float | None:
    return (
        OF_INSPECT.get(value)
        if isinstance(value, str)
        else float(value)
        if isinstance(value, bool)
        else _number(value)
    )


def _number(value: Any) -> float | None:
    """A finite number, also one that a CSV file holds as text."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value
