"""What the owner holds between hearing of an event and being done with it, and how that survives.

Three kinds of thing are in flight: rows above the watermark (*pending*), conversations that are not
decided, and traces whose score is awaited. Each leaves in the order of a frontier that only rises:
pending rows with the watermark, conversations with their due time, scores with the head of their
app's queue. ``streams.steps.chunks`` writes them down.
"""

from __future__ import annotations

from typing import NamedTuple

from schemas.identity import Coordinates
from schemas.observation import Profile, Row, ScoreRow, TraceRow


class Result(NamedTuple):
    """A score that has come for a trace; ``at`` is None where the application sent it along."""

    scorer: str
    value: float | None
    low: bool
    at: Coordinates | None


class Pending(NamedTuple):
    """A row above the watermark. The first five fields are the order of application, and no two agree in
    all of them: sorting pending rows is sorting tuples, without a function in Python."""

    time: int
    trace_id: str
    kind: int
    app: str
    at: Coordinates
    row: Row
    profile: Profile | None


class PendingRows:
    """The rows above the watermark: ``fresh`` since the last commit, and those that a chunk has."""

    def __init__(self) -> None:
        self.fresh: list[Pending] = []
        self._written: list[Pending] = []

    def take(self, watermark: int) -> list[Pending]:
        """Those that the watermark has passed, in the order of application."""
        ready = [item for item in self.fresh if item[0] <= watermark]
        if ready:
            self.fresh = [item for item in self.fresh if item[0] > watermark]
        old = [item for item in self._written if item[0] <= watermark]
        if old:
            self._written = [item for item in self._written if item[0] > watermark]
        ready += old
        ready.sort()
        return ready

    def write(self) -> list[Pending]:
        """Those that no chunk has yet: the next one takes them. Most rows come and go between two commits."""
        fresh, self.fresh = self.fresh, []
        self._written += fresh
        return fresh

    def restore(self, items: list[Pending]) -> None:
        self._written = items


class OpenConversation(NamedTuple):
    """A conversation whose outcome is not decided yet; without a ``name`` it is its only trace's own."""

    app: str
    name: str | None
    first_time: int
    trace_id: str
    profile: Profile
    user_id: str | None
    succeeded: bool
    """Whether its first trace says so itself."""


class ConversationOutcome(NamedTuple):
    """Something has become known of an open conversation: ``bits`` are of ``Flag`` and ``Outcome``. ``key``
    is "c:" and its name, or "t:" and the trace_id of a trace that is its own."""

    app: str
    key: str
    first_time: int
    bits: int


class Awaited:
    """A trace in its app's queue of scores; ``unit`` is whether it is its conversation's scored turn."""

    __slots__ = ("app", "asked_at", "at", "profile", "result", "row", "seq", "unit")

    def __init__(
        self,
        app: str,
        seq: int,
        row: TraceRow,
        profile: Profile,
        at: Coordinates,
        unit: bool,
        asked_at: int,
        result: Result | None,
    ) -> None:
        self.app, self.seq, self.row, self.profile, self.at = app, seq, row, profile, at
        self.unit, self.asked_at, self.result = unit, asked_at, result


def result_of(row: ScoreRow, at: Coordinates) -> Result:
    """A score row as the result that its trace waits for."""
    return Result(row.scorer, row.value, row.low, at)
