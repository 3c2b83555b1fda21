"""Scores the rows of a JSONL file: ``{id, question, contexts[], answer}`` in, one result a row out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Annotated, Any, NamedTuple

from pydantic import ValidationError

from schemas.base import Lax, Value
from schemas.codec import Refused, split
from schemas.trace import Context
from streams.judges.base import Scored, Scorer, assess
from streams.lines import Line

CHUNK = 64
"""Rows that are scored at the same time, as far as the scorer lets them."""


class Row(Value):
    """All four fields have to be there; one that is null or blank leaves the row unscored."""

    id: str | int
    question: str | None
    contexts: Annotated[tuple[str | Context, ...] | None, Lax]
    answer: str | None

    def texts(self) -> list[str]:
        texts = (context if isinstance(context, str) else context.text for context in self.contexts or ())
        return [text for text in texts if text is not None]


class RowResult(NamedTuple):
    """``score`` None: ``reason`` says why, and for a row that can't be read which line and field it is."""

    id: Any
    score: float | None
    scorer: str
    reason: str


async def score_lines(scorer: Scorer, lines: Iterable[Line]) -> AsyncIterator[RowResult]:
    """One result for each row, in the order of the lines; a line that holds an array holds several rows."""
    waiting = iter(lines)
    while chunk := list(islice(waiting, CHUNK)):
        rows = [(line, element) for line in chunk for element in split(line.data)]
        tasks = (
            _score(scorer, line, element if isinstance(element, Refused) else element.value)
            for line, element in rows
        )
        for result in await asyncio.gather(*tasks):
            yield result


async def _score(scorer: Scorer, line: Line, value: Refused | dict[str, Any]) -> RowResult:
    if isinstance(value, Refused):
        return RowResult(None, None, scorer.name, f"line {line.number}: {value.message}")
    try:
        row = Row.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"] if part not in ("str", "int", "Context"))
        what = "is missing" if first["type"] == "missing" else first["msg"][:1].lower() + first["msg"][1:]
        told = value.get("id")
        known = told if isinstance(told, str | int) else None
        return RowResult(known, None, scorer.name, f"line {line.number}: {field}: {what}")
    verdict = await assess(scorer, row.question, row.answer, row.texts())
    if isinstance(verdict, Scored):
        return RowResult(row.id, verdict.value, scorer.name, verdict.reason)
    return RowResult(row.id, None, scorer.name, f"{verdict.reason.value}: {verdict.detail}")
