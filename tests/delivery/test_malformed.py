"""What cannot be read becomes a dead letter with a reason, once; what can be read is not held up by it."""

from __future__ import annotations

import hashlib
import json
from typing import NamedTuple

import pytest
from confluent_kafka import KafkaError, Message, Producer

from schemas.dead_letter import Refusal
from tests.delivery.events import START, STEP_MS, Event
from tests.delivery.harness import Deployment

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


class Bad(NamedTuple):
    """A message, and for each of its elements that is refused: its index, the reason, the field."""

    name: str
    data: bytes | None
    refused: tuple[tuple[int, Refusal, str | None], ...]
    topic: str = "traces"
    good: int = 0


def one(
    name: str, data: str | bytes | None, reason: Refusal, field: str | None = None, topic: str = "traces"
) -> Bad:
    return Bad(name, data.encode() if isinstance(data, str) else data, ((0, reason, field),), topic)


def trace(**fields: str) -> str:
    """A trace with these fields as JSON text, so that it may hold what JSON does not know."""
    return (
        "{"
        + ", ".join(f'"{k}": {v}' for k, v in ({"trace_id": '"t"', "timestamp": str(START)} | fields).items())
        + "}"
    )


def feedback(**fields: str) -> str:
    return trace(**fields)


DEEP = "[" * 100 + "]" * 100
KINDS = (
    one("bad JSON", '{"trace_id": "t",}', Refusal.BAD_JSON),
    one("truncated JSON", '{"trace_id": "t", "answer": "Par', Refusal.BAD_JSON),
    one("empty", b"", Refusal.EMPTY),
    one("no value", None, Refusal.EMPTY),
    one("empty array", "[]", Refusal.EMPTY),
    one("byte order mark", b"\xef\xbb\xbf" + trace().encode(), Refusal.BAD_ENCODING),
    one("Latin-1", trace(answer='"caf\xe9"').encode("latin-1"), Refusal.BAD_ENCODING),
    one("UTF-16", trace().encode("utf-16"), Refusal.BAD_ENCODING),
    one("lone surrogate", trace(answer='"\\ud83d"'), Refusal.BAD_ENCODING, "answer"),
    one("NaN", trace(latency_ms="NaN"), Refusal.INVALID, "latency_ms"),
    one("Infinity", trace(cost_usd="-Infinity"), Refusal.INVALID, "cost_usd"),
    one("a number", "42", Refusal.NOT_AN_EVENT),
    one("no trace_id", '{"answer": "Paris"}', Refusal.INVALID, "trace_id"),
    one("wrong type", trace(answer='{"text": "Paris"}'), Refusal.INVALID, "answer"),
    one(
        "wrong type inside", trace(scores='{"faithfulness": "high"}'), Refusal.INVALID, "scores.faithfulness"
    ),
    one("negative count", trace(input_tokens="-1"), Refusal.INVALID, "input_tokens"),
    one("huge integer", trace(output_tokens="9" * 40), Refusal.INVALID, "output_tokens"),
    one("no time", trace(timestamp='"yesterday at noon"'), Refusal.INVALID, "timestamp"),
    one("time without a zone", trace(timestamp='"2026-03-02T08:00:00"'), Refusal.INVALID, "timestamp"),
    one("year 0", trace(timestamp='"0001-01-01T00:00:00+14:00"'), Refusal.INVALID, "timestamp"),
    one("deep nesting", trace(tags=f'{{"a": {DEEP}}}'), Refusal.TOO_DEEP, "tags"),
    one("of the future", trace(v="2"), Refusal.UNSUPPORTED_VERSION, "v"),
    one("5 MB", trace(answer='"' + "x" * 5_000_000 + '"'), Refusal.TOO_LARGE),
    one("thumbs sideways", trace(kind='"thumbs"', value='"sideways"'), Refusal.INVALID, "value", "feedback"),
    one("a list for a value", trace(kind='"rating"', value="[5]"), Refusal.INVALID, "value", "feedback"),
    one("unknown kind", trace(kind='"applause"'), Refusal.INVALID, "kind", "feedback"),
    one("change to nothing", '{"dimension": "prompt_version"}', Refusal.INVALID, "to", "changes"),
    Bad(
        "array with bad elements",
        f"[{trace(trace_id=json.dumps('in-an-array'))}, 7, {trace(retries='1.5')}, null]".encode(),
        ((1, Refusal.NOT_AN_EVENT, None), (2, Refusal.INVALID, "retries"), (3, Refusal.NOT_AN_EVENT, None)),
        good=1,
    ),
)
COPIES = 8
GOOD = 1_000


async def test_malformed_messages_among_good_ones(deployment: Deployment) -> None:
    assert len(KINDS) >= 20
    assert len(KINDS) * COPIES >= 200
    sent: dict[tuple[str, int, int], Bad] = {}
    out = Producer(
        {"bootstrap.servers": deployment.settings.brokers, "linger.ms": 5, "message.max.bytes": 8 * 2**20}
    )

    def publish(bad: Bad) -> None:
        def placed(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            partition, offset = message.partition(), message.offset()
            assert partition is not None
            assert offset is not None
            sent[bad.topic, partition, offset] = bad

        out.produce(deployment.settings.topic_prefix + bad.topic, bad.data, on_delivery=placed)
        out.poll(0)

    every = GOOD // (len(KINDS) * COPIES)
    for number in range(GOOD):
        good = Event("traces", START, {"trace_id": f"good-{number}", "timestamp": START + number * STEP_MS})
        out.produce(deployment.settings.topic_prefix + "traces", good.data(), good.key)
        turn, rest = divmod(number, every)
        if rest == 0 and turn < len(KINDS) * COPIES:
            publish(KINDS[turn % len(KINDS)])
    assert out.flush(60) == 0
    assert len(sent) == len(KINDS) * COPIES

    expected = {
        (*place, index): (reason, field)
        for place, bad in sent.items()
        for index, reason, field in bad.refused
    }
    deployment.release()
    worker = deployment.start()
    # The element that is good is the same in every copy of its array: the first counts, the others repeat
    # it. Its time is long past, so that it may come late; late ones are processed all the same.
    copies = sum(bad.good for bad in sent.values())
    processed = {"traces": GOOD + 1, "duplicates": copies - 1}

    def counted() -> dict[str, int]:
        counters = deployment.counters().get("default", {})
        return {name: count for name, count in counters.items() if name != "late"}

    await deployment.until(
        lambda: counted() == processed and len(deployment.dead_letters()) >= len(expected),
        "all processed or dead-lettered",
    )
    worker.signal(15)
    assert worker.wait() == 0, worker.tail()

    letters = deployment.dead_letters()
    found = {(x.at.topic, x.at.partition, x.at.offset, x.at.index): (x.reason, x.field) for x in letters}
    assert found == expected
    assert len(letters) == len(found), "a dead letter twice, without any crash"
    assert counted() == processed
    submitted = GOOD + copies + len(expected)
    assert submitted == sum(processed.values()) + len(letters)
    for letter in letters:
        bad = sent[letter.at.topic, letter.at.partition, letter.at.offset]
        if letter.field is not None:
            assert letter.message.startswith(f"{letter.field}: "), letter.message
        if len(bad.refused) == 1 and bad.good == 0:
            original = bad.data or b""
            assert letter.size == len(original), bad.name
            assert letter.sha256 == hashlib.sha256(original).hexdigest()
