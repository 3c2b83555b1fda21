"""Refused events in the store, and ``gleaner dlq`` over them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sinks.evalstore import LetterFilter, NoSuchLetter, StoreOwner, find_letter, letter_counts, letters
from streams.cli import app
from streams.steps.ingest import IngestPolicy, Record, ingest
from streams.steps.prices import Prices

NOW = 1_772_323_200_000
MESSAGES = (
    ("traces", b'{"trace_id": 7, "answer": "\\u001b[31mred"}'),
    ("traces", b'{"trace_id": 8}'),
    ("traces", b'{"trace_id": "t",}'),
    ("feedback", b'{"trace_id": "t"}'),
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    records = [
        Record("s", topic, 0, at, NOW + at * 60_000, data) for at, (topic, data) in enumerate(MESSAGES)
    ]
    dead = ingest(records, IngestPolicy(), Prices()).dead_letters
    assert len(dead) == 4
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write(dead_letters=dead, now=NOW)
        owner.publish(now=NOW)
    return tmp_path / "store.duckdb"


def gleaner(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, arguments)
    return done.exit_code, done.output


def lines(store: Path, *arguments: str) -> Sequence[str]:
    status, said = gleaner("dlq", "list", *arguments, "--store", str(store))
    assert status == 0, said
    return said.splitlines()


def test_read_from_the_store(tmp_path: Path, store: Path) -> None:
    with StoreOwner.open(store) as owner:
        con = owner._con
        found = letters(con, LetterFilter())
        assert [letter.offset for letter in found] == [3, 2, 1, 0], "the newest first"
        assert [letter.offset for letter in letters(con, LetterFilter(topic="feedback"))] == [3]
        assert [letter.offset for letter in letters(con, LetterFilter(since=NOW + 60_000, limit=2))] == [3, 2]
        assert letters(con, LetterFilter(own=True)) == []
        assert letter_counts(con, LetterFilter(topic="traces")) == [
            ("invalid_field", "trace_id", 2),
            ("bad_json", None, 1),
        ]
        one = found[0]
        assert find_letter(con, one.id) == find_letter(con, one.id[:12]) == one
        at = (one.stream, one.topic, one.partition, one.offset, one.element)
        assert at == ("s", "feedback", 0, 3, 0)
        for wanted in ("", "nothing"):
            with pytest.raises(NoSuchLetter):
                find_letter(con, wanted)


def test_the_list(store: Path) -> None:
    *listed, last = lines(store)
    assert len(listed) == 4
    assert listed[0].split("  ")[1] == "2026-03-01 00:03"
    assert last == "4 of 4 refused: 2 invalid_field (trace_id), 1 bad_json, 1 invalid_field (kind)"
    assert lines(store, "--limit", "1")[-1].startswith("1 of 4 refused")
    assert lines(store, "--since", "2026-03-02") == ["nothing was refused of that kind"]


def test_originals_are_a_file_to_mend_and_publish(store: Path) -> None:
    kept = lines(store, "--originals", "--reason", "invalid_field", "--topic", "traces")
    assert [json.loads(line) for line in kept] == [
        {"trace_id": 8, "timestamp": "2026-03-01T00:01:00Z"},
        {"trace_id": 7, "answer": "\x1b[31mred", "timestamp": "2026-03-01T00:00:00Z"},
    ]


def test_one_of_them(store: Path) -> None:
    newest, *_ = (json.loads(line) for line in lines(store, "--json"))
    status, said = gleaner("dlq", "show", newest["id"][:10], "--store", str(store))
    assert status == 0
    assert "kind: field required" in said
    assert '{"trace_id": "t"}' in said
    status, said = gleaner("dlq", "show", newest["id"], "--original", "--store", str(store))
    assert said == '{"trace_id": "t"}\n'
    assert gleaner("dlq", "show", "zzz", "--store", str(store))[0] == 1


def test_nothing_to_put_back_needs_no_broker(store: Path) -> None:
    """All four would be refused again: nothing is sent, each is named, and the answer is no."""
    status, said = gleaner("dlq", "replay", "--all", "--store", str(store))
    assert status == 1
    assert said.count("would be refused again") == 4
    assert "0 of 4 put back" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay"], "say which"),
        (["replay", "abc", "--all"], "say which"),
        (["replay", "abc", "--reason", "bad_json"], "narrow --all"),
        (["list", "--reason", "wrong"], "--reason: is one of"),
        (["list", "--topic", "cases"], "--topic: is one of"),
    ],
)
def test_wrong_use(store: Path, arguments: list[str], says: str) -> None:
    done = CliRunner().invoke(app, ["dlq", *arguments, "--store", str(store)])
    assert done.exit_code != 0
    assert says in str(done.exception)
