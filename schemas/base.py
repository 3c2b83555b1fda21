"""The base of every value on the wire, and the types that several of them share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema

WIRE_VERSION = 1
"""Version of the wire schema; rises only when a reader of the old one would misread the new one."""

MAX_ID_LENGTH = 256
"""Characters of an id or a dimension value. Longer ones are payload, not identity, and are refused."""

EARLIEST_MS = -62_135_596_800_000
"""0001-01-01T00:00:00Z in epoch milliseconds: the first instant that RFC 3339 can write."""

LATEST_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z in epoch milliseconds: the last instant that RFC 3339 can write."""


MAX_AMOUNT = 1e12
"""Dollars of a request, or milliseconds (31 years): more is a mistake. What is summed up of all of them stays
finite, which a state that is written as JSON must be."""


class Value(BaseModel):
    """A frozen value. Fields that this version does not know are kept, never refused."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, protected_namespaces=())


class Record(BaseModel):
    """A frozen value that only Gleaner writes: an unknown field is a newer writer's, and is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


def parse_time(value: Any) -> int:
    """RFC 3339 with a zone, or epoch milliseconds, as epoch milliseconds.

    >>> parse_time("2026-03-01T00:00:00Z"), parse_time(1772323200000)
    (1772323200000, 1772323200000)

    Raises ``ValueError`` for everything else: a time without a zone means another instant in every
    place, so it is refused rather than guessed.
    """
    if type(value) is int:
        milliseconds = value
    elif isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("is no time: use RFC 3339 with a zone, or epoch milliseconds") from None
        if len(value) < 19:
            raise ValueError("is no time: use RFC 3339 with a zone, or epoch milliseconds")
        if moment.tzinfo is None:
            raise ValueError("has no zone: end it with Z or an offset such as +02:00")
        return (moment - EPOCH) // MILLISECOND
    elif type(value) is float and value.is_integer():
        milliseconds = int(value)
    else:
        raise ValueError("is no time: use RFC 3339 with a zone, or epoch milliseconds")
    if not EARLIEST_MS <= milliseconds <= LATEST_MS:
        raise ValueError("is outside the years 1 to 9999: epoch times are in milliseconds")
    return milliseconds


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC) - EPOCH


def rfc3339(milliseconds: int) -> str:
    """Epoch milliseconds as RFC 3339 in UTC, with milliseconds only where there are any.

    >>> rfc3339(1772323200000), rfc3339(1)
    ('2026-03-01T00:00:00Z', '1970-01-01T00:00:00.001Z')
    """
    moment = EPOCH + milliseconds * MILLISECOND
    digits = "milliseconds" if milliseconds % 1000 else "seconds"
    return moment.isoformat(timespec=digits).replace("+00:00", "Z")


SECONDS = (1_000_000_000, 10_000_000_000)
"""Numbers from the first to below the second are epoch seconds, of 2001 to 2286. In milliseconds they are
January to April 1970, of which no application has an answer to tell."""


def parse_event_time(value: Any) -> int:
    """The time of an event that somebody else wrote: as ``parse_time``, but a number that can only be epoch
    seconds is refused. Taken for milliseconds it would put a day of traffic into 86 seconds of 1970.

    >>> parse_event_time(1772323200000), parse_event_time(0)
    (1772323200000, 0)
    >>> parse_event_time(1772323200)
    Traceback (most recent call last):
        ...
    ValueError: is in epoch seconds: give milliseconds (times 1000), or RFC 3339 with a zone
    """
    if type(value) in (int, float) and SECONDS[0] <= value < SECONDS[1]:
        raise ValueError("is in epoch seconds: give milliseconds (times 1000), or RFC 3339 with a zone")
    return parse_time(value)


EpochMs = Annotated[
    int,
    BeforeValidator(parse_time),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}, mode="validation"
    ),
]
"""An instant in epoch milliseconds, read from RFC 3339 with a zone or from the number itself."""

EventTime = Annotated[
    int,
    BeforeValidator(parse_event_time),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "number", "exclusiveMaximum": SECONDS[0]},
                {"type": "number", "minimum": SECONDS[1]},
            ],
            "description": "RFC 3339 with a zone, or epoch milliseconds; epoch seconds are refused",
        },
        mode="validation",
    ),
]
"""As ``EpochMs``, for what others write: see ``parse_event_time``."""

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]
Name = Annotated[str, Field(max_length=MAX_ID_LENGTH)]
Count = Annotated[int, Field(ge=0, le=2**53)]
"""A count that every JSON reader can hold exactly."""
Number = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=MAX_AMOUNT, allow_inf_nan=False)]
"""Dollars, or milliseconds."""
Lax = Strict(False)
"""Lets a JSON array become a tuple inside a strict model."""
