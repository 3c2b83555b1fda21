"""A refused event is put back whole, with its own time, or stays with a reason."""

from __future__ import annotations

import json

from schemas.dead_letter import DeadLetter
from schemas.topics import MAX_EVENT_BYTES
from streams.steps.ingest import IngestPolicy, Record, ingest
from streams.steps.prices import Prices
from streams.steps.put_back import Event, RefusedEvent, put_back

AT = 1_772_323_200_500


def refuse(data: bytes, limit: int = MAX_EVENT_BYTES, topic: str = "traces") -> DeadLetter:
    """The one dead letter that comes of a message."""
    record = Record("stream", topic, 0, 7, AT, data)
    (letter,) = ingest([record], IngestPolicy(max_event_bytes=limit), Prices()).dead_letters
    return letter


def refused(letter: DeadLetter, whole: bool = True) -> RefusedEvent:
    original = letter.original.encode() if whole else None
    return RefusedEvent(letter.at.topic, letter.at.index, letter.broker_time, letter.sha256, original)


def test_what_a_higher_limit_lets_in_keeps_its_time() -> None:
    event = {"trace_id": "t-1", "answer": "x" * 300, "my_field": [1, {"a": None}]}
    letter = refuse(json.dumps(event).encode(), limit=200)
    back = put_back(refused(letter))
    assert isinstance(back, Event)
    assert (back.topic, back.key) == ("traces", b"t-1")
    assert json.loads(back.data) == {**event, "timestamp": "2026-03-01T00:00:00.500Z"}


def test_a_time_of_its_own_stays() -> None:
    event = {"trace_id": "t-1", "timestamp": 5, "answer": "x" * 300}
    back = put_back(refused(refuse(json.dumps(event).encode(), limit=200)))
    assert isinstance(back, Event)
    assert json.loads(back.data) == event


def test_an_element_of_an_array_is_found_in_its_message() -> None:
    """Of an event of more than 64 KiB only the beginning is kept: the rest is in the message."""
    events = [{"trace_id": "a"}, {"trace_id": "b", "answer": "y" * 70_000}, {"trace_id": "c"}]
    message = json.dumps(events, indent=1).encode()
    letter = refuse(message, limit=60_000)
    assert (letter.at.index, len(letter.original)) == (1, 65_536)
    gone = put_back(refused(letter, whole=False))
    assert gone == "the store keeps not all of it, and its message is no longer on the topic"
    other = put_back(refused(letter, whole=False), message.replace(b"y", b"z"))
    assert other == "the store keeps not all of it, and another message is in its place"
    back = put_back(refused(letter, whole=False), message)
    assert isinstance(back, Event)
    assert json.loads(back.data)["answer"] == events[1]["answer"]
    assert back.key == b"b"


def test_what_would_be_refused_again_stays() -> None:
    for data, topic, says in (
        (b'{"trace_id": "t", "input_tokens": -1}', "traces", "input_tokens"),
        (b'{"trace_id": "t",}', "traces", "not JSON"),
        (b'{"trace_id": "t"}', "feedback", "kind"),
        (b'{"dimension": "release"}', "changes", "to"),
        (b"3", "traces", "an event is a JSON object"),
    ):
        stays = put_back(refused(refuse(data, topic=topic)))
        assert isinstance(stays, str)
        assert stays.startswith("it would be refused again: ")
        assert says in stays


def test_a_time_can_make_it_too_long() -> None:
    event = {"trace_id": "t", "answer": "x" * 300}
    size = len(json.dumps(event))
    letter = refuse(json.dumps(event).encode(), limit=200)
    assert isinstance(put_back(refused(letter), max_event_bytes=size + 60), Event)
    stays = put_back(refused(letter), max_event_bytes=size)
    assert isinstance(stays, str)
    assert "would be refused again: the event has" in stays


def test_what_is_gleaners_own_is_no_event() -> None:
    stays = put_back(RefusedEvent("observations", 0, AT, "", b"{}"))
    assert isinstance(stays, str)
    assert "Gleaner's own" in stays
