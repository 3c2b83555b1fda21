"""Ids that travel are derived from what they name, so that doing a thing twice names it once."""

from __future__ import annotations

import hashlib
from typing import NamedTuple
from uuid import UUID, uuid5

NAMESPACE = UUID("6d0c2f0e-6f5b-5d0e-9a53-2f3d4f0f6b11")
SEPARATOR = "\x1f"
INDEX_BITS = 20
"""An event's index within its message takes 20 bits of a mark: at most 1,048,576 events in a message."""


class Coordinates(NamedTuple):
    """Where an event stands in the log.

    ``stream`` tells one life of a topic from another: a topic that was deleted and made again starts
    at offset 0 like the first, and must not be taken for it.
    """

    stream: str
    topic: str
    partition: int
    offset: int
    index: int = 0  # type: ignore[assignment]  # the wire's name; nobody needs tuple.index here

    def mark(self) -> int:
        """(offset, index) as one integer that grows along the partition.

        >>> Coordinates("s", "traces", 0, 1, 0).mark() > Coordinates("s", "traces", 0, 0, 9).mark()
        True
        """
        return self.offset << INDEX_BITS | self.index


def derive(kind: str, *parts: object) -> str:
    """The id of a ``kind`` of thing that is fully named by ``parts``.

    >>> derive("case", "app", "trace") == derive("case", "app", "trace")
    True
    >>> derive("case", "a", "b") == derive("case", "a\\x1fb")
    False
    """
    text = SEPARATOR.join(str(part).replace(SEPARATOR, SEPARATOR * 2) for part in (kind, *parts))
    return str(uuid5(NAMESPACE, f"{len(parts)}{SEPARATOR}{text}"))


def case_id(app: str, trace_id: str) -> str:
    """One failing trace is one case, however many reasons it collects."""
    return derive("case", app, trace_id)


def sampled(trace_id: str, rate: float) -> bool:
    """Whether a trace belongs to a sample of this ``rate`` (0 to 1): the same answer at every run.

    >>> sampled("t", 1.0), sampled("t", 0.0)
    (True, False)
    """
    if rate >= 1.0:
        return True
    digest = hashlib.blake2b(trace_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) < rate * 2**64
