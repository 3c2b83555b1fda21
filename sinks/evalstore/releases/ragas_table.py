"""Tables of ragas, as pandas writes them: JSON lines, an array, an object of columns, or CSV."""

from __future__ import annotations

import csv
import io
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sinks.evalstore.errors import BadResults
from sinks.evalstore.releases.result import NoResult, Result, mean, number, text

QUESTIONS = ("user_input", "question")
KNOWN = {
    *(*QUESTIONS, "case_id", "cost_usd", "response", "answer", "reference", "ground_truth", "contexts"),
    *("retrieved_contexts", "reference_contexts", "retrieved_context_ids", "reference_context_ids"),
    *("multi_responses", "rubrics", "persona_name", "query_style", "query_length", "row"),
}
"""Columns that are no metric: those of a sample of ragas 0.4.3, ours, and names of earlier versions."""
INDEX = re.compile(r"|index|level_\d+|Unnamed: \d+")
"""The columns that pandas makes of its index: without a name in CSV, with one when it was read again."""
_LIMIT = threading.Lock()


def of_csv(content: str, where: str, min_score: float) -> list[Result]:
    """The rows of a CSV file. Raises ``BadResults``."""
    if not content.strip():
        return []
    return results([(f"{where}:{at}", row) for at, row in _csv_rows(content, where)], min_score)


def _csv_rows(content: str, where: str) -> list[tuple[int, dict[str, Any]]]:
    # Not splitlines(): U+2028 and others stand within fields. A passage may be longer than csv's limit.
    with _LIMIT:
        limit = csv.field_size_limit(max(len(content), 1))
        try:
            reader = csv.DictReader(io.StringIO(content, newline=""))
            return [(reader.line_num, row) for row in reader]
        except csv.Error as error:
            raise BadResults(f"{where}: is no CSV: {error}") from None
        finally:
            csv.field_size_limit(limit)


def asks(row: dict[str, Any]) -> bool:
    """Whether a row names its question, as every row of ragas does."""
    return any(name in row for name in QUESTIONS)


def of_columns(whole: Any) -> list[dict[str, Any]] | None:
    """The rows of what ``DataFrame.to_json`` writes unless told otherwise: {column: {row: value}}.

    >>> of_columns({"user_input": {"0": "Why?"}, "faithfulness": {"0": 0.9}})
    [{'user_input': 'Why?', 'faithfulness': 0.9}]
    """
    if not isinstance(whole, dict) or not whole or not all(isinstance(one, dict) for one in whole.values()):
        return None
    if not asks(whole) and "case_id" not in whole:
        return None
    names = dict.fromkeys(name for column in whole.values() for name in column)
    return [{column: values.get(name) for column, values in whole.items()} for name in names]


def results(rows: Sequence[tuple[str, dict[str, Any]]], min_score: float) -> list[Result]:
    """Each row with where it stands. Passed if every metric reaches ``min_score``; one that failed (NaN) is
    no result.

    A metric is a column that holds numbers, or nothing, in every row, and that is not known to be something
    else. Misleads where your own columns hold numbers that are no scores: leave them out of the table.
    """
    names = dict.fromkeys(name for _, row in rows for name in row)
    metrics = [name for name in names if _metric(name, (row.get(name) for _, row in rows))]
    return [_result(where, row, metrics, min_score) for where, row in rows]


def _metric(name: Any, values: Iterator[Any]) -> bool:
    # A row of CSV with too many fields has them under None.
    if not isinstance(name, str) or name in KNOWN or INDEX.fullmatch(name):
        return False
    return all(_nothing(value) or isinstance(value, bool) or number(value) is not None for value in values)


def _nothing(value: Any) -> bool:
    """A score that is missing, as JSON and CSV say so."""
    return value is None or value != value or (isinstance(value, str) and value.lower() in ("", "nan"))


def _result(where: str, row: dict[str, Any], metrics: Sequence[str], min_score: float) -> Result:
    try:
        case_id = text(row.get("case_id"), "case_id")
        question = text(next((row[name] for name in QUESTIONS if name in row), None), "the question")
    except ValueError as error:
        raise BadResults(f"{where}: {error}") from None
    if case_id is None and question is None:
        raise BadResults(f"{where}: has no case_id and no question (user_input)")
    scores = [float(v) if isinstance(v := row.get(name), bool) else number(v) for name in metrics]
    known = [score for score in scores if score is not None]
    why = None
    if not scores:
        why = NoResult.NO_ASSERTION
    elif len(known) < len(scores):
        why = NoResult.JUDGE_FAILED
    passed = None if why is not None else min(known) >= min_score
    return Result(case_id, question, passed, mean(scores), number(row.get("cost_usd")), (), why)
