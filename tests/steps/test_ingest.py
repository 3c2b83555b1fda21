"""Ingest's step over a flush: records in; observations, requests and dead letters out; nothing stops it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.dead_letter import KEPT_BYTES, Refusal
from schemas.feedback import FeedbackEvent
from schemas.observation import ObservationBatch, Source
from schemas.score import SCORE_RESULT, Unscored, UnscoredReason
from schemas.topics import MAX_EVENT_BYTES, OWN_MESSAGE_BYTES
from schemas.trace import TraceEvent
from streams.steps.ingest import Flushed, IngestPolicy, Record, ingest, partition_of
from streams.steps.pack import decode
from streams.steps.prices import Prices

NOW = 1_772_438_400_000


def record(data: bytes | None, topic: str = "traces", partition: int = 0, offset: int = 0) -> Record:
    return Record("s", topic, partition, offset, NOW, data)


def flushed(*records: Record) -> Flushed:
    return ingest(records, IngestPolicy(), Prices())


def trace(**fields: Any) -> dict[str, Any]:
    return {"trace_id": "t", "timestamp": NOW} | fields


def test_every_element_is_accepted_or_refused() -> None:
    good = json.dumps([trace(), trace(trace_id="u"), 7, {"app": "a"}]).encode()
    done = flushed(record(good), record(b"", offset=1), record(b'{"kind": "score"}', "scores"))
    assert done.accepted == 2
    assert [(x.at.topic, x.at.offset, x.at.index, x.reason) for x in done.dead_letters] == [
        ("traces", 0, 2, Refusal.NOT_AN_EVENT),
        ("traces", 0, 3, Refusal.INVALID),
        ("traces", 1, 0, Refusal.EMPTY),
        ("scores", 0, 0, Refusal.INVALID),
    ]
    assert len({letter.id for letter in done.dead_letters}) == 4


def test_the_newest_time_is_that_of_what_was_accepted() -> None:
    done = flushed(
        record(json.dumps([trace(timestamp=NOW - 5), trace(timestamp=NOW - 9)]).encode()),
        record(b"rubbish", partition=1),
        record(json.dumps({"trace_id": "t", "kind": "rating", "value": 1}).encode(), "feedback"),
    )
    assert done.newest == {Source("s", "traces", 0): NOW - 5, Source("s", "feedback", 0): NOW}


def test_one_message_for_each_app_in_the_order_of_its_source() -> None:
    records = [
        record(json.dumps(trace(app=f"a{n % 3}", trace_id=f"t{n}")).encode(), offset=n) for n in range(9)
    ]
    done = flushed(*records)
    assert [app for app, _ in done.observations] == ["a0", "a1", "a2"]
    for _, message in done.observations:
        batch = decode(message)
        assert isinstance(batch, ObservationBatch)
        offsets = [row.offset for row in batch.rows]
        assert offsets == sorted(offsets)


def test_a_dead_letter_keeps_the_original_of_its_element() -> None:
    whole = b'{"trace_id":  "t", "latency_ms": NaN}'
    array = b"[" + whole + b', {"trace_id": "t", "retries": "3"}]'
    done = flushed(record(whole), record(array, offset=1), record(b"\xff\x00", offset=2))
    alone, first, second, bytes_ = done.dead_letters
    assert (alone.original.encode(), alone.size) == (whole, len(whole))
    assert alone.sha256 == hashlib.sha256(whole).hexdigest()
    assert json.loads(second.original) == {"trace_id": "t", "retries": "3"}
    assert "NaN" in first.original
    assert bytes_.original == "\\xff\x00"
    assert bytes_.original_encoding != "utf-8"
    assert [letter.at.index for letter in done.dead_letters] == [0, 0, 1, 0]


def test_a_dead_letter_keeps_no_more_than_it_says() -> None:
    large = b'{"trace_id": "' + "é".encode() * 600_000 + b'"}'
    (letter,) = flushed(record(large)).dead_letters
    assert letter.reason is Refusal.TOO_LARGE
    assert letter.size == len(large)
    assert letter.sha256 == hashlib.sha256(large).hexdigest()
    assert KEPT_BYTES - 4 < len(letter.original.encode()) <= KEPT_BYTES
    assert large.decode().startswith(letter.original)


NEARLY = MAX_EVENT_BYTES - 200


@pytest.mark.parametrize(
    "data",
    [
        # names as large as an event, quoted in reason and field
        b'{"trace_id": "t", "' + b"k" * NEARLY + b'": NaN}',
        b'{"trace_id": "t", "scores": {"' + b"k" * NEARLY + b'": "x"}}',
        b'{"trace_id": "t", "versions": {"' + b"k" * NEARLY + b'": 1}}',
        b'{"trace_id": "t", "' + b"k" * NEARLY + b'": ' + b"[" * 80 + b"]" * 80 + b"}",
        # half a surrogate pair in a name, which no UTF-8 can hold
        b'{"\\ud800": 1}',
        b'[{"trace_id": "t", "scores": {"\\ud800": "x"}}]',
        # bytes of which each takes four characters
        b"\xff" * NEARLY,
        b"\x00" * NEARLY,
    ],
)
def test_a_dead_letter_always_fits_a_message(data: bytes) -> None:
    (letter,) = flushed(record(data)).dead_letters
    assert len(encode(letter)) <= OWN_MESSAGE_BYTES
    assert len(letter.message) <= 600


@pytest.mark.parametrize(
    "fields",
    [
        {"answer": "\x01" * (NEARLY // 6), "question": "q", "contexts": ["c"]},
        {"answer": "é" * (NEARLY // 2), "question": "q", "contexts": [{"text": "c", "x": 1}]},
        {"versions": {f"{n}": "v" * 250 for n in range(4_000)}},
        {"trace_id": "\x01" * 256, "user_id": "\x02" * 256, "app": "\x03" * 256},
    ],
)
def test_whatever_is_accepted_fits_its_messages(fields: dict[str, Any]) -> None:
    data = json.dumps(trace(**fields), ensure_ascii=False).encode()
    assert len(data) <= MAX_EVENT_BYTES
    done = flushed(record(data), record(data, offset=1), record(data, offset=2))
    assert done.accepted == 3
    messages = [*(message for _, message in done.observations), *(message for _, message in done.requests)]
    assert max(map(len, messages)) <= OWN_MESSAGE_BYTES


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.sampled_from(["traces", "feedback", "changes", "scores"]))
def test_no_bytes_stop_a_flush(data: bytes, topic: str) -> None:
    done = flushed(record(data, topic))
    assert done.accepted + len(done.dead_letters) >= 1
    for letter in done.dead_letters:
        encode(letter)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from([*TraceEvent.model_fields, *FeedbackEvent.model_fields, "dimension", "to", "v"])


@settings(max_examples=500, deadline=None)
@given(
    st.lists(st.dictionaries(NAMES, JSON, max_size=8) | JSON, max_size=3),
    st.sampled_from(["traces", "feedback", "changes", "scores"]),
)
def test_no_json_stops_a_flush(value: list[Any], topic: str) -> None:
    done = flushed(record(json.dumps(value).encode(), topic))
    if topic != "scores":
        assert done.accepted + len(done.dead_letters) == max(1, len(value))
    for letter in done.dead_letters:
        encode(letter)
    for _, message in done.observations:
        decode(message)


def test_the_partition_of_an_app_is_stable() -> None:
    """A change here sends apps to owners that have never heard of them."""
    found = {app: partition_of(app, 12) for app in ("default", "shop", "help", "Größe")}
    assert found == {"default": 7, "shop": 6, "help": 8, "Größe": 9}


def rows(done: Flushed) -> list[str]:
    batches = [decode(message) for _, message in done.observations]
    return [row.trace_id for batch in batches if isinstance(batch, ObservationBatch) for row in batch.rows]


def test_a_request_that_fits_no_message_is_unscored_and_its_trace_counts() -> None:
    asked = {"question": "q", "answer": "a", "contexts": ["c"]}
    data = json.dumps(
        [trace(trace_id=name, **asked | {"answer": text}) for name, text in (("s", "a"), ("l", "a" * 3_000))]
    ).encode()
    done = ingest([record(data)], IngestPolicy(max_request_bytes=2_000), Prices())
    assert (done.accepted, done.dead_letters, rows(done)) == (2, [], ["s", "l"])
    assert [key for key, _ in done.requests] == ["s"]
    ((key, message),) = done.unscored
    result = SCORE_RESULT.validate_json(message)
    assert isinstance(result, Unscored)
    assert (key, result.trace_id, result.app, result.reason) == (
        "l",
        "l",
        "default",
        UnscoredReason.TOO_LARGE,
    )
    assert "score-requests takes 2000" in result.detail
    (back,) = ingest([record(message, "scores")], IngestPolicy(), Prices()).observations
    batch = decode(back[1])
    assert isinstance(batch, ObservationBatch)
    assert (batch.rows[0].trace_id, batch.rows[0][8]) == ("l", None)


@pytest.mark.parametrize("alone", [True, False])
def test_an_observation_that_fits_no_message_is_refused_alone(alone: bool) -> None:
    asked = {"question": "q", "answer": "a", "contexts": ["c"]}
    large = trace(trace_id="l", versions={f"{n}": "v" * 200 for n in range(20)}, **asked)
    events = [trace(trace_id="s", **asked), large, trace(trace_id="t", **asked)]
    data = [record(json.dumps(event).encode(), offset=n) for n, event in enumerate(events)]
    if not alone:
        data = [record(json.dumps(events).encode())]
    done = ingest(data, IngestPolicy(max_message_bytes=3_000), Prices())
    assert rows(done) == ["s", "t"]
    assert done.accepted == 2
    assert [key for key, _ in done.requests] == ["s", "t"], "nobody waits for the score of what was refused"
    (letter,) = done.dead_letters
    assert (letter.reason, letter.at.offset, letter.at.index) == (
        Refusal.TOO_LARGE,
        *((1, 0) if alone else (0, 1)),
    )
    assert json.loads(letter.original) == large
    assert "observations takes 3000" in letter.message
    assert all(len(message) <= 3_000 for _, message in done.observations)
