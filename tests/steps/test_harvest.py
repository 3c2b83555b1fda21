"""A claim check becomes a case: whole, redacted, replayable or saying why not, and it fits a message."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from schemas.case import CaseReason, CaseRequest
from schemas.codec import encode
from schemas.identity import Coordinates, case_id
from schemas.topics import MAX_EVENT_BYTES, OWN_MESSAGE_BYTES
from streams.steps.harvest import EXCERPT, element_at, elements_of, harvest
from streams.steps.privacy import Privacy

AT = Coordinates("s", "traces", 0, 5)
SAID_AT = Coordinates("s", "feedback", 0, 7)
TRACE: dict[str, Any] = {
    "trace_id": "t",
    "app": "shop",
    "user_id": "ann@example.org",
    "model": "gpt-4o",
    "question": "I am ann@example.org, where is order 4111111111111112?",
    "answer": "Ask bob@example.org.",
    "contexts": ["Orders: support@example.org", {"id": "2", "text": "IP 10.0.0.1"}],
    "metadata": {"peer": "10.0.0.1", "n": [1, 2.5, None]},
}


def request(event_at: Coordinates | None = None, **more: Any) -> CaseRequest:
    case = case_id("shop", "t")
    reasons = (CaseReason.ERROR,)
    fields: dict[str, Any] = {
        "case_id": case,
        "event_id": CaseRequest.event_id_of(case, reasons, event_at),
        "app": "shop",
        "environment": "prod",
        "route": "chat",
        "trace_id": "t",
        "time": 1,
        "reasons": reasons,
        "trace_at": AT,
        "event_at": event_at,
    }
    return CaseRequest(**(fields | more))


def test_what_people_wrote_is_redacted_and_passages_and_ids_stay() -> None:
    case = harvest(request(), TRACE, None).case
    assert case.trace is not None
    assert case.trace["question"] == "I am [EMAIL_1], where is order 4111111111111112?"
    assert case.trace["answer"] == "Ask [EMAIL_2]."
    assert case.trace["metadata"] == {"peer": "[IP_1]", "n": [1, 2.5, None]}
    assert orjson.dumps(case.trace["contexts"]) == orjson.dumps(TRACE["contexts"])
    assert case.trace["user_id"] == "ann@example.org"
    assert case.redactions == 3
    assert case.replayable
    assert TRACE["answer"] == "Ask bob@example.org.", "the event itself was changed"


def test_a_correction_is_the_expected_answer() -> None:
    said = {
        "trace_id": "t",
        "kind": "correction",
        "corrected_answer": "Call +49 30 901820.",
        "comment": "no!",
    }
    case, preview = harvest(request(SAID_AT), TRACE, said)
    assert case.expected_answer == "Call [PHONE_1]."
    assert case.feedback is not None
    assert case.feedback["corrected_answer"] == "Call [PHONE_1]."
    assert case.score is None
    assert preview.excerpt.endswith("said: no!")


def test_a_score_is_kept_as_the_score() -> None:
    judged = {"kind": "score", "trace_id": "t", "value": 0.1, "reason": "ann@example.org is made up"}
    case = harvest(request(Coordinates("s", "scores", 0, 9), score=0.1, scorer="judge"), TRACE, judged).case
    assert case.score == judged | {"reason": "[EMAIL_1] is made up"}
    assert case.feedback is None
    own = harvest(request(score=0.5, scorer="app"), TRACE, None).case
    assert own.score == {"scorer": "app", "value": 0.5}


@pytest.mark.parametrize(
    ("trace", "missing"),
    [
        (TRACE, ()),
        (None, ("trace",)),
        (TRACE | {"trace_id": "another's"}, ("trace",)),
        ({}, ("question", "model")),
        ({"messages": [{"content": "hi"}], "model": "m"}, ()),
        ({"question": "q", "model": "m", "retrieved_docs": ["d1"]}, ("contexts",)),
        ({"question": "q", "model": "m", "contexts": [{"id": "1"}]}, ("contexts",)),
        ({"question": "q", "model": "m", "contexts": []}, ()),
    ],
)
def test_what_a_replay_would_lack(trace: dict[str, Any] | None, missing: tuple[str, ...]) -> None:
    trace = trace if trace is None else {"trace_id": "t"} | trace
    case = harvest(request(), trace, None).case
    assert tuple(reason.split(":")[0] for reason in case.missing) == missing
    assert case.replayable == (not missing)


def test_equal_content_has_an_equal_hash_and_a_lost_trace_only_its_own() -> None:
    def hash_of(trace: dict[str, Any] | None, **more: Any) -> str:
        return harvest(request(**more), trace, None).case.content_hash

    assert hash_of(TRACE) == hash_of(TRACE | {"latency_ms": 5}, case_id="other")
    assert hash_of(TRACE) != hash_of(TRACE | {"answer": "another"})
    assert hash_of(None) != hash_of(None, case_id="other")
    assert hash_of({"trace_id": "t"}) == hash_of(None)


def test_a_preview_is_short_redacted_as_a_whole_and_holds_no_passage() -> None:
    long = "please " * 500 + "x@example.org"
    preview = harvest(request(), TRACE | {"question": long, "answer": "a\n\tb@example.org"}, None).preview
    assert len(preview.excerpt) <= EXCERPT
    assert "@" not in preview.excerpt
    assert "Orders" not in preview.excerpt
    assert "\n" not in preview.excerpt
    assert harvest(request(), None, None).preview.excerpt


JUDGED_AT = Coordinates("s", "scores", 0, 9)


def judged(*claims: tuple[str, bool], reason: str = "1 of 3 statements are supported") -> dict[str, Any]:
    told = [{"statement": statement, "supported": supported} for statement, supported in claims]
    return {"kind": "score", "trace_id": "t", "value": 0.3, "reason": reason, "claims": told}


def test_a_preview_names_the_first_claim_that_nothing_supports() -> None:
    trace = TRACE | {"question": "How long?", "answer": "A week, says bob@example.org. It is free."}
    event = judged(("It takes a week.", True), ("Bob is bob@example.org.", False), ("It is free.", False))
    preview = harvest(request(JUDGED_AT, score=0.3, scorer="judge"), trace, event).preview
    assert preview.excerpt == (
        "asked: How long? · unsupported: Bob is [EMAIL_1]. · answered: A week, says [EMAIL_1]. It is free."
    )
    fine = harvest(request(JUDGED_AT), trace, judged(("It is free.", True))).preview
    assert fine.excerpt.endswith("It is free. · scorer: 1 of 3 statements are supported")
    # Feedback has no claims, whatever somebody put there; and a policy of ids only keeps no statement.
    assert "unsupported" not in harvest(request(SAID_AT), trace, event).preview.excerpt
    bare = harvest(request(JUDGED_AT), trace, event, Privacy.IDS_ONLY).preview
    assert bare.excerpt == "the app's privacy policy keeps ids only"


def test_an_answer_that_begins_with_the_claim_goes_on_from_there() -> None:
    trace = TRACE | {"question": "How long?", "answer": "It  takes a week. It is free."}
    excerpt = harvest(request(JUDGED_AT), trace, judged(("It takes a\nweek.", False))).preview.excerpt
    assert excerpt == "asked: How long? · unsupported: It takes a week. · answered: … It is free."
    whole = trace | {"answer": "It takes a week."}
    excerpt = harvest(request(JUDGED_AT), whole, judged(("It takes a week.", False))).preview.excerpt
    assert excerpt == "asked: How long? · unsupported: It takes a week."


@pytest.mark.parametrize("claims", [None, "x", [None, "x", {"supported": False}, {"statement": 3}]])
def test_claims_that_are_none_are_none(claims: object) -> None:
    event = judged() | {"claims": claims}
    excerpt = harvest(request(JUDGED_AT), TRACE, event).preview.excerpt
    assert excerpt.endswith("scorer: 1 of 3 statements are supported")


def test_the_claim_stays_whole_where_question_and_answer_are_long() -> None:
    claim = "Refunds take ninety days and are paid in vouchers of the shop that took the money."
    long = TRACE | {"question": "why " * 300, "answer": "because " * 300}
    excerpt = harvest(request(JUDGED_AT), long, judged((claim, False))).preview.excerpt
    assert f"unsupported: {claim} · answered: because because" in excerpt
    assert EXCERPT - 12 < len(excerpt) <= EXCERPT
    said = harvest(request(SAID_AT), long, {"comment": "it was wrong"}).preview.excerpt
    assert said.endswith(" · said: it was wrong"), "what a user said is not cut off by a long answer"


@pytest.mark.parametrize(
    ("trace", "said", "lost"),
    [
        # the largest trace with the largest correction, which is both feedback and expected answer
        ({"answer": "x" * MAX_EVENT_BYTES}, {"corrected_answer": "y" * (MAX_EVENT_BYTES - 9_000)}, set()),
        ({"answer": "x" * MAX_EVENT_BYTES}, {"comment": "y" * MAX_EVENT_BYTES}, {"feedback"}),
        # what JSON has to escape
        ({"answer": "\x01" * (MAX_EVENT_BYTES // 2)}, None, {"trace"}),
    ],
)
def test_a_case_fits_a_message_whatever_it_holds(
    trace: dict[str, Any], said: dict[str, Any] | None, lost: set[str]
) -> None:
    """One that fitted nowhere would stop its flush, and with it the worker, for ever."""
    case = harvest(request(None if said is None else SAID_AT), TRACE | trace, said).case
    assert len(encode(case)) <= OWN_MESSAGE_BYTES
    assert {reason.split(":")[0] for reason in case.missing} == lost
    assert (case.trace is None) == ("trace" in lost)
    assert case.replayable == ("trace" not in lost)
    if said and "corrected_answer" in said:
        assert case.expected_answer == said["corrected_answer"]


@pytest.mark.parametrize(
    ("value", "index", "found"),
    [
        (b'{"a": 1}', 0, {"a": 1}),
        (b'[{"a": 1}, {"b": 2}]', 1, {"b": 2}),
        (b'[{"a": NaN}, {"b": 2}]', 1, {"b": 2}),
        (b'[{"a": NaN}, {"b": 2}]', 0, None),
        (b'{"a": 1}', 1, None),
        (b"[]", 0, None),
        (b"rubbish", 0, None),
        (None, 0, None),
    ],
)
def test_the_element_at_its_coordinates(
    value: bytes | None, index: int, found: dict[str, Any] | None
) -> None:
    assert element_at(elements_of(value), index) == found
