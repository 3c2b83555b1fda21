"""The RAGTruth example: the traffic is what its description says."""

from __future__ import annotations

import doctest
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examples.ragtruth import convert, measure
from schemas.base import parse_time
from schemas.codec import Refused, classify, validate
from schemas.observation import PriceStatus
from schemas.trace import TraceEvent
from streams.steps.prices import Prices


def row(number: int, model: str, hallucinated: bool, task: str = "QA") -> dict[str, Any]:
    return {
        "id": str(number),
        "source_id": f"s{number}",
        "task_type": task,
        "question": f"Question {number}?",
        "contexts": [f"½ cup “{number}”\u2028\n", "back\\slash \u0000 \U0001f600"],
        "answer": f"Answer {number}.",
        "model": model,
        "hallucinated": hallucinated,
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [row(n, model, n % 4 == 0) for n, model in enumerate(convert.GPT_MODELS * 2)]
    rows += [row(10 + n, model, n % 2 == 0) for n, model in enumerate(convert.OPEN_MODELS * 2)]
    rows.append(row(99, "gpt-4-0613", True, "Summary"))
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(item, ensure_ascii=False) for item in rows))
    return path


def run(source: Path, out: Path, *more: str) -> tuple[list[Any], list[Any], dict[str, Any]]:
    assert convert.main([str(source), "--out", str(out), "--before", "600", "--after", "300", *more]) == 0

    def lines(name: str) -> list[Any]:
        return [json.loads(line) for line in (out / name).read_bytes().split(b"\n") if line]

    return lines("traces.jsonl"), lines("feedback.jsonl"), json.loads((out / "expected.json").read_bytes())


def test_the_expected_file_agrees_with_the_events(source: Path, tmp_path: Path) -> None:
    traces, feedback, expected = run(source, tmp_path / "out")
    assert expected["events"] == len(traces) + len(feedback)
    assert (expected["traces"], expected["traces_before"], expected["traces_after"]) == (900, 600, 300)
    assert [trace["trace_id"] for trace in traces] == list(expected["contexts_sha256"])
    for trace in traces:
        assert convert.contexts_hash(trace["contexts"]) == expected["contexts_sha256"][trace["trace_id"]]
    kinds = Counter(event["kind"] for event in feedback)
    assert kinds == {"thumbs": expected["thumbs_down"], "escalation": expected["escalations"]}
    complained = {event["trace_id"] for event in feedback}
    assert len(complained) == expected["complained_traces"]
    assert len({trace["conversation_id"] for trace in traces}) == 900


def test_every_event_is_valid_and_priced(source: Path, tmp_path: Path) -> None:
    traces, feedback, _ = run(source, tmp_path / "out")
    assert {classify(event) for event in traces} == {"trace"}
    assert {classify(event) for event in feedback} == {"feedback"}
    assert not [e for e in feedback if isinstance(validate("feedback", e), Refused)]
    event = validate("trace", traces[0])
    assert isinstance(event, TraceEvent)
    assert event.timestamp is not None
    cost, status = Prices().of(event, event.timestamp)
    assert status is PriceStatus.PRICED
    assert cost


def test_texts_are_those_of_the_source(source: Path, tmp_path: Path) -> None:
    traces, _, _ = run(source, tmp_path / "out")
    originals = {item["id"]: item for item in map(json.loads, source.read_bytes().split(b"\n"))}
    for trace in traces:
        original = originals[trace["tags"]["ragtruth_id"]]
        for field in ("question", "contexts", "answer"):
            assert trace[field] == original[field]


def test_one_change_of_the_served_model_and_of_nothing_else(source: Path, tmp_path: Path) -> None:
    traces, _, expected = run(source, tmp_path / "out")
    times = [parse_time(trace["timestamp"]) for trace in traces]
    change = parse_time(expected["change_at"])
    assert times == sorted(times)
    for trace, time in zip(traces, times, strict=True):
        served = expected["change"]["from" if time < change else "to"]
        assert trace["served_model"] == served
        number = int(trace["tags"]["ragtruth_id"])
        assert (number < 10) is (time < change)
    for field in ("app", "environment", "route", "model", "provider", "prompt_version", "index_version"):
        assert len({trace[field] for trace in traces}) == 1


def test_users_complain_after_the_answer_and_within_ten_minutes(source: Path, tmp_path: Path) -> None:
    traces, feedback, _ = run(source, tmp_path / "out")
    asked = {trace["trace_id"]: parse_time(trace["timestamp"]) for trace in traces}
    times = [parse_time(event["timestamp"]) for event in feedback]
    assert times == sorted(times)
    for event, time in zip(feedback, times, strict=True):
        assert 0 < time - asked[event["trace_id"]] < 600_000
    assert len({event["feedback_id"] for event in feedback}) == len(feedback)


def test_traffic_has_a_day_and_a_night_and_an_even_rate(source: Path, tmp_path: Path) -> None:
    traces, _, expected = run(source, tmp_path / "out")
    hours = Counter(parse_time(trace["timestamp"]) // 3_600_000 % 24 for trace in traces)
    assert sum(hours[hour] for hour in range(10, 18)) > 2 * sum(hours[hour] for hour in (22, 23, *range(6)))
    start, change, end = (parse_time(expected[name]) for name in ("start", "change_at", "end"))
    assert (end - change) * 600 == (change - start) * 300


def test_the_seed_alone_decides(source: Path, tmp_path: Path) -> None:
    first, again, other = (run(source, tmp_path / n, "--seed", n[0]) for n in ("1", "1-again", "2"))
    assert first == again
    assert first[0] != other[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "Expecting property name"),
        ("3", "line 1: is no JSON object"),
        ('{"question": "q"}', "line 1: answer: is missing"),
        ("", "no rows of gpt-3.5-turbo-0613, gpt-4-0613"),
    ],
)
def test_a_file_that_is_not_ragtruth_is_refused_in_one_line(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(text)
    assert convert.main([str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("module", [convert, measure])
def test_examples_in_docstrings(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
