"""Replay of files: their order, the size of its chunks and the quick way of reading change nothing."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest

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
    assert [names[name] for name in "abcdefgj"] == [True, True, False, True, True, True, True, False]


def test_rows_of_one_instant_are_in_the_order_of_their_files_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(json.dumps({"trace_id": "t", "timestamp": 1, "app": name}))
    rows = read_rows([tmp_path / "b", tmp_path / "a"], IngestPolicy())
    assert [app for _, app, _ in rows.items] == ["a", "b"]
    assert [(source.topic, source.partition) for source in rows.sources[:2]] == [
        (str(tmp_path / "a"), 1),
        (str(tmp_path / "b"), 0),
    ]
