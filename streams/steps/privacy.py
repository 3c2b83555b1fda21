"""How much of an application's text a case may hold: a policy per app."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from streams.steps.redact import Redactor


class Privacy(StrEnum):
    """``FULL``: the event as it came. ``REDACTED``: what people wrote, redacted. ``IDS_ONLY``: no text.

    What leaves for Slack is redacted under every policy.
    """

    FULL = "full"
    REDACTED = "redacted"
    IDS_ONLY = "ids_only"


UNREDACTED = frozenset({"contexts", "retrieved_docs", "citations"})
"""Retrieved passages are the organisation's own documents: a case is replayable only with them intact."""
IDENTIFIERS = frozenset(
    {"trace_id", "app", "environment", "route", "conversation_id", "user_id", "timestamp", "feedback_id"}
)
"""Names and ids stay as they are: they join, and say nothing of a person by themselves."""
LABELS = IDENTIFIERS | {
    *("release", "provider", "model", "served_model", "prompt_version", "system_prompt_version"),
    *("index_version", "finish_reason", "kind", "scorer", "scorer_version"),
}
"""The texts that ``IDS_ONLY`` keeps; of all other fields it keeps numbers, truth values and ids."""
WITHHELD = ("text: the app's privacy policy keeps ids only",)


def kept(event: dict[str, Any], policy: Privacy, redactor: Redactor) -> dict[str, Any]:
    """What a case may hold of an event.

    >>> kept({"trace_id": "t", "question": "am a@b.co", "n": 3}, Privacy.REDACTED, Redactor())
    {'trace_id': 't', 'question': 'am [EMAIL_1]', 'n': 3}
    >>> kept({"trace_id": "t", "question": "am a@b.co", "n": 3}, Privacy.IDS_ONLY, Redactor())
    {'trace_id': 't', 'n': 3}
    """
    match policy:
        case Privacy.FULL:
            return event
        case Privacy.REDACTED:
            return redacted(event, redactor)
        case Privacy.IDS_ONLY:
            found = {name: _bare(name, value) for name, value in event.items()}
            return {name: value for name, value in found.items() if value is not None}


def said(text: str, policy: Privacy) -> str | None:
    """What may be stored of a text that a reviewer wrote about a case; None: nothing.

    >>> said("ask a@b.co", Privacy.REDACTED), said("ask a@b.co", Privacy.IDS_ONLY)
    ('ask [EMAIL_1]', None)
    """
    match policy:
        case Privacy.FULL:
            return text
        case Privacy.REDACTED:
            return Redactor().text(text)
        case Privacy.IDS_ONLY:
            return None


def redacted(event: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    return {
        name: value if name in UNREDACTED or name in IDENTIFIERS else redactor.value(value)
        for name, value in event.items()
    }


def _bare(name: str, value: Any) -> Any:
    """Numbers and truth values, the texts of ``LABELS``; of passages their ids and scores; else None."""
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if name in LABELS else None
    if name in UNREDACTED and isinstance(value, list):
        return [
            {
                key: item[key]
                for key in ("id", "score")
                if key in item and isinstance(item[key], str | int | float)
            }
            for item in value
            if isinstance(item, dict)
        ]
    if name == "versions" and isinstance(value, dict):
        return {key: inner for key, inner in value.items() if isinstance(inner, str)}
    if name in {"scores", "parameters"} and isinstance(value, dict):
        return {key: inner for key, inner in value.items() if isinstance(inner, bool | int | float)}
    return None
