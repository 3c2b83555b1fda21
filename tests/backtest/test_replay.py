"""Replay of files: their order, the size of its chunks and the quick way of reading change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import classify, validate
from schemas.observation import TraceRow
from schemas.signal import WindowStat
from streams import file_rows
from streams.file_rows import read_rows
from streams.replay import Replayed, replay
from streams.steps.ingest import IngestPolicy
from tests.delivery.events import traffic, write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    events = traffic()
    write(events, folder / "in-order.jsonl")
    Random(3).shuffle(events)
    write(events, folder / "shuffled.jsonl")
    return folder


def told(done: Replayed) -> tuple[object, ...]:
    cases = sorted((request.app, request.trace_id, request.reasons) for request in done.requests)
    windows = sorted(s.model_dump_json() for s in done.signals if isinstance(s, WindowStat))
    return done.alarms(), windows, cases, done.counters, done.processed


@pytest.mark.parametrize("chunk", [50, 5_000])
def test_a_file_need_not_be_in_the_order_of_its_events(
    folder: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replay([folder / "in-order.jsonl"])
    assert whole.alarms()
    monkeypatch.setattr("streams.replay.CHUNK", chunk)
    assert told(replay([folder / "in-order.jsonl"])) == told(whole)
    assert told(replay([folder / "shuffled.jsonl"])) == told(whole)
    assert sum(sum(app.values()) for app in whole.counters.values()) == whole.processed


def test_the_quick_way_reads_what_the_long_one_does(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = [
        {"trace_id": "a", "timestamp": 5, "event": "trace"},
        {"trace_id": "b", "model": "m", "kind": "thumbs"},
        {"trace_id": "c", "kind": "thumbs", "value": "up"},
        {"trace_id": "d", "dimension": "x", "to": "y"},
        {"dimension": "x", "to": "y"},
        [{"trace_id": "e", "timestamp": 7}, {"trace_id": "f"}, {"trace_id": "g", "tags": {"kind": 1}}],
        {"trace_id": "h", "input_tokens": -1},
        {"trace_id": "i", "event": "feedback"},
        {"trace_id": "k", "kind": "thumbs_down", "value": -1},
        {"trace_id": "k", "timestamp": 1772787164, "error": "boom"},
        {"trace_id": "l", "kind": "span", "error": "boom"},
    ]
    lines = [json.dumps(value).encode() for value in odd]
    lines += [b'{"trace_id": "j", "\\u006bind": "escalation"}', b"[]", b"3", b"", b"{"]
    (tmp_path / "odd.jsonl").write_bytes(b"\n".join(lines))
    files = [folder / "in-order.jsonl", tmp_path / "odd.jsonl"]
    quick = read_rows(files, IngestPolicy())
    monkeypatch.setattr(file_rows, "read_traces", lambda data, limit: None)
    assert read_rows(files, IngestPolicy()) == quick
    assert quick.events == len(quick.items) + len(quick.dead_letters)
    names = {row[1]: type(row) is TraceRow for row, _, _ in quick.items}
    assert [names[name] for name in "abcdefgjl"] == [True, True, False, True, True, True, True, False, True]
    assert "k" not in names


def test_feedback_of_a_misspelt_kind_costs_no_trace_its_case(tmp_path: Path) -> None:
    misspelt = {"trace_id": "t", "app": "shop", "timestamp": 5, "kind": "thumbs_down", "value": -1}
    trace = {"trace_id": "t", "app": "shop", "timestamp": 6, "answer": "a", "error": "boom"}
    (tmp_path / "both.jsonl").write_text(json.dumps(misspelt) + "\n" + json.dumps(trace) + "\n")
    done = replay([tmp_path / "both.jsonl"])
    assert [request.trace_id for request in done.requests] == ["t"]
    assert [dead.field for dead in done.dead_letters] == ["kind"]


SOME = st.sampled_from(["thumbs", "thumbs_down", "rating", "", "feedback", "trace", "a", 1, -1, None, True])
NAMED = st.sampled_from(
    ["kind", "event", "value", "answer", "model", "route", "error", "dimension", "to", "timestamp", "tags"]
)
OBJECTS = st.builds(lambda some: {"trace_id": "t"} | some, st.dictionaries(NAMED, SOME, max_size=4))


@settings(max_examples=300, deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=3), st.booleans())
def test_the_quick_way_takes_for_a_trace_what_classify_does(
    events: list[dict[str, object]], array: bool
) -> None:
    data = json.dumps(events if array else events[0]).encode()
    quick = file_rows._plain_traces(data.replace(b"kind", b"\\u006bind"), 1_000_000)
    again = file_rows._plain_traces(data, 1_000_000)
    assert again is None or quick == again
    if quick is not None:
        assert {classify(event) for event in (events if array else events[:1])} == {"trace"}
        assert [validate("trace", event) for event in (events if array else events[:1])] == quick


def test_rows_of_one_instant_are_in_the_order_of_their_files_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(json.dumps({"trace_id": "t", "timestamp": 1, "app": name}))
    rows = read_rows([tmp_path / "b", tmp_path / "a"], IngestPolicy())
    assert [app for _, app, _ in rows.items] == ["a", "b"]
    assert [(source.topic, source.partition) for source in rows.sources[:2]] == [
        (str(tmp_path / "a"), 1),
        (str(tmp_path / "b"), 0),
    ]
