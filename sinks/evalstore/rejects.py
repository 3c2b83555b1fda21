"""A value that cannot be stored becomes a dead letter of Gleaner's own: never dropped, never a crash loop."""

from __future__ import annotations

import hashlib

from schemas.codec import encode
from schemas.dead_letter import KEPT_BYTES, Refusal
from schemas.identity import derive
from sinks.evalstore.build import Storable
from sinks.evalstore.fields import moment
from sinks.evalstore.rows import DeadLetterRow
from sinks.evalstore.text import storable

MESSAGE_LENGTH = 300
"""Characters of a database's complaint that are kept; it quotes the text that it complains of."""


def rejection(value: Storable, error: Exception, now: int) -> DeadLetterRow:
    """Whatever is wrong with ``value`` is not wrong with this row: it holds escaped text and no number."""
    try:
        original = encode(value)
    except ValueError:
        original = repr(value).encode(errors="backslashreplace")
    digest = hashlib.sha256(original).hexdigest()
    kind = type(value).__name__
    message, _ = storable(f"{kind} cannot be stored: {type(error).__name__}: {error}".splitlines()[0])
    return DeadLetterRow(
        id=derive("store-reject", kind, digest),
        own=True,
        reason=Refusal.INVALID.value,
        message=message[:MESSAGE_LENGTH],
        field=None,
        log_stream=None,
        log_topic=None,
        log_partition=None,
        log_offset=None,
        log_index=None,
        broker_time=None,
        size=len(original),
        sha256=digest,
        original=original[:KEPT_BYTES].decode(errors="backslashreplace"),
        original_encoding="utf-8",
        first_seen=moment(now),
    )
