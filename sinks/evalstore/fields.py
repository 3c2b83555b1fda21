"""Typed fields out of an application's event, whatever it holds: a wrong type is NULL, never an error.

The event itself is kept whole beside them, so nothing is lost where a field is NULL.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from schemas.base import EPOCH, MILLISECOND, parse_time
from sinks.evalstore.rows import Context


def moment(milliseconds: int) -> datetime:
    """Epoch ms as a time with a zone; raises ``OverflowError`` outside the years 1 to 9999."""
    return EPOCH + milliseconds * MILLISECOND


def text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def number(value: Any) -> float | None:
    """A finite number, else None: NaN would make every mean over the column NaN.

    >>> number(1), number(True), number(float("nan")), number("1")
    (1.0, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def numbers(value: Any) -> dict[str, float] | None:
    if not isinstance(value, dict):
        return None
    return {name: found for name, inner in value.items() if (found := number(inner)) is not None}


def contexts(value: Any) -> list[Context] | None:
    """The passages in the order of retrieval, text for text what the application sent.

    >>> contexts(["a", {"id": "7", "text": "b", "score": 0.5, "lang": "de"}])
    [{'id': None, 'text': 'a', 'score': None}, {'id': '7', 'text': 'b', 'score': 0.5}]
    """
    if not isinstance(value, list | tuple):
        return None
    return [
        {"id": text(item.get("id")), "text": text(item.get("text")), "score": number(item.get("score"))}
        if isinstance(item, dict)
        else {"id": None, "text": text(item), "score": None}
        for item in value
    ]


def question(trace: dict[str, Any]) -> str | None:
    """What was asked: the field ``question``, else the last message of the user.

    >>> question({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]})
    'hi'
    """
    asked = text(trace.get("question"))
    messages = trace.get("messages")
    if asked is not None or not isinstance(messages, list | tuple):
        return asked
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            return _content(message.get("content"))
    return None


def _content(content: Any) -> str | None:
    """A message's text, which some APIs send as a list of parts."""
    if not isinstance(content, list | tuple):
        return text(content)
    parts = (text(part.get("text")) for part in content if isinstance(part, dict))
    return "\n".join(part for part in parts if part is not None) or None


def time_of(event: dict[str, Any] | None, otherwise: int) -> int:
    """The event's own ``timestamp`` in epoch ms, or ``otherwise`` where it has none that is a time."""
    try:
        return parse_time((event or {})["timestamp"])
    except (KeyError, ValueError):
        return otherwise
