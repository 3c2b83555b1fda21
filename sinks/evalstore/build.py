"""A value of ``schemas`` as rows of the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.case import EvalCase
from schemas.codec import encode
from schemas.dead_letter import DeadLetter
from schemas.histogram import unpack
from schemas.incident import Incident
from schemas.signal import Recovery, RollingReport, Signal, WindowStat
from schemas.topics import CHANGES, FEEDBACK, TOPICS, TRACES
from sinks.evalstore.fields import contexts, moment, number, numbers, question, text, time_of
from sinks.evalstore.rows import (
    CaseEventRow,
    CaseRow,
    DeadLetterRow,
    IncidentRow,
    RecoveryRow,
    ReportRow,
    Row,
    SignalRow,
    WindowRow,
)
from sinks.evalstore.text import storable, to_json

Storable = EvalCase | Signal | Recovery | WindowStat | RollingReport | Incident | DeadLetter
NOWHERE = (None, None, None, None, None)
OWN_TOPICS = {topic.name for topic in TOPICS} - {TRACES.name, FEEDBACK.name, CHANGES.name}
"""What stood on one of these and could not be read was no application's event."""


def rows_of(value: Storable, now: int) -> list[Row]:
    """The rows of one value; ``now`` in epoch ms is when the store sees it.

    Raises ``ValueError``, ``TypeError`` or ``OverflowError`` where the value cannot be stored.
    """
    return _BUILDERS[type(value)](value, now)


def _case(case: EvalCase, now: int) -> list[Row]:
    whole, replaced = (None, 0) if case.trace is None else to_json(case.trace)
    trace: dict[str, Any] = (storable(case.trace)[0] if replaced else case.trace) or {}
    stream, topic, partition, offset, index = case.trace_at or NOWHERE
    row = CaseRow(
        case_id=case.case_id,
        app=case.app,
        environment=case.environment,
        route=case.route,
        trace_id=case.trace_id,
        ts=moment(case.time),
        question=question(trace),
        answer=text(trace.get("answer")),
        contexts=contexts(trace.get("contexts")),
        provider=text(trace.get("provider")),
        model=text(trace.get("model")),
        served_model=text(trace.get("served_model")),
        prompt_version=text(trace.get("prompt_version")),
        index_version=text(trace.get("index_version")),
        release=text(trace.get("release")),
        conversation_id=text(trace.get("conversation_id")),
        user_id=text(trace.get("user_id")),
        scores=numbers(trace.get("scores")),
        cost_usd=number(case.cost),
        price_status=case.price_status,
        trace=whole,
        log_stream=stream,
        log_topic=topic,
        log_partition=partition,
        log_offset=offset,
        log_index=index,
        content_hash=case.content_hash,
        replayable=case.replayable,
        missing=list(case.missing),
        redactions=case.redactions,
        replaced_characters=replaced,
        first_seen=moment(now),
    )
    return [row, _case_event(case, now)]


def _case_event(case: EvalCase, now: int) -> CaseEventRow:
    score = case.score or {}
    return CaseEventRow(
        event_id=case.event_id,
        case_id=case.case_id,
        # What the user said later is an event of its own time; a score belongs to its trace's.
        ts=moment(time_of(case.feedback, case.time)),
        reasons=[reason.value for reason in case.reasons],
        score_value=number(score.get("value")),
        scorer=text(score.get("scorer")),
        score=None if case.score is None else to_json(case.score)[0],
        feedback=None if case.feedback is None else to_json(case.feedback)[0],
        expected_answer=case.expected_answer,
        recorded=moment(now),
        seq=0,  # given when it is written
    )


def _signal(alarm: Signal, now: int) -> list[Row]:
    row = SignalRow(
        id=alarm.id,
        app=alarm.app,
        environment=alarm.environment,
        route=alarm.route,
        signal=alarm.signal.value,
        rule=alarm.rule,
        severity=alarm.severity.value,
        pages=alarm.pages,
        direction=alarm.direction,
        onset=moment(alarm.onset),
        detected_at=moment(alarm.detected_at),
        baseline=number(alarm.baseline),
        value=number(alarm.value),
        n=alarm.n,
        reason=alarm.reason,
        body=encode(alarm).decode(),
    )
    return [row]


def _recovery(end: Recovery, now: int) -> list[Row]:
    row = RecoveryRow(
        id=end.id,
        alarm_id=end.alarm_id,
        app=end.app,
        environment=end.environment,
        route=end.route,
        signal=end.signal.value,
        rule=end.rule,
        since=moment(end.since),
        detected_at=moment(end.detected_at),
        baseline=number(end.baseline),
        value=number(end.value),
        n=end.n,
        reason=end.reason,
    )
    return [row]


def _window(window: WindowStat, now: int) -> list[Row]:
    total = number(window.total)
    if total is None:
        raise ValueError("total: is no finite number")
    counts = unpack(window.histogram)
    row = WindowRow(
        app=window.app,
        environment=window.environment,
        route=window.route,
        signal=window.signal.value,
        start_ms=window.start,
        end_ms=window.end,
        part=window.part,
        n=window.n,
        total=total,
        unmeasured=window.unmeasured,
        late=window.late,
        low=window.low,
        buckets=list(counts) or None,
        counts=list(counts.values()) or None,
    )
    return [row]


def _report(report: RollingReport, now: int) -> list[Row]:
    watermark = None if report.watermark is None else moment(report.watermark)
    return [ReportRow(report.partition, report.position, watermark, to_json(report.counters)[0])]


def _incident(incident: Incident, now: int) -> list[Row]:
    row = IncidentRow(
        id=incident.id,
        revision=incident.revision,
        app=incident.app,
        environment=incident.environment,
        route=incident.route,
        signal=incident.signal.value,
        rule=incident.rule,
        severity=incident.severity.value,
        state=incident.state.value,
        onset=moment(incident.onset),
        detected_at=moment(incident.detected_at),
        updated_at=moment(incident.updated_at),
        baseline=number(incident.baseline),
        value=number(incident.value),
        n=incident.n,
        body=encode(incident).decode(),
    )
    return [row]


def _dead_letter(letter: DeadLetter, now: int) -> list[Row]:
    stream, topic, partition, offset, index = letter.at
    row = DeadLetterRow(
        id=letter.id,
        own=letter.at.topic in OWN_TOPICS,
        reason=letter.reason.value,
        message=letter.message,
        field=letter.field,
        log_stream=stream,
        log_topic=topic,
        log_partition=partition,
        log_offset=offset,
        log_index=index,
        broker_time=moment(letter.broker_time),
        size=letter.size,
        sha256=letter.sha256,
        original=letter.original,
        original_encoding=letter.original_encoding,
        first_seen=moment(now),
    )
    return [row]


_BUILDERS: dict[type, Callable[[Any, int], list[Row]]] = {
    EvalCase: _case,
    Signal: _signal,
    Recovery: _recovery,
    WindowStat: _window,
    RollingReport: _report,
    Incident: _incident,
    DeadLetter: _dead_letter,
}
