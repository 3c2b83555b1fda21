"""The packed small numbers that ingest sends to the owner of an app: one message per app and flush.

Rows are plain tuples, not models: an owner reads tens of thousands of them a second, and they are
written by Gleaner alone. Every row begins with ``(time, trace_id, kind)``, so that sorting rows *is*
the order in which observations are applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple

EVERY_ROUTE = "*"
"""The route of what is watched over several: those of little traffic together; never a trace's."""
STAR = "\\*"
"""The route of traces whose application calls it ``*``, as web frameworks name what catches all the rest."""
DEFAULT = "default"
"""The app, environment or route of an event that names none."""


class Kind(IntEnum):
    """What a row observes; also the order in which rows of one instant are applied."""

    CHANGE = 0
    TRACE = 1
    FEEDBACK = 2
    SCORE = 3
    BASELINE = 4
    """Has no ``trace_id``: it comes before every trace of its instant, and after the changes."""


class Flag(IntFlag):
    """What the deterministic checks of ingest found on a trace."""

    ERROR = 1 << 0
    SCHEMA_INVALID = 1 << 1
    EMPTY_ANSWER = 1 << 2
    EMPTY_RETRIEVAL = 1 << 3
    POLICY_BLOCKED = 1 << 4
    REFUSED = 1 << 5
    TRUNCATED = 1 << 6
    FALLBACK = 1 << 7
    FAILED = 1 << 8
    """``success`` is false."""
    LOW_RATING = 1 << 9
    RATED = 1 << 10
    SCORE_REQUESTED = 1 << 11
    """The whole trace went to ``score-requests``: the owner waits for its score."""
    TIME_CLAMPED = 1 << 12
    """The event's time was more than five minutes ahead of the broker's, and was set to that bound."""
    TIME_MISSING = 1 << 13
    """The event had no time; it took the broker's (in a file: the line's before)."""
    TOKEN_CONFLICT = 1 << 14
    """Cache reads and writes exceed the input tokens: the source counts exclusively, or is broken."""
    MISSING_CITATION = 1 << 15
    """A citation names a passage that was not retrieved."""
    LOW_SCORE = 1 << 16
    """The application's own faithfulness is below 0.75."""
    SUCCEEDED = 1 << 17
    """``success`` is true."""


class Outcome(IntFlag):
    """What became of a conversation, beside the flags of its traces: bits that no ``Flag`` uses."""

    ESCALATED = 1 << 20
    DISLIKED = 1 << 21
    CORRECTED = 1 << 22
    ABANDONED = 1 << 23
    UNPRICED = 1 << 24
    UNSUCCESSFUL = 1 << 25
    """By ``success`` where it was said; else by an error, a broken schema, or an escalation."""


class PriceStatus(IntEnum):
    """How a cost came about; a cost that could not be computed is NULL with this reason."""

    PRICED = 0
    OVERRIDE = 1
    REPORTED = 2
    NO_USAGE = 3
    PARTIAL_USAGE = 4
    UNKNOWN_MODEL = 5
    NO_MODEL = 6
    TOKEN_CONFLICT = 7


class Profile(NamedTuple):
    """Segment and dimensions of a trace. Thousands of traces share one, so a batch lists it once."""

    environment: str = DEFAULT
    route: str = DEFAULT
    provider: str | None = None
    model: str | None = None
    served_model: str | None = None
    prompt_version: str | None = None
    system_prompt_version: str | None = None
    index_version: str | None = None
    release: str | None = None
    versions: tuple[tuple[str, str], ...] = ()

    def dimensions(self) -> dict[str, str]:
        """Dimension name to value, those that the trace named.

        >>> Profile(model="m", versions=(("chunker", "3"),)).dimensions()
        {'model': 'm', 'chunker': '3'}
        """
        named = {name: value for name in DIMENSIONS if (value := getattr(self, name)) is not None}
        return named | dict(self.versions)


def profile_of(fields: Sequence[Any]) -> Profile:
    """A profile as JSON gave it back."""
    return Profile._make([*fields[:-1], tuple([(name, value) for name, value in fields[-1]])])


DIMENSIONS = (
    "provider",
    "model",
    "served_model",
    "prompt_version",
    "system_prompt_version",
    "index_version",
    "release",
)
"""The dimensions that a trace event has fields for; ``versions`` adds an application's own."""


class TraceRow(NamedTuple):
    """One trace. ``profile`` indexes the batch's profiles, ``source`` its sources."""

    time: int
    trace_id: str
    kind: int
    source: int
    offset: int
    element: int
    profile: int
    conversation_id: str | None
    user_id: str | None
    flags: int
    cost: float | None
    price: int
    input_tokens: int | None
    output_tokens: int | None
    latency_ms: float | None
    faithfulness: float | None
    time_to_first_token_ms: float | None = None


class FeedbackRow(NamedTuple):
    """One piece of feedback: its kind, its number (see ``FeedbackEvent.number``), whether it is negative."""

    time: int
    trace_id: str
    kind: int
    source: int
    offset: int
    element: int
    feedback_id: str
    feedback_kind: str
    value: float
    negative: bool


class ScoreRow(NamedTuple):
    """One score, or ``value`` None with the reason why there is none; ``time`` is 0: the trace has it."""

    time: int
    trace_id: str
    kind: int
    source: int
    offset: int
    element: int
    score_id: str
    scorer: str
    value: float | None
    low: bool
    reason: str


class ChangeRow(NamedTuple):
    """One change event; ``trace_id`` is empty."""

    time: int
    trace_id: str
    kind: int
    source: int
    offset: int
    element: int
    change_id: str
    environment: str | None
    dimension: str
    previous: str | None
    current: str
    author: str | None


class BaselineRow(NamedTuple):
    """An acceptance: what is normal is learned anew from ``time`` on. ``trace_id`` is empty.

    None in ``environment``, ``route``, ``signal`` and ``rule`` means all of them.
    """

    time: int
    trace_id: str
    kind: int
    source: int
    offset: int
    element: int
    change_id: str
    environment: str | None
    route: str | None
    signal: str | None
    rule: str | None
    author: str | None


Row = TraceRow | FeedbackRow | ScoreRow | ChangeRow | BaselineRow
ROW_TYPES: tuple[type[ChangeRow], type[TraceRow], type[FeedbackRow], type[ScoreRow], type[BaselineRow]] = (
    ChangeRow,
    TraceRow,
    FeedbackRow,
    ScoreRow,
    BaselineRow,
)
"""Row type by ``Kind``."""


class Source(NamedTuple):
    """One partition of one life of a topic."""

    stream: str
    topic: str
    partition: int


class ObservationBatch(NamedTuple):
    """The rows of one app in one flush of ingest, in the order of each source partition."""

    app: str
    sources: list[Source]
    profiles: list[Profile]
    rows: list[Row]


class SourceProgress(NamedTuple):
    """How far ingest has read one source partition.

    ``offset`` is the next one to be read; ``max_time`` how far event time has come, None before the first
    event: the largest, but for events that were ahead of the clock; ``at_end`` whether ingest has stood at
    the partition's end for two seconds.
    """

    source: Source
    offset: int
    max_time: int | None
    at_end: bool


class Progress(NamedTuple):
    """What an ingest worker reports to every observations partition, in order with its batches.

    ``partitions`` counts each source topic's partitions, so that an owner knows whom it still waits
    for; ``at`` is the worker's wall clock, the only one that the rolling stage ever sees.
    """

    at: int
    partitions: dict[str, int]
    sources: list[SourceProgress]
