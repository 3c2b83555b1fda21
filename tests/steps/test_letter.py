"""A refused event in the store holds what its application's policy allows, and no more."""

from __future__ import annotations

import json

import pytest

from schemas.dead_letter import DeadLetter
from sinks.evalstore import Letter
from streams.put_back import _whole
from streams.steps.letter import kept_letter
from streams.steps.privacy import Privacy
from tests.steps.test_put_back import refuse

EVENT = {
    "trace_id": "t-1",
    "app": "hr",
    "user_id": "u-7",
    "question": "I am ann@example.org",
    "answer": "hello",
    "input_tokens": -1,
}


def under(letter: DeadLetter, **policies: Privacy) -> DeadLetter:
    found = kept_letter(letter, lambda app: policies.get(app, policies.get("others", Privacy.REDACTED)))
    same = {"original", "message"}
    assert found.model_dump(exclude=same) == letter.model_dump(exclude=same)
    return found


@pytest.mark.parametrize(
    ("policy", "holds"),
    [
        (Privacy.FULL, EVENT),
        (Privacy.REDACTED, EVENT | {"question": "I am [EMAIL_1]"}),
        (Privacy.IDS_ONLY, {"trace_id": "t-1", "app": "hr", "user_id": "u-7", "input_tokens": -1}),
    ],
)
def test_an_event_is_kept_by_its_applications_policy(policy: Privacy, holds: dict[str, object]) -> None:
    letter = refuse(json.dumps(EVENT).encode())
    found = under(letter, hr=policy)
    assert json.loads(found.original) == holds
    assert found.field == "input_tokens"


@pytest.mark.parametrize("policy", [Privacy.IDS_ONLY, Privacy.REDACTED])
def test_the_message_quotes_no_text_that_the_event_may_not_keep(policy: Privacy) -> None:
    wrong = {
        "trace_id": "t",
        "app": "hr",
        "messages": "Ann was ill: ann.smith.of.payroll@bigcompany.example.com",
    }
    letter = refuse(json.dumps(wrong).encode())
    assert "Ann was ill" in letter.message
    found = under(letter, hr=policy)
    assert (found.field, found.message) == ("messages", "messages: input should be a JSON array")


def test_what_has_nothing_to_hide_is_kept_to_the_byte() -> None:
    letter = refuse(b'{ "trace_id": "t",  "input_tokens": -1 }')
    assert under(letter) == letter


def test_without_an_application_it_is_the_default_one() -> None:
    letter = refuse(b'{"trace_id": "t", "answer": "x", "input_tokens": -1}')
    assert json.loads(under(letter, default=Privacy.IDS_ONLY).original) == {
        "trace_id": "t",
        "input_tokens": -1,
    }


@pytest.mark.parametrize("data", [b'{"app": "hr", "question": "ann@example.org', b'"ann@example.org"'])
def test_what_is_no_event_goes_by_the_policy_of_all(data: bytes) -> None:
    letter = refuse(data)
    assert "ann@" in under(letter, others=Privacy.FULL).original
    redacted = under(letter, hr=Privacy.FULL).original
    assert "[EMAIL_1]" in redacted
    assert "ann@" not in redacted
    assert under(letter, hr=Privacy.FULL, others=Privacy.IDS_ONLY).original == ""


def test_of_a_large_event_the_beginning_is_redacted() -> None:
    event = {"trace_id": "t", "question": "ann@example.org", "answer": "y" * 70_000, "input_tokens": -1}
    found = under(refuse(json.dumps(event).encode()), default=Privacy.FULL)
    assert "ann@" not in found.original
    assert found.size > 70_000


def test_an_array_is_as_its_strictest_event() -> None:
    both = json.dumps([EVENT, EVENT | {"app": "open"}])
    letter = refuse(json.dumps(EVENT).encode()).model_copy(update={"original": both})
    found = under(letter, hr=Privacy.IDS_ONLY, open=Privacy.FULL)
    assert [sorted(event) for event in json.loads(found.original)] == [
        ["app", "input_tokens", "trace_id", "user_id"]
    ] * 2


@pytest.mark.parametrize(("policy", "whole"), [(Privacy.FULL, True), (Privacy.REDACTED, False)])
def test_what_is_withheld_is_fetched_from_its_topic(policy: Privacy, whole: bool) -> None:
    kept = under(refuse(json.dumps(EVENT).encode()), hr=policy)
    at = kept.at
    where = (at.stream, at.topic, at.partition, at.offset, at.index, kept.broker_time)
    said = (kept.size, kept.sha256, kept.original, kept.original_encoding)
    assert _whole(Letter(kept.id, False, kept.reason, kept.message, kept.field, *where, *said)) == whole
