"""What is normal is learned anew from a time on, because a person has said that it is."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from detectors.rules import Kind, Rule
from schemas.signal import SignalName

LEARNS = frozenset({Kind.LEARNED, Kind.VOLUME})
"""Kinds of rules whose baseline is learned. Of a ``bound`` only the volume is: its level is declared."""


class Accepted(NamedTuple):
    """Units from event time ``time`` (ms) on are normal, says ``by`` (empty: nobody is named).

    ``signal`` and ``rule`` None: whichever. ``id`` is the acceptance's own.
    """

    time: int
    id: str
    by: str
    signal: SignalName | None = None
    rule: str | None = None

    def names(self, signal: SignalName, rule: Rule) -> bool:
        """Whether it is about the baseline that ``rule`` has learned of ``signal``."""
        return rule.kind in LEARNS and self.signal in (None, signal) and self.rule in (None, rule.name)


class Stream(StrEnum):
    """What units come from; each stream comes to a point in event time at a moment of its own."""

    TRACES = "traces"
    CONVERSATIONS = "conversations"
    """Known ten minutes after their first trace, whose time they have."""
    SCORES = "scores"
    """Known when the judge has answered; they have their traces' time."""


class Awaiting:
    """Acceptances that a stream has not come to yet, the earliest first.

    An acceptance cuts each stream at its own time: units before it are still held against the old baseline,
    however late they are known, and units from it on are learned. So when each of them became known changes
    nothing, and a baseline that is accepted with a release learns nothing of what was before.
    """

    __slots__ = ("_by_stream",)

    def __init__(self) -> None:
        self._by_stream: dict[Stream, list[Accepted]] = {}

    def __bool__(self) -> bool:
        return bool(self._by_stream)

    def add(self, stream: Stream, accepted: Accepted) -> None:
        """``accepted`` is later than those before it, or of the same time."""
        self._by_stream.setdefault(stream, []).append(accepted)

    def next(self, stream: Stream) -> int | None:
        """Event time of the earliest that waits for ``stream``."""
        waiting = self._by_stream.get(stream)
        return waiting[0].time if waiting else None

    def take(self, stream: Stream, upto: int) -> list[Accepted]:
        """Those of ``upto`` or before: all units before them have come."""
        waiting = self._by_stream.pop(stream, [])
        left = [one for one in waiting if one.time > upto]
        if left:
            self._by_stream[stream] = left
        return waiting[: len(waiting) - len(left)]

    def snapshot(self) -> dict[str, Any]:
        return {stream.value: written(waiting) for stream, waiting in self._by_stream.items()}

    def restore(self, state: dict[str, Any]) -> None:
        self._by_stream = {Stream(stream): read(waiting) for stream, waiting in state.items()}


def written(accepted: Iterable[Accepted]) -> list[list[Any]]:
    """As JSON data."""
    return [[*one] for one in accepted]


def read(rows: Iterable[list[Any]]) -> list[Accepted]:
    """What :func:`written` has written."""
    return [
        Accepted(time, of, by, signal and SignalName(signal), rule) for time, of, by, signal, rule in rows
    ]
