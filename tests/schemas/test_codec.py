"""The codec: what is an event, what is none and why, and that the quick way says what the long way says."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.base import MAX_ID_LENGTH
from schemas.codec import MAX_DEPTH, Element, Event, Refused, classify, read_traces, split, validate
from schemas.dead_letter import Refusal
from schemas.topics import MAX_EVENT_BYTES
from schemas.trace import Context, TraceEvent

R = Refusal


def refusal(data: bytes | None) -> tuple[Refusal, str | None]:
    """Reason and field of a message that is refused as a whole."""
    (found,) = split(data)
    assert isinstance(found, Refused), found
    return found.reason, found.field


@pytest.mark.parametrize(
    ("data", "reason", "field"),
    [
        (None, R.EMPTY, None),
        (b"", R.EMPTY, None),
        (b" \n\t", R.EMPTY, None),
        (b"[]", R.EMPTY, None),
        (b"nope", R.BAD_JSON, None),
        (b"{", R.BAD_JSON, None),
        (b'{"trace_id": "t",}', R.BAD_JSON, None),
        (b'{"trace_id": "t"} {"trace_id": "u"}', R.BAD_JSON, None),
        (b"{'trace_id': 't'}", R.BAD_JSON, None),
        (b'{"trace_id": "t"}\x00', R.BAD_JSON, None),
        (b"1" * 5_000, R.NOT_AN_EVENT, None),
        (b"42", R.NOT_AN_EVENT, None),
        (b'"text"', R.NOT_AN_EVENT, None),
        (b"null", R.NOT_AN_EVENT, None),
        (b"true", R.NOT_AN_EVENT, None),
        (b"\xef\xbb\xbf{}", R.BAD_ENCODING, None),
        ('{"a": "é"}'.encode("latin-1"), R.BAD_ENCODING, None),
        ('{"a": "é"}'.encode("utf-16"), R.BAD_ENCODING, None),
        (b'{"a": "\\ud800"}', R.BAD_ENCODING, "a"),
        (b'{"a": {"b": ["\\udfff"]}}', R.BAD_ENCODING, "a"),
        (b'{"a": NaN}', R.INVALID, "a"),
        (b'{"a": [{"b": -Infinity}]}', R.INVALID, "a"),
        (b'{"a": 1e999}', R.INVALID, "a"),
        (b"[" * 2_000, R.TOO_DEEP, None),
        (b'{"a":' * 2_000, R.TOO_DEEP, None),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", R.TOO_DEEP, "a"),
        (b'{"pad": "' + b"x" * MAX_EVENT_BYTES + b'"}', R.TOO_LARGE, None),
    ],
)
def test_a_message_that_is_no_event(data: bytes | None, reason: Refusal, field: str | None) -> None:
    assert refusal(data) == (reason, field)


def test_each_element_of_an_array_is_judged_by_itself() -> None:
    deep = "[" * 100 + "]" * 100
    data = f'[{{"a": 1}}, 7, {{"b": NaN}}, {{"c": {deep}}}, {{"d": "\\ud800"}}, [], {{"e": 2}}]'
    found = split(data.encode())
    assert [x.reason if isinstance(x, Refused) else x.value for x in found] == [
        {"a": 1},
        R.NOT_AN_EVENT,
        R.INVALID,
        R.TOO_DEEP,
        R.BAD_ENCODING,
        R.NOT_AN_EVENT,
        {"e": 2},
    ]


def test_the_limit_of_an_event_is_that_of_an_element() -> None:
    large = b'{"pad": "' + b"x" * 2_000 + b'"}'
    found = split(b"[" + large + b', {"a": 1}, ' + large + b"]", max_event_bytes=1_500)
    assert [type(x) for x in found] == [Refused, Element, Refused]
    assert (
        split(b"[" + b", ".join([b'{"a": 1}'] * 500) + b"]", max_event_bytes=1_500)
        == [Element({"a": 1})] * 500
    )


def test_the_depth_limit_is_exact() -> None:
    for levels, taken in ((MAX_DEPTH, True), (MAX_DEPTH + 1, False)):
        inner = "[" * (levels - 1) + "]" * (levels - 1)
        (found,) = split(f'{{"a": {inner}}}'.encode())
        assert isinstance(found, Element) == taken


def test_huge_numbers_in_an_element_beside_a_nan() -> None:
    """What only the standard library could read must still be what orjson can write."""
    data = b'[{"a": NaN}, {"b": ' + b"9" * 40 + b', "c": 18446744073709551615}, {"d": ' + b"1" * 400 + b"}]"
    bad, good, infinite = split(data)
    assert isinstance(bad, Refused)
    assert isinstance(good, Element)
    assert isinstance(infinite, Refused)
    assert orjson.loads(orjson.dumps(good.value)) == {"b": 1e40, "c": 18446744073709551615}
    padded = data[:-1] + b', {"pad": "' + b"x" * MAX_EVENT_BYTES + b'"}]'
    assert [isinstance(x, Refused) for x in split(padded)] == [True, False, True, True]


# -- fields --------------------------------------------------------------------------------------------


def wrong(event: str, fields: dict[str, Any]) -> Refused:
    named = {"trace_id": "t"} | fields if event != "change" else {"dimension": "d", "to": "v"} | fields
    found = validate(event, {k: v for k, v in named.items() if v != "absent"})  # type: ignore[arg-type]
    assert isinstance(found, Refused), found
    return found


@pytest.mark.parametrize(
    ("event", "fields", "field"),
    [
        ("trace", {"trace_id": "absent"}, "trace_id"),
        ("trace", {"trace_id": ""}, "trace_id"),
        ("trace", {"trace_id": 3}, "trace_id"),
        ("trace", {"trace_id": "x" * (MAX_ID_LENGTH + 1)}, "trace_id"),
        ("trace", {"app": ""}, "app"),
        ("trace", {"answer": 7}, "answer"),
        ("trace", {"answer": ["a"]}, "answer"),
        ("trace", {"input_tokens": -1}, "input_tokens"),
        ("trace", {"input_tokens": 1.5}, "input_tokens"),
        ("trace", {"input_tokens": "12"}, "input_tokens"),
        ("trace", {"input_tokens": True}, "input_tokens"),
        ("trace", {"output_tokens": 2**53 + 1}, "output_tokens"),
        ("trace", {"latency_ms": -0.1}, "latency_ms"),
        ("trace", {"cost_usd": "cheap"}, "cost_usd"),
        ("trace", {"schema_valid": 1}, "schema_valid"),
        ("trace", {"contexts": "one"}, "contexts"),
        ("trace", {"contexts": [7]}, "contexts.0"),
        ("trace", {"contexts": ["a", {"text": 7}]}, "contexts.1"),
        ("trace", {"messages": ["hello"]}, "messages.0"),
        ("trace", {"scores": {"faithfulness": "high"}}, "scores.faithfulness"),
        ("trace", {"scores": [1]}, "scores"),
        ("trace", {"versions": {"a": 1}}, "versions.a"),
        ("trace", {"error": 3}, "error"),
        ("trace", {"timestamp": "yesterday"}, "timestamp"),
        ("trace", {"timestamp": "2026-03-02"}, "timestamp"),
        ("trace", {"timestamp": "2026-03-02T08:00:00"}, "timestamp"),
        ("trace", {"timestamp": True}, "timestamp"),
        ("trace", {"timestamp": 1.5}, "timestamp"),
        ("trace", {"timestamp": 1772787164}, "timestamp"),
        ("trace", {"timestamp": 1772787164.25}, "timestamp"),
        ("feedback", {"kind": "escalation", "timestamp": 1772787164}, "timestamp"),
        ("change", {"timestamp": 1772787164}, "timestamp"),
        ("trace", {"timestamp": 10**18}, "timestamp"),
        ("trace", {"timestamp": "0001-01-01T00:00:00+14:00"}, "timestamp"),
        ("trace", {"timestamp": "9999-12-31T23:59:59-14:00"}, "timestamp"),
        ("trace", {"v": 2}, "v"),
        ("feedback", {"kind": "absent"}, "kind"),
        ("feedback", {"kind": "applause"}, "kind"),
        ("feedback", {"kind": "thumbs"}, "value"),
        ("feedback", {"kind": "thumbs", "value": "sideways"}, "value"),
        ("feedback", {"kind": "thumbs", "value": 2}, "value"),
        ("feedback", {"kind": "rating", "value": "good"}, "value"),
        ("feedback", {"kind": "rating", "value": True}, "value"),
        ("feedback", {"kind": "rating", "value": [5]}, "value"),
        ("feedback", {"kind": "escalation", "value": {"a": 1}}, "value"),
        ("feedback", {"kind": "review", "review_seconds": -1}, "review_seconds"),
        ("change", {"to": "absent"}, "to"),
        ("change", {"dimension": ""}, "dimension"),
        ("change", {"from": 7}, "from"),
    ],
)
def test_a_refusal_names_the_field_and_what_it_should_be(
    event: str, fields: dict[str, Any], field: str
) -> None:
    found = wrong(event, fields)
    assert found.field == field
    assert found.message.startswith(f"{field}: ")
    assert "tuple" not in found.message
    assert "dictionary" not in found.message


@pytest.mark.parametrize(
    ("kind", "value", "number"),
    [
        ("thumbs", "UP", 1.0),
        ("thumbs", -1, -1.0),
        ("thumbs", False, -1.0),
        ("rating", 4, 4.0),
        ("escalation", None, 1.0),
        ("escalation", "no", 0.0),
        ("accepted", 0, 0.0),
    ],
)
def test_a_value_as_a_number(kind: str, value: Any, number: float) -> None:
    event = validate("feedback", {"trace_id": "t", "kind": kind, "value": value})
    assert not isinstance(event, Refused)
    assert event.number() == number  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"trace_id": "t"}, "trace"),
        ({"trace_id": "t", "kind": "rating"}, "feedback"),
        ({"trace_id": "t", "kind": "rating", "answer": "a"}, "trace"),
        ({"trace_id": "t", "kind": "rating", "answer": None}, "feedback"),
        ({"trace_id": "t", "kind": "other", "latency_ms": 3}, "trace"),
        ({"trace_id": "t", "kind": "other", "error": "boom", "value": 1}, "trace"),
        ({"trace_id": "t", "kind": "other", "event": "trace"}, "trace"),
        ({"trace_id": "t", "kind": None}, "trace"),
        ({"trace_id": "t", "kind": 7}, "trace"),
        ({"dimension": "d", "to": "v"}, "change"),
        ({"dimension": "d", "to": "v", "trace_id": "t"}, "trace"),
        ({"event": "feedback", "answer": "a"}, "feedback"),
        ({"event": "trace", "dimension": "d", "to": "v"}, "trace"),
        ({"trace_id": "t", "kind": ["rating"]}, "trace"),
    ],
)
def test_which_event_it_is(value: dict[str, Any], kind: str) -> None:
    assert classify(value) == kind


def test_an_unknown_event_is_refused_by_its_field() -> None:
    found = classify({"event": "span", "trace_id": "t"})
    assert isinstance(found, Refused)
    assert found.field == "event"


@pytest.mark.parametrize(
    "beside",
    [
        {"value": -1},
        {"comment": "wrong", "user_id": "u", "app": "shop"},
        {"environment": "production", "route": "chat", "conversation_id": "c", "tags": {"a": 1}},
        {"answer": None, "corrected_answer": "a"},
        {},
    ],
)
@pytest.mark.parametrize("kind", ["thumbs_down", "Rating", "escalated", ""])
def test_a_misspelt_kind_of_feedback_is_no_trace(kind: str, beside: dict[str, Any]) -> None:
    """As one it would take the real trace's identity, and that one would be dropped as a duplicate."""
    found = classify({"trace_id": "t", "kind": kind} | beside)
    assert isinstance(found, Refused)
    assert (found.reason, found.field) == (R.INVALID, "kind")
    assert "rating, thumbs, accepted" in found.message
    assert repr(kind) in found.message


# -- the quick way -------------------------------------------------------------------------------------


def the_long_way(data: bytes) -> list[Event | Refused]:
    return [x if isinstance(x, Refused) else validate("trace", x.value) for x in split(data)]


def same(data: bytes) -> bool:
    """The quick way is silent, or says exactly what the long way says; True if it spoke."""
    quick = read_traces(data)
    if quick is None:
        return False
    for trace, slow in zip(quick, the_long_way(data), strict=True):
        assert isinstance(slow, TraceEvent)
        assert repr(plain(trace.model_extra or {})) == repr(plain(slow.model_extra or {}))
        for name in TraceEvent.model_fields:
            mine, theirs = plain(getattr(trace, name)), plain(getattr(slow, name))
            assert repr(mine) == repr(theirs), name  # 1 is not 1.0, and a tuple no list
    return True


def plain(value: Any) -> Any:
    """Integers beyond 64 bits as floats: only fields that are in no row can hold them."""
    if type(value) is int and not -(2**63) <= value < 2**64:
        return float(value)
    if isinstance(value, Context):
        return plain(value.model_dump())
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return value


ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*TraceEvent.model_fields, "v", "event", "more", ""])
LIKELY = st.fixed_dictionaries(
    {"trace_id": st.text(min_size=1, max_size=3)},
    optional={
        "timestamp": st.sampled_from(
            [
                0,
                1772438400000,
                1772438400000.0,
                1772438400,
                1772438400.5,
                9999999999,
                10000000000,
                1.5,
                "2026-03-02T08:00:00Z",
                "2026-03-02t08:00:00.5+02:00",
                "2026-03-02T08:00:00",
                "0001-01-01T00:00:00+14:00",
                "20260302T080000Z",
                -62135596800000,
                253402300799999,
                253402300800000,
            ]
        ),
        "answer": st.text(max_size=5),
        "contexts": st.lists(
            st.text(max_size=3) | st.fixed_dictionaries({"text": st.text(max_size=3), "x": ANY}), max_size=2
        ),
        "error": ANY,
        "tags": st.dictionaries(st.text(max_size=3), ANY, max_size=2),
        "scores": st.dictionaries(st.text(max_size=3), st.floats() | st.integers(), max_size=2),
        "input_tokens": st.integers(-1, 2**54) | st.floats(0, 9),
        "latency_ms": st.floats() | st.integers(),
        "user_rating": st.integers() | st.booleans(),
        "schema_valid": st.booleans() | st.integers(0, 1),
        "more": ANY,
        "v": st.integers(0, 2) | st.text(max_size=1),
    },
)


@settings(max_examples=500, deadline=None)
@given(st.lists(LIKELY | st.dictionaries(FIELDS, ANY, max_size=4), min_size=1, max_size=3), st.booleans())
def test_the_quick_way_says_what_the_long_way_says(events: list[dict[str, Any]], array: bool) -> None:
    value: object = events if array else events[0]
    same(json.dumps(value).encode())  # NaN, Infinity and lone surrogates as the standard library writes them
    try:
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    same(text)


@pytest.mark.parametrize(
    "text",
    [
        b'{"trace_id": "t", "x": 1e400}',
        b'{"trace_id": "t", "x": -0.0, "y": -0, "z": 1E5}',
        b'{"trace_id": "t", "x": ' + b"9" * 30 + b"}",
        b'{"trace_id": "t", "x": -9223372036854775809}',
        b'{"trace_id": "t", "x": 18446744073709551616}',
        b'{"trace_id": "t", "tags": {"x": 18446744073709551616}}',
        b'{"trace_id": "t", "contexts": [{"text": "a", "x": 18446744073709551616}]}',
        b'{"trace_id": "t", "x": 01}',
        b'{"trace_id": "t", "x": "\\ud800"}',
        b'{"trace_id": "t", "x": "\\ud83d\\ude00"}',
        b'{"trace_id": "t", "trace_id": "u"}',
        b'{"trace_id": "t", "tags": {"a": 1, "a": 2}}',
        b'{"trace_id": "t"} ',
        b' {"trace_id": "t"}',
        b'{"trace_id": "t"}x',
        b'{"trace_id": "t"}\x00',
        b'{"trace_id": "t\x00"}',
        b'{"trace_id": "\xff"}',
        b'{"trace_id": "t", "x": "\xed\xa0\x80"}',
        b'{"trace_id": "t", "x": NaN}',
        b'{"trace_id": "t", "x": Infinity}',
        b'{"trace_id": "t", "x": [' * 40,
        b"[]",
        b"[null]",
        b'[{"trace_id": "t"}, {}]',
        b'[{"trace_id": "t"},]',
        b'{"trace_id": "t", "error": ' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"trace_id": "t", "error": {"a": ' + b"[" * 61 + b"]" * 61 + b"}}",
        b'{"trace_id": "t", "error": {"a": ' + b"[" * 62 + b"]" * 62 + b"}}",
        b'{"trace_id": "t", "error": {"a": ' + b"[" * 63 + b"]" * 63 + b"}}",
        b'{"trace_id": "t", "contexts": [{"a": ' + b"[" * 61 + b"]" * 61 + b"}]}",
        b'{"trace_id": "t", "contexts": [{"a": ' + b"[" * 62 + b"]" * 62 + b"}]}",
        b'{"trace_id": "t", "more": ' + b"[" * 63 + b"]" * 63 + b"}",
        b'{"trace_id": "t", "more": ' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"trace_id": "t", "v": 1}',
        b'{"trace_id": "t", "v": 9}',
        b'{"trace_id": "t", "timestamp": "0001-01-01T00:00:00+14:00"}',
        b'{"trace_id": "t", "timestamp": 1772438400000.0}',
        b'{"trace_id": "t", "timestamp": 99999999999999999999}',
        b'{"trace_id": "t", "latency_ms": 5, "cost_usd": 1}',
        b'{"trace_id": "t", "latency_ms": 99999999999999999999999}',
        b'{"trace_id": "t", "input_tokens": 5.0}',
    ],
)
def test_the_quick_way_on_the_edges_of_json(text: bytes) -> None:
    same(text)
    same(b"[" + text + b"]")
    same(b'[{"trace_id": "a"}, ' + text + b"]")


def test_the_quick_way_speaks_where_nothing_is_unusual() -> None:
    trace = {
        "trace_id": "t",
        "timestamp": 0,
        "answer": "é",
        "contexts": ["a", {"id": "1", "text": "b"}],
        "x": [1],
    }
    assert same(json.dumps(trace).encode())
    assert same(json.dumps([trace, trace]).encode())


def test_nothing_that_was_accepted_fails_to_be_written() -> None:
    value = {"trace_id": "t", "tags": {"a": math.pi, "b": [2**64 - 1, -(2**63)]}}
    (found,) = split(json.dumps(value).encode())
    assert isinstance(found, Element)
    orjson.dumps(found.value)
