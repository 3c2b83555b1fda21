"""What could not be read: kept with the reason, and put back by ``gleaner dlq replay``."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import WIRE_VERSION, Record
from schemas.identity import Coordinates, derive

KEPT_BYTES = 64 * 1024
"""Bytes of the original that a dead letter keeps; the coordinates lead to the rest."""


class Refusal(StrEnum):
    """Why an event was refused."""

    EMPTY = "empty"
    BAD_ENCODING = "bad_encoding"
    BAD_JSON = "bad_json"
    NOT_AN_EVENT = "not_an_event"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many_events"
    INVALID = "invalid_field"
    UNSUPPORTED_VERSION = "unsupported_version"


class DeadLetter(Record):
    """An event that was refused: where it stood, why, and its first 64 KiB.

    ``message`` names the field and the fix. ``original`` is the element's own text where it was an
    element of an array, else the message's; bytes that are not UTF-8 are escaped as ``\\xNN`` and
    ``original_encoding`` says so. ``size`` and ``sha256`` are those of the whole original.
    """

    v: int = WIRE_VERSION
    id: str
    reason: Refusal
    message: str
    field: str | None = None
    at: Coordinates
    broker_time: int
    size: int
    sha256: str
    original: str
    original_encoding: str = "utf-8"

    @staticmethod
    def id_of(at: Coordinates) -> str:
        return derive("dead-letter", *at)
