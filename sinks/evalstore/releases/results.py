"""What a test runner wrote about the cases of a release, as one kind of value whatever the runner.

Plain JSON lines, one object a case; the result files of promptfoo, DeepEval and Inspect (JSON); tables of
ragas (JSON lines, JSON or CSV). A case's result is found by ``case_id``, which every export carries; where a
table of ragas lost it, by the question.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sinks.evalstore.errors import BadResults
from sinks.evalstore.releases import ragas_table, runners
from sinks.evalstore.releases.result import MIN_SCORE, NoResult, Result, mean, number


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


class Matched(NamedTuple):
    """The results of a set's cases by case id.

    ``why``: cases that were run, but without a result. ``strangers``: how many results are of no case.
    """

    outcomes: dict[str, Outcome]
    why: dict[str, NoResult]
    strangers: int


def read_results(path: Path, min_score: float = MIN_SCORE) -> list[Result]:
    """All results of a file; raises ``BadResults`` naming the place where it is none."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadResults(f"{path} is no text (of Inspect, write the log as JSON)") from None
    try:
        if path.suffix.lower() == ".csv":
            return ragas_table.of_csv(content, str(path), min_score)
        return _of_json(path, content, min_score)
    except RecursionError:
        raise BadResults(f"{path}: is nested too deeply to be results") from None


def match(results: Sequence[Result], cases: Iterable[Mapping[str, Any]]) -> Matched:
    """The results of a set's ``cases``; where a result has no ``case_id``, by the question.

    A question that several cases share finds none of them: each has no result then, and says why.

    >>> cases = [{"case_id": one, "question": "Why?"} for one in "ab"]
    >>> match([Result(None, "Why?", True)], cases).why["b"].value
    'shared_question'
    """
    asked: dict[str, list[str]] = {}
    ids = set()
    for case in cases:
        ids.add(case["case_id"])
        asked.setdefault(case["question"] or "", []).append(case["case_id"])
    asked.pop("", None)
    found = outcomes(results, {question: mine[0] for question, mine in asked.items() if len(mine) == 1})
    why: dict[str, NoResult] = {}
    strangers = 0
    for result in results:
        mine = [result.case_id] if result.case_id is not None else asked.get(result.question or "", [])
        strangers += not ids.intersection(mine)
        reason = NoResult.SHARED_QUESTION if len(mine) > 1 else result.why
        why |= {one: reason for one in mine if reason is not None and one not in found}
    return Matched(found, why, strangers)


def outcomes(results: Iterable[Result], questions: Mapping[str, str] | None = None) -> dict[str, Outcome]:
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
    score, cost = mean([run.score for run in runs]), mean([run.cost_usd for run in runs])
    return Outcome(case_id, verdicts == {True}, len(verdicts) > 1, score, cost, slices)


def _of_json(path: Path, content: str, min_score: float) -> list[Result]:
    try:
        whole = json.loads(content)
    except ValueError:
        return _rows(list(_json_lines(path, content)), min_score)
    if isinstance(whole, list):
        return _rows([(f"{path}: item {at}", row) for at, row in enumerate(whole, 1)], min_score)
    if (found := runners.rows_of(whole)) is not None:
        return [
            _of_runner(found, row, f"{path}: {found.runner}'s result {at}", min_score)
            for at, row in enumerate(found.rows, 1)
        ]
    if (rows := ragas_table.of_columns(whole)) is not None:
        return _rows([(f"{path}: row {at}", row) for at, row in enumerate(rows, 1)], min_score)
    return _rows([(str(path), whole)], min_score)


def _of_runner(found: runners.Found, row: Any, where: str, min_score: float) -> Result:
    try:
        return found.read(row, min_score)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise BadResults(f"{where}: cannot be read: {error!r}") from None


def _json_lines(path: Path, content: str) -> Iterator[tuple[str, Any]]:
    for at, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                yield f"{path}:{at}", json.loads(line)
            except ValueError as error:
                raise BadResults(f"{path}:{at}: is no JSON: {error}") from None


def _rows(rows: Sequence[tuple[str, Any]], min_score: float) -> list[Result]:
    """Plain results, and a table of ragas: rows with a question and neither passed nor score nor error."""
    plain: list[tuple[str, dict[str, Any]]] = []
    tabled: list[tuple[str, dict[str, Any]]] = []
    for where, row in rows:
        if not isinstance(row, dict):
            raise BadResults(f"{where}: is no object with case_id and passed or score")
        if "case_id" not in row and not ragas_table.asks(row):
            raise BadResults(f"{where}: has no case_id")
        plainly = "case_id" in row and (not ragas_table.asks(row) or _SAID & row.keys())
        (plain if plainly else tabled).append((where, row))
    return [_plain(row, where, min_score) for where, row in plain] + ragas_table.results(tabled, min_score)


_SAID = {"passed", "success", "score", "error"}


def _plain(row: dict[str, Any], where: str, min_score: float) -> Result:
    """case_id, passed or score, cost_usd, slice(s)."""
    if not isinstance(row.get("case_id"), str):
        raise BadResults(f"{where}: case_id is no text")
    passed, score = row.get("passed", row.get("success")), number(row.get("score"))
    if passed is not None and not isinstance(passed, bool):
        raise BadResults(f"{where}: passed is neither true nor false")
    if passed is None and score is not None:
        passed = score >= min_score
    if passed is None and not _SAID & row.keys():
        raise BadResults(f"{where}: has neither passed nor score, nor an error")
    if row.get("error") and row.get("passed") is None:
        passed = None
    why = None
    if passed is None:
        why = NoResult.RUNNER_FAILED if row.get("error") else NoResult.NO_SCORE
    slices = row.get("slices", row.get("slice"))
    pairs = slices.items() if isinstance(slices, dict) else [("slice", slices)] if slices is not None else []
    named = tuple(sorted((str(name), str(value)) for name, value in pairs))
    return Result(row["case_id"], None, passed, score, number(row.get("cost_usd")), named, why)
