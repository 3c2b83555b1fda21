"""One run of one case, as every reader of results gives it; and the numbers and texts in a file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

MIN_SCORE = 0.5


class NoResult(StrEnum):
    """Why there is neither a pass nor a failure: not the application's fault, and not to its credit."""

    NO_ASSERTION = "no_assertion"
    JUDGE_FAILED = "judge_failed"
    RUNNER_FAILED = "runner_failed"
    NO_SCORE = "no_score"
    SHARED_QUESTION = "shared_question"
    NOT_RUN = "not_run"


class Result(NamedTuple):
    """One run of one case. ``passed`` None: there is no result, and ``why`` says why not."""

    case_id: str | None
    question: str | None
    passed: bool | None
    score: float | None = None
    cost_usd: float | None = None
    slices: tuple[tuple[str, str], ...] = ()
    why: NoResult | None = None


def mean(values: Sequence[float | None]) -> float | None:
    """None of nothing, and where any of them is not known.

    >>> mean([1.0, 2.0]), mean([1.0, None]), mean([])
    (1.5, None, None)
    """
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def number(value: Any) -> float | None:
    """A finite number, also one that a CSV file holds as text; None for anything else.

    >>> number("0.5"), number(True), number("nan"), number(10**400)
    (0.5, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def text(value: Any, name: str) -> str | None:
    """A field that is text, None where it is empty; raises ``ValueError`` where it is something else."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value
