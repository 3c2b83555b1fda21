"""A refused element as a dead letter: its reason, its coordinates and the first 64 KiB of it."""

from __future__ import annotations

import hashlib

from schemas.codec import Refused
from schemas.dead_letter import KEPT_BYTES, DeadLetter
from schemas.identity import Coordinates


def dead_letter(refused: Refused, at: Coordinates, broker_time: int, message: bytes | None) -> DeadLetter:
    """``message`` is the whole message, which stands in where the element has no text of its own."""
    original = refused.original if refused.original is not None else message or b""
    text, encoding = _text(original[:KEPT_BYTES], whole=len(original) <= KEPT_BYTES)
    return DeadLetter(
        id=DeadLetter.id_of(at),
        reason=refused.reason,
        message=refused.message,
        field=refused.field,
        at=at,
        broker_time=broker_time,
        size=len(original),
        sha256=hashlib.sha256(original).hexdigest(),
        original=text,
        original_encoding=encoding,
    )


def _text(data: bytes, whole: bool) -> tuple[str, str]:
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError as error:
        if not whole and error.start >= len(data) - 3:
            return data[: error.start].decode(), "utf-8"  # a character cut at the limit
        return data.decode("ascii", "backslashreplace"), "ascii, backslash escapes"
