"""A refused element as a dead letter: its reason, its coordinates and the first 64 KiB of it."""

from __future__ import annotations

import hashlib

import orjson

from schemas.codec import Refused
from schemas.dead_letter import KEPT_BYTES, DeadLetter
from schemas.identity import Coordinates

SAID = 500
"""Characters of a reason, and of the field that it names: both may quote a name of a mebibyte."""


def dead_letter(refused: Refused, at: Coordinates, broker_time: int, message: bytes | None) -> DeadLetter:
    """``message`` is the whole message, which is the original unless this is one element of its array."""
    original = message or b""
    if refused.original and original[:64].lstrip().startswith(b"["):
        original = refused.original  # one element of an array
    text, encoding = _text(original[:KEPT_BYTES], whole=len(original) <= KEPT_BYTES)
    return DeadLetter(
        id=DeadLetter.id_of(at),
        reason=refused.reason,
        message=_said(refused.message),
        field=None if refused.field is None else _said(refused.field),
        at=at,
        broker_time=broker_time,
        size=len(original),
        sha256=hashlib.sha256(original).hexdigest(),
        original=text,
        original_encoding=encoding,
    )


def _said(text: str) -> str:
    """Short, and writable as UTF-8: a name may hold half of a surrogate pair."""
    short = text if len(text) <= SAID else text[: SAID - 1] + "…"
    return short.encode("utf-8", "backslashreplace").decode()


def _text(data: bytes, whole: bool) -> tuple[str, str]:
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError as error:
        if not whole and error.start >= len(data) - 3:
            return data[: error.start].decode(), "utf-8"  # a character cut at the limit
        return data.decode("ascii", "backslashreplace"), "ascii, backslash escapes"


def element_text(message: bytes, index: int) -> bytes:
    """An element of an array as its dead letter quotes it; a message that is none, whole."""
    try:
        parsed = orjson.loads(message)
    except orjson.JSONDecodeError:
        return message
    if not isinstance(parsed, list) or index >= len(parsed):
        return message
    return orjson.dumps(parsed[index])
