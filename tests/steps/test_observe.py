"""What ingest makes of an event: its segment, its time, its checks, its request to the judge."""

from __future__ import annotations

from typing import Any

import pytest

from detectors.rules import Rule
from schemas.codec import Refused
from schemas.identity import Coordinates
from schemas.observation import (
    EVERY_ROUTE,
    STAR,
    ChangeRow,
    FeedbackRow,
    Flag,
    Profile,
    ScoreRow,
    TraceRow,
)
from schemas.score import Score, Unscored, UnscoredReason
from schemas.signal import Severity, SignalName
from streams.steps.ingest import IngestPolicy, observe
from streams.steps.observe import AHEAD_MS, Observed, ScoringPolicy, observe_score
from streams.steps.prices import Prices

AT = Coordinates("s", "traces", 1, 5, 2)
BROKER = 1_772_438_400_000
ANSWERED = {"question": "q", "answer": "a", "contexts": ["c"]}


def seen(
    event: str,
    fields: dict[str, Any] | None = None,
    scoring: ScoringPolicy | None = None,
    broker: int | None = BROKER,
) -> Observed:
    least = {"trace_id": "t"} if event != "change" else {"dimension": "d", "to": "v"}
    policy = IngestPolicy(scoring or ScoringPolicy())
    found = observe(event, least | (fields or {}), AT, broker, policy, Prices())  # type: ignore[arg-type]
    assert not isinstance(found, Refused), found
    return found


def trace(**fields: Any) -> TraceRow:
    row = seen("trace", {"timestamp": BROKER} | fields).row
    assert isinstance(row, TraceRow)
    return row


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, 0),
        ({"error": "timeout"}, Flag.ERROR),
        ({"error": {"code": 500}}, Flag.ERROR),
        ({"error": True}, Flag.ERROR),
        ({"error": False}, 0),
        ({"error": ""}, 0),
        ({"schema_valid": False}, Flag.SCHEMA_INVALID),
        ({"schema_valid": True}, 0),
        ({"answer": ""}, Flag.EMPTY_ANSWER),
        ({"answer": " \n"}, Flag.EMPTY_ANSWER),
        ({"answer": "", "tool_calls": [{"name": "f"}]}, 0),
        ({"contexts": []}, Flag.EMPTY_RETRIEVAL),
        ({"retrieved_docs": []}, Flag.EMPTY_RETRIEVAL),
        ({"policy_result": "Allowed"}, 0),
        ({"policy_result": "blocked"}, Flag.POLICY_BLOCKED),
        ({"refused": True}, Flag.REFUSED),
        ({"finish_reason": "length"}, Flag.TRUNCATED),
        ({"finish_reason": "stop"}, 0),
        ({"fallback": True}, Flag.FALLBACK),
        ({"success": False}, Flag.FAILED),
        ({"success": True}, Flag.SUCCEEDED),
        ({"user_rating": 2}, Flag.RATED | Flag.LOW_RATING),
        ({"user_rating": 2.5}, Flag.RATED),
        ({"citations": ["d2"], "retrieved_docs": ["d1"]}, Flag.MISSING_CITATION),
        ({"citations": ["d1"], "retrieved_docs": ["d1", "d2"]}, 0),
        ({"citations": ["d1"], "contexts": [{"id": "d1"}]}, 0),
        ({"citations": ["d9"], "contexts": [{"id": "d1", "text": "x"}]}, Flag.MISSING_CITATION),
        ({"citations": ["d9"]}, 0),
        ({"citations": [3], "retrieved_docs": ["d1"]}, 0),
        ({"scores": {"faithfulness": 0.74}}, Flag.LOW_SCORE),
        ({"scores": {"faithfulness": 0.75}}, 0),
        ({"scores": {"other": 0.1}}, 0),
        (
            {"model": "gpt-4o", "input_tokens": 1, "output_tokens": 1, "cache_read_tokens": 2},
            Flag.TOKEN_CONFLICT,
        ),
    ],
)
def test_the_checks(fields: dict[str, Any], flags: int) -> None:
    assert Flag(trace(**fields).flags) == Flag(flags)


def test_what_a_trace_states_of_its_times_and_tokens() -> None:
    row = trace(input_tokens=7, output_tokens=3, latency_ms=810.5, time_to_first_token_ms=120)
    assert (row.input_tokens, row.output_tokens) == (7, 3)
    assert (row.latency_ms, row.time_to_first_token_ms) == (810.5, 120)
    assert trace().time_to_first_token_ms is None


@pytest.mark.parametrize("own", [-0.1, 1.1, 85])
def test_a_score_on_another_scale_is_no_faithfulness(own: float) -> None:
    row = trace(scores={"faithfulness": own})
    assert row.faithfulness is None
    assert not row.flags & Flag.LOW_SCORE


@pytest.mark.parametrize(
    ("timestamp", "broker", "time", "flags"),
    [
        (BROKER - 1, BROKER, BROKER - 1, 0),
        (BROKER + AHEAD_MS, BROKER, BROKER + AHEAD_MS, 0),
        (BROKER + AHEAD_MS + 1, BROKER, BROKER + AHEAD_MS, Flag.TIME_CLAMPED),
        (None, BROKER, BROKER, Flag.TIME_MISSING),
        (BROKER * 2, None, BROKER * 2, 0),
        (None, None, 0, Flag.TIME_MISSING),
        ("2026-03-02T09:00:00+01:00", None, BROKER, 0),
    ],
)
def test_the_time_of_an_event(timestamp: Any, broker: int | None, time: int, flags: int) -> None:
    row = seen("trace", {"timestamp": timestamp}, broker=broker).row
    assert isinstance(row, TraceRow)
    assert (row.time, Flag(row.flags)) == (time, Flag(flags))


def test_the_segment_and_the_dimensions() -> None:
    bare = seen("trace")
    assert (bare.app, bare.profile) == ("default", Profile())
    segment = {"app": "shop", "environment": "prod", "route": "chat"}
    named = seen("trace", segment | {"model": "m", "versions": {"b": "2", "a": "1"}})
    assert named.app == "shop"
    assert named.profile == Profile("prod", "chat", model="m", versions=(("a", "1"), ("b", "2")))
    row = named.row
    assert isinstance(row, TraceRow)
    assert (row.offset, row.element) == (5, 2)


def test_no_trace_has_the_route_that_stands_for_several() -> None:
    """Web frameworks call what catches all the rest ``*``: it would be one with the small routes' pool."""
    route = seen("trace", {"route": "*"}).profile.route  # type: ignore[union-attr]
    assert route == STAR != EVERY_ROUTE
    rule = Rule("r", SignalName.ERROR, Severity.P3, route=STAR)
    assert rule.covers("app", "production", route)
    assert not rule.covers("app", "production", "chat")
    assert seen("trace", {"route": "/files/*"}).profile.route == "/files/*"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "scoring", "asked"),
    [
        (ANSWERED, ScoringPolicy(), True),
        (ANSWERED, ScoringPolicy(rate=0.0), False),
        (ANSWERED | {"scores": {"faithfulness": 0.9}}, ScoringPolicy(), False),
        (ANSWERED | {"scores": {"faithfulness": 0.9}}, ScoringPolicy(rescore=True), True),
        (ANSWERED | {"scores": {"other": 0.9}}, ScoringPolicy(), True),
        (ANSWERED | {"answer": " "}, ScoringPolicy(), False),
        (ANSWERED | {"contexts": []}, ScoringPolicy(), False),
        (ANSWERED | {"contexts": [{"id": "1"}]}, ScoringPolicy(), False),
        (ANSWERED | {"question": ""}, ScoringPolicy(), False),
    ],
)
def test_who_is_sent_to_the_judge(fields: dict[str, Any], scoring: ScoringPolicy, asked: bool) -> None:
    found = seen("trace", {"timestamp": BROKER} | fields, scoring)
    row = found.row
    assert isinstance(row, TraceRow)
    assert bool(row.flags & Flag.SCORE_REQUESTED) == asked
    assert (found.request is not None) == asked
    if found.request is not None:
        assert row.faithfulness is None, "one trace, two scores"
        assert (found.request.trace_id, found.request.app, found.request.at) == ("t", "default", AT)
        assert found.request.contexts == ("c",)


def test_a_sample_is_of_the_trace_and_not_of_chance() -> None:
    def asked(rate: float) -> set[int]:
        events = ((n, ANSWERED | {"trace_id": f"t{n}"}) for n in range(1_000))
        return {n for n, event in events if seen("trace", event, ScoringPolicy(rate)).request}

    assert 400 < len(asked(0.5)) < 600
    assert asked(0.5) == asked(0.5)
    assert asked(0.2) < asked(0.5)


def test_the_identity_of_feedback() -> None:
    def identity(**fields: Any) -> str:
        row = seen("feedback", {"kind": "thumbs", "value": "up"} | fields).row
        assert isinstance(row, FeedbackRow)
        return row.feedback_id

    assert identity() == identity(timestamp=5, comment="again")
    names = ("value", "user_id", "app", "trace_id", "feedback_id")
    others = [identity(**{name: "down"}) for name in names]
    assert len({identity(), *others}) == 6
    assert identity(feedback_id="f") == identity(feedback_id="f", value="down", trace_id="u")


def test_the_identity_of_a_change_is_all_it_says() -> None:
    def identity(**fields: Any) -> str:
        row = seen("change", fields).row
        assert isinstance(row, ChangeRow)
        return row.change_id

    names = ("to", "from", "environment", "timestamp", "dimension", "app")
    others = [identity(**{name: 5 if name == "timestamp" else "w"}) for name in names]
    assert len({identity(), *others}) == 7
    assert identity(timestamp=5) == identity(timestamp=5, author="ann")


def test_a_judges_answer() -> None:
    fields: dict[str, Any] = {"trace_id": "t", "app": "a", "scorer": "j", "scorer_version": "1"}
    good = observe_score(Score(**fields, value=0.1, low=True), AT)
    bad = observe_score(Unscored(**fields, reason=UnscoredReason.TIMEOUT), AT)
    assert isinstance(good.row, ScoreRow)
    assert isinstance(bad.row, ScoreRow)
    assert (good.app, good.row.scorer, good.row.value, good.row.low) == ("a", "j", 0.1, True)
    assert (bad.row.value, bad.row.low, bad.row.reason) == (None, False, "timeout")
    assert good.row.score_id == bad.row.score_id, (
        "a second answer of the same scorer is a duplicate of the first"
    )


def test_the_time_to_the_first_token_is_kept() -> None:
    assert trace(latency_ms=900, time_to_first_token_ms=250).time_to_first_token_ms == 250
    assert trace(latency_ms=900).time_to_first_token_ms is None
