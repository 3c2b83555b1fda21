"""One table of topics: name, key, value, partitions, retention, cleanup.

Everything that creates, checks or documents topics reads this table and nothing else.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

DAY_MS = 86_400_000
MAX_EVENT_BYTES = 1024 * 1024
"""An event may be 1 MiB."""
APP_MESSAGE_BYTES = 8 * 1024 * 1024
"""A message of an application may be 8 MiB: an array of events."""
OWN_MESSAGE_BYTES = 2 * MAX_EVENT_BYTES
"""Gleaner's own messages carry at most one event, with room for what is written around it."""
ROOM_BYTES = 4096
"""Of a message's limit, for what Kafka writes around the value: its key, and the head of its batch."""


def own_message_bytes(max_event_bytes: int) -> int:
    """The limit of Gleaner's own messages where events may have ``max_event_bytes``; at least the usual one.

    >>> own_message_bytes(MAX_EVENT_BYTES) == OWN_MESSAGE_BYTES == own_message_bytes(1024)
    True
    """
    return max(OWN_MESSAGE_BYTES, 2 * max_event_bytes)


class Topic(NamedTuple):
    """``partitions`` None takes the deployment's setting; ``retention_ms`` -1 keeps for ever.

    ``max_message_bytes`` None follows the deployment's largest event (``own_message_bytes``).
    """

    name: str
    key: str
    value: str
    partitions: int | None
    retention_ms: int
    max_message_bytes: int | None = None
    cleanup: Literal["delete", "compact"] = "delete"


TRACES = Topic("traces", "any", "TraceEvent or array", None, 14 * DAY_MS, APP_MESSAGE_BYTES)
FEEDBACK = Topic("feedback", "any", "FeedbackEvent or array", None, 14 * DAY_MS, APP_MESSAGE_BYTES)
CHANGES = Topic("changes", "any", "ChangeEvent, Acceptance or array", 1, 90 * DAY_MS, APP_MESSAGE_BYTES)
OBSERVATIONS = Topic("observations", "app", "ObservationBatch or Progress", None, 14 * DAY_MS)
SCORE_REQUESTS = Topic("score-requests", "trace_id", "ScoreRequest", None, 3 * DAY_MS)
SCORES = Topic("scores", "trace_id", "Score or Unscored", None, 14 * DAY_MS)
ROLLING_STATE = Topic(
    "rolling-state", "state key", "state of an observations partition", None, -1, cleanup="compact"
)
SIGNALS = Topic("signals", "app", "Signal, WindowStat or RollingReport", None, 90 * DAY_MS)
CASE_REQUESTS = Topic("case-requests", "trace_id", "CaseRequest", None, 14 * DAY_MS)
CASES = Topic("cases", "case_id", "EvalCase", None, 14 * DAY_MS)
CASE_PREVIEWS = Topic("case-previews", "app", "CasePreview", None, 3 * DAY_MS)
COMMANDS = Topic("commands", "incident id", "Command", 1, 14 * DAY_MS)
INCIDENTS = Topic("incidents", "incident id", "Incident", 1, 90 * DAY_MS)
CALIBRATIONS = Topic("calibrations", "constant", "Calibrations", 1, -1, cleanup="compact")
DEAD_LETTERS = Topic("dead-letters", "dead letter id", "DeadLetter", None, 90 * DAY_MS)

TOPICS: tuple[Topic, ...] = (
    TRACES,
    FEEDBACK,
    CHANGES,
    OBSERVATIONS,
    SCORE_REQUESTS,
    SCORES,
    ROLLING_STATE,
    SIGNALS,
    CASE_REQUESTS,
    CASES,
    CASE_PREVIEWS,
    COMMANDS,
    INCIDENTS,
    CALIBRATIONS,
    DEAD_LETTERS,
)
"""In the order of an event's way through Gleaner."""
