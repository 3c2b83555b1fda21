"""The privacy policies: what a case holds under each, and what leaves for Slack under all."""

from __future__ import annotations

import pytest

from schemas.case import CaseReason, CaseRequest
from schemas.codec import encode
from schemas.identity import Coordinates
from streams.settings import Settings
from streams.steps.harvest import Harvested, harvest
from streams.steps.privacy import Privacy

TRACE = {
    "trace_id": "t-1",
    "app": "shop",
    "user_id": "u-7",
    "question": "I am ann@example.org, card 4111 1111 1111 1111. Where is my parcel?",
    "messages": [{"role": "user", "content": "parcel"}],
    "answer": "Dear Ann, it is late.",
    "contexts": [{"id": "p1", "text": "call +49 30 901820", "score": 0.5}, "a passage"],
    "tags": {"team": "parcel"},
    "tool_calls": [{"name": "parcel"}],
    "model": "m-1",
    "versions": {"index": "i-3"},
    "scores": {"faithfulness": 0.2},
    "parameters": {"temperature": 0.5, "stop": "parcel"},
    "latency_ms": 120,
    "refused": False,
}
SAID = {
    "trace_id": "t-1",
    "kind": "correction",
    "value": 1,
    "comment": "the parcel came",
    "corrected_answer": "parcel",
}


def harvested(policy: Privacy) -> Harvested:
    request = CaseRequest(
        case_id="c-1",
        event_id="e-1",
        app="shop",
        environment="default",
        route="chat",
        trace_id="t-1",
        time=0,
        reasons=(CaseReason.CORRECTION,),
        event_at=Coordinates("s", "feedback", 0, 1),
    )
    return harvest(request, TRACE, SAID, policy)


def test_full_keeps_the_event_and_redacts_what_leaves() -> None:
    case, preview = harvested(Privacy.FULL)
    assert (case.trace, case.feedback) == (TRACE, SAID)
    assert case.redactions == 0
    assert "[EMAIL_1], card [CARD_1]" in preview.excerpt
    assert "4111" not in preview.excerpt
    assert "ann@" not in preview.excerpt


def test_redacted_is_the_default() -> None:
    case, preview = harvested(Privacy.REDACTED)
    assert case.trace == TRACE | {"question": "I am [EMAIL_1], card [CARD_1]. Where is my parcel?"}
    assert case.redactions == 2
    assert "[CARD_1]" in preview.excerpt


def test_ids_only_keeps_no_text() -> None:
    case, preview = harvested(Privacy.IDS_ONLY)
    assert case.trace == {
        "trace_id": "t-1",
        "app": "shop",
        "user_id": "u-7",
        "contexts": [{"id": "p1", "score": 0.5}],
        "model": "m-1",
        "versions": {"index": "i-3"},
        "scores": {"faithfulness": 0.2},
        "parameters": {"temperature": 0.5},
        "latency_ms": 120,
        "refused": False,
    }
    assert case.feedback == {"trace_id": "t-1", "kind": "correction", "value": 1}
    assert case.expected_answer is None
    assert not case.replayable
    assert case.missing == ("text: the app's privacy policy keeps ids only",)
    for sent in (encode(case), encode(preview)):
        assert not any(text in sent for text in (b"parcel", b"Ann", b"ann@", b"4111", b"passage", b"901820"))
    assert case.content_hash != harvested(Privacy.REDACTED).case.content_hash


def test_a_policy_is_an_apps_else_that_of_all_others() -> None:
    settings = Settings(privacy={"shop": Privacy.FULL, "*": Privacy.IDS_ONLY})
    assert [settings.privacy_of(app) for app in ("shop", "desk")] == [Privacy.FULL, Privacy.IDS_ONLY]
    assert Settings().privacy_of("shop") is Privacy.REDACTED


def test_a_policy_that_is_none_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLEANER_PRIVACY", '{"shop": "ids-only"}')
    with pytest.raises(ValueError, match="'full', 'redacted' or 'ids_only'"):
        Settings()
    monkeypatch.setenv("GLEANER_PRIVACY", '{"shop": "ids_only"}')
    assert Settings().privacy_of("shop") is Privacy.IDS_ONLY
