"""Ingest's step: an event becomes numbers for its app's owner, and a request to the judge if sampled.

Pure: what is known of an event depends on the event, its coordinates and the broker's time of it.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from schemas.acceptance import Acceptance
from schemas.change import ChangeEvent
from schemas.feedback import LOW_RATING, FeedbackEvent
from schemas.identity import Coordinates, derive, sampled
from schemas.observation import (
    DEFAULT,
    DIMENSIONS,
    EVERY_ROUTE,
    STAR,
    BaselineRow,
    ChangeRow,
    FeedbackRow,
    Flag,
    Kind,
    PriceStatus,
    Profile,
    ScoreRow,
    TraceRow,
)
from schemas.score import Score, ScoreRequest, ScoreResult
from schemas.trace import Context, TraceEvent
from streams.steps.prices import Prices

AHEAD_MS = 300_000
"""An event may be five minutes ahead of the broker's clock; a later time is set to that bound."""
GOOD_POLICY_RESULTS = frozenset({"allowed", "ok", "pass", "passed", "safe", "none", ""})
TRUNCATED_BY = frozenset({"length", "max_tokens", "max_output_tokens"})
FAITHFULNESS = "faithfulness"
OWN_FLOOR = 0.75
"""An application's own faithfulness below this makes a case. Other scorers bring their own verdicts."""

# Traces are the many: their fields are read all at once, past the model's attributes, and their rows are
# made past the constructors of named tuples, which are functions in Python.
_PROFILE = itemgetter("environment", "route", *DIMENSIONS, "versions")
_TRACE = itemgetter(
    "timestamp",
    "app",
    "trace_id",
    "scores",
    "answer",
    "contexts",
    "question",
    "conversation_id",
    "user_id",
    "input_tokens",
    "output_tokens",
    "latency_ms",
    "time_to_first_token_ms",
)
_CHECKED = itemgetter("schema_valid", "answer", "tool_calls", "contexts", "finish_reason", "success")
_SELDOM = itemgetter(
    "error", "retrieved_docs", "policy_result", "refused", "fallback", "user_rating", "citations"
)
_NONE_OF_THEM = (None,) * 7
_profile = partial(tuple.__new__, Profile)
_trace_row = partial(tuple.__new__, TraceRow)


class ScoringPolicy(NamedTuple):
    """Which traces go to the judge: ``rate`` of them, by a hash of the trace_id."""

    rate: float = 1.0
    rescore: bool = False


class Observed(NamedTuple):
    """``row`` has no source and profile yet (see ``pack``); ``request`` goes to the judge."""

    app: str
    profile: Profile | None
    row: TraceRow | FeedbackRow | ScoreRow | ChangeRow | BaselineRow
    request: ScoreRequest | None = None


_observed = partial(tuple.__new__, Observed)


def event_time(timestamp: int | None, broker_time: int | None) -> tuple[int, int]:
    """The time that an event is taken to have, and the flags that say so.

    ``broker_time`` None means that there is no broker (a file): its lines carry their own.
    """
    if timestamp is None:
        return (broker_time or 0), Flag.TIME_MISSING.value
    if broker_time is not None and timestamp > broker_time + AHEAD_MS:
        return broker_time + AHEAD_MS, Flag.TIME_CLAMPED.value
    return timestamp, 0


def observe_trace(
    event: TraceEvent, at: Coordinates, broker_time: int | None, prices: Prices, scoring: ScoringPolicy
) -> Observed:
    """A trace as a row, priced and checked, and its request to the judge."""
    fields = event.__dict__
    timestamp, app, trace_id, scores, answer, contexts, question, conversation, user, *numbers, first = (
        _TRACE(fields)
    )
    time, flags = event_time(timestamp, broker_time)
    cost, price = prices.of(event, time)
    if price is PriceStatus.TOKEN_CONFLICT:
        flags |= Flag.TOKEN_CONFLICT.value
    flags |= check(event)
    own = scores.get(FAITHFULNESS) if scores else None
    request = None
    if (own is None or scoring.rescore) and answer and contexts and question:
        texts = tuple(event.context_texts())
        if texts and answer.strip() and sampled(trace_id, scoring.rate):
            flags |= Flag.SCORE_REQUESTED.value
            own = None
            request = ScoreRequest.model_construct(
                v=1,
                app=app or DEFAULT,
                trace_id=trace_id,
                time=time,
                at=at,
                question=question,
                answer=answer,
                contexts=texts,
            )
    if own is not None:
        if not 0.0 <= own <= 1.0:
            own = None
        elif own < OWN_FLOOR:
            flags |= Flag.LOW_SCORE.value
    environment, route, *dimensions, versions = _PROFILE(fields)
    pairs = tuple(sorted(versions.items())) if versions else ()
    if route == EVERY_ROUTE:
        route = STAR
    profile = _profile((environment or DEFAULT, route or DEFAULT, *dimensions, pairs))
    row = _trace_row(
        (
            time,
            trace_id,
            1,
            0,
            at[3],
            at[4],
            0,
            conversation,
            user,
            flags,
            cost,
            int(price),
            *numbers,
            own,
            first,
        )
    )
    return _observed((app or DEFAULT, profile, row, request))


def check(event: TraceEvent) -> int:
    """The deterministic checks: flags for what is wrong on the face of a trace."""
    fields = event.__dict__
    flags = 0
    schema_valid, answer, tool_calls, contexts, finish_reason, success = _CHECKED(fields)
    if schema_valid is False:
        flags |= Flag.SCHEMA_INVALID.value
    if answer is not None and (not answer or answer.isspace()) and not tool_calls:
        flags |= Flag.EMPTY_ANSWER.value
    if contexts == ():
        flags |= Flag.EMPTY_RETRIEVAL.value
    if finish_reason in TRUNCATED_BY:
        flags |= Flag.TRUNCATED.value
    if success is False:
        flags |= Flag.FAILED.value
    elif success:
        flags |= Flag.SUCCEEDED.value
    seldom = _SELDOM(fields)
    return flags if seldom == _NONE_OF_THEM else flags | _check_seldom(event, seldom)


def _check_seldom(event: TraceEvent, fields: tuple[Any, ...]) -> int:
    flags = 0
    error, retrieved, policy, refused, fallback, rating, citations = fields
    if error:
        flags |= Flag.ERROR.value
    if retrieved == ():
        flags |= Flag.EMPTY_RETRIEVAL.value
    if policy is not None and policy.lower() not in GOOD_POLICY_RESULTS:
        flags |= Flag.POLICY_BLOCKED.value
    if refused:
        flags |= Flag.REFUSED.value
    if fallback:
        flags |= Flag.FALLBACK.value
    if rating is not None:
        flags |= Flag.RATED.value
        if rating <= LOW_RATING:
            flags |= Flag.LOW_RATING.value
    if citations and not _citations_known(event):
        flags |= Flag.MISSING_CITATION.value
    return flags


def _citations_known(event: TraceEvent) -> bool:
    """Whether every citation names a passage that was retrieved; unknown ids prove nothing."""
    known = {c.id for c in event.contexts or () if isinstance(c, Context) and c.id is not None}
    known |= {doc for doc in event.retrieved_docs or () if isinstance(doc, str)}
    cited = {c for c in event.citations or () if isinstance(c, str)}
    return not known or cited <= known


def observe_feedback(event: FeedbackEvent, at: Coordinates, broker_time: int | None) -> Observed:
    """Feedback as a row; its identity is its own id, or what it says of which trace."""
    time, _ = event_time(event.timestamp, broker_time)
    app = event.app or DEFAULT
    number = event.number()
    identity = (
        derive("feedback", app, event.feedback_id)
        if event.feedback_id
        else derive("feedback", app, event.trace_id, event.kind, event.user_id, event.value)
    )
    row = FeedbackRow(
        time,
        event.trace_id,
        Kind.FEEDBACK.value,
        0,
        at.offset,
        at.index,
        identity,
        event.kind,
        number,
        event.negative(),
    )
    return Observed(app, None, row)


def observe_change(event: ChangeEvent, at: Coordinates, broker_time: int | None) -> Observed:
    """A change as a row; its identity is all that it says."""
    time, _ = event_time(event.timestamp, broker_time)
    app = event.app or DEFAULT
    if isinstance(event, Acceptance):
        return Observed(app, None, _acceptance(event, app, time, at))
    identity = derive(
        "change",
        app,
        event.environment,
        event.dimension,
        event.previous,
        event.current,
        event.timestamp or time,
    )
    row = ChangeRow(
        time,
        "",
        Kind.CHANGE.value,
        0,
        at.offset,
        at.index,
        identity,
        event.environment,
        event.dimension,
        event.previous,
        event.current,
        event.author,
    )
    return Observed(app, None, row)


def _acceptance(event: Acceptance, app: str, time: int, at: Coordinates) -> BaselineRow:
    named = (event.environment, event.route, event.signal and event.signal.value, event.rule)
    return BaselineRow(
        time,
        "",
        Kind.BASELINE.value,
        0,
        at.offset,
        at.index,
        # Not who has said it: two people who accept the same at one time accept it once.
        derive("acceptance", app, *named, event.timestamp or time),
        *named,
        event.author,
    )


def observe_score(result: ScoreResult, at: Coordinates) -> Observed:
    """A judge's answer as a row; it takes its trace's time and segment from the app's owner."""
    value, low = (result.value, result.low) if isinstance(result, Score) else (None, False)
    row = ScoreRow(
        0,
        result.trace_id,
        Kind.SCORE.value,
        0,
        at.offset,
        at.index,
        result.identity(),
        result.scorer,
        value,
        low,
        str(result.reason),
    )
    return Observed(result.app, None, row)
