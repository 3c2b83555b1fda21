"""One row of each table, with the columns in the table's own order (a test compares them)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

Context = dict[str, str | float | None]


class CaseRow(NamedTuple):
    case_id: str
    app: str
    environment: str
    route: str
    trace_id: str
    ts: datetime
    question: str | None
    answer: str | None
    contexts: list[Context] | None
    provider: str | None
    model: str | None
    served_model: str | None
    prompt_version: str | None
    index_version: str | None
    release: str | None
    conversation_id: str | None
    user_id: str | None
    scores: dict[str, float] | None
    cost_usd: float | None
    price_status: str | None
    trace: str | None
    log_stream: str | None
    log_topic: str | None
    log_partition: int | None
    log_offset: int | None
    log_index: int | None
    content_hash: str
    replayable: bool
    missing: list[str]
    redactions: int
    replaced_characters: int
    first_seen: datetime


class CaseEventRow(NamedTuple):
    event_id: str
    case_id: str
    ts: datetime
    reasons: list[str]
    score_value: float | None
    scorer: str | None
    score: str | None
    feedback: str | None
    expected_answer: str | None
    recorded: datetime
    seq: int


class ClusterRow(NamedTuple):
    case_id: str
    seq: int
    cluster_id: str
    via: str
    similarity: float | None
    place: int | None


class MergeRow(NamedTuple):
    absorbed: str
    cluster_id: str
    seq: int


class SignalRow(NamedTuple):
    id: str
    app: str
    environment: str
    route: str
    signal: str
    rule: str
    severity: str
    pages: bool
    direction: str
    onset: datetime
    detected_at: datetime
    baseline: float | None
    value: float | None
    n: int
    reason: str
    body: str


class RecoveryRow(NamedTuple):
    id: str
    alarm_id: str
    app: str
    environment: str
    route: str
    signal: str
    rule: str
    since: datetime
    detected_at: datetime
    baseline: float | None
    value: float | None
    n: int
    reason: str


class WindowRow(NamedTuple):
    app: str
    environment: str
    route: str
    signal: str
    start_ms: int
    end_ms: int
    part: int
    n: int
    total: float
    unmeasured: int
    late: int
    low: int
    buckets: list[int] | None
    counts: list[int] | None


class ReportRow(NamedTuple):
    observations_partition: int
    position: int
    watermark: datetime | None
    counters: str


class IncidentRow(NamedTuple):
    id: str
    revision: int
    app: str
    environment: str
    route: str
    signal: str
    rule: str
    severity: str
    state: str
    onset: datetime
    detected_at: datetime
    updated_at: datetime
    baseline: float | None
    value: float | None
    n: int
    body: str


class DeadLetterRow(NamedTuple):
    id: str
    own: bool
    reason: str
    message: str
    field: str | None
    log_stream: str | None
    log_topic: str | None
    log_partition: int | None
    log_offset: int | None
    log_index: int | None
    broker_time: datetime | None
    size: int
    sha256: str
    original: str
    original_encoding: str
    first_seen: datetime


Row = (
    CaseRow
    | CaseEventRow
    | ClusterRow
    | MergeRow
    | SignalRow
    | RecoveryRow
    | WindowRow
    | ReportRow
    | IncidentRow
    | DeadLetterRow
)
