"""``gleaner release export``: every shape against a file that was read by a person."""

from __future__ import annotations

import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.evalstore.releases.export import TARGETS, export
from sinks.evalstore.releases.record import COLUMNS, record
from sinks.evalstore.releases.shapes import literal

GOLDEN = Path(__file__).parent / "golden"
TEXTS = [name for name, target in TARGETS.items() if not target.file.endswith(".parquet")]


def frozen(number: int, **changes: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "And if it is late?"}]
    values: dict[str, Any] = dict.fromkeys(COLUMNS) | {
        "case_id": f"00000000-0000-5000-8000-00000000000{number}",
        "cluster_id": f"c-{number:012x}",
        "cluster_size": 3,
        "app": "shop",
        "environment": "production",
        "route": "chat",
        "trace_id": f"trace-{number}",
        "ts": 1_772_323_200_000 + number,
        "reasons": ["low_score", "correction"],
        "cluster_reasons": ["correction", "low_score"],
        "question": 'How long, "exactly", may I keep it?\nSay – é, 文, 😀.',
        "contexts": [
            {"id": "policy", "text": "Returns within 30 days.", "score": 0.5},
            {"id": "gone", "text": None, "score": None},
        ],
        "answer": "For ever.",
        "expected_answer": "30 days.",
        "expected_from": "reviewer",
        "labels": ["billing", "needs-docs"],
        "must": ["names the 30 days", "is brief"],
        "must_not": ["promises a {{refund}}"],
        "model": "m-1",
        "served_model": "m-1-0301",
        "prompt_version": "p7",
        "score": 0.2,
        "scorer": "offline",
        "cost_usd": 0.0123,
        "content_hash": "ab" * 32,
        "trace": json.dumps({"trace_id": f"trace-{number}", "user_id": "u-1", "messages": messages}),
    }
    return record(tuple((values | changes)[name] for name in COLUMNS))


UNWRITTEN: dict[str, Any] = {"expected_from": None, "labels": [], "must": [], "must_not": []}

CASES = [
    frozen(1),
    frozen(
        2,
        trace=json.dumps({"question": "Is it safe?"}),
        question="Is it safe?",
        expected_answer=None,
        **UNWRITTEN,
        reasons=["unsafe"],
        cluster_reasons=["unsafe"],
    ),
    frozen(
        3,
        contexts=None,
        answer=None,
        cost_usd=None,
        trace="{}",
        question="=1+1",
        expected_answer=None,
        **UNWRITTEN,
    ),
]


@pytest.mark.parametrize("target", TEXTS)
def test_the_shape_is_the_golden_file(target: str, tmp_path: Path) -> None:
    path = export(CASES, "r1", target, tmp_path)
    golden = GOLDEN / path.relative_to(tmp_path)
    if os.environ.get("GLEANER_WRITE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_bytes(path.read_bytes())
    assert path.read_bytes() == golden.read_bytes()


@pytest.mark.parametrize("target", TARGETS)
def test_every_case_is_there_and_no_failing_answer_is_expected(target: str, tmp_path: Path) -> None:
    path = export(CASES, "r1", target, tmp_path)
    if path.suffix == ".parquet":
        con = duckdb.connect()
        columns = "case_id, expected_answer, contexts, messages, expected_from, labels, must, must_not"
        rows = con.execute(f"SELECT {columns} FROM '{path}'").fetchall()
        assert [row[1] for row in rows] == ["30 days.", None, None]
        assert rows[0][4:] == (
            "reviewer",
            ["billing", "needs-docs"],
            ["names the 30 days", "is brief"],
            ["promises a {{refund}}"],
        )
        assert rows[1][4:] == (None, [], [], [])
        assert rows[0][2][1] == {"id": "gone", "text": None, "score": None}
        assert json.loads(rows[0][3])[1]["content"] == "And if it is late?"
        return
    text = path.read_text(encoding="utf-8")
    assert "u-1" not in text
    items = list(csv.DictReader(text.splitlines(keepends=True))) if target == "csv" else read(path)
    assert len(items) == 3
    for item in items[1:]:
        for name in (
            "expected_answer",
            "reference",
            "expected_output",
            "expected",
            "expectedOutput",
            "ideal",
            "target",
        ):
            assert not item.get(name)


@pytest.mark.parametrize("target", TARGETS)
def test_what_an_earlier_gleaner_froze_is_exported_without_what_it_did_not_know(
    target: str, tmp_path: Path
) -> None:
    earlier = [{name: value for name, value in case.items() if name not in UNWRITTEN} for case in CASES[1:]]
    path = export(earlier, "r1", target, tmp_path)
    if path.suffix == ".parquet":
        rows = duckdb.connect().execute(f"SELECT case_id, labels, must FROM '{path}'").fetchall()
        assert rows == [(case["case_id"], None, None) for case in earlier]
    elif target not in ("jsonl", "csv"):
        now = export(CASES[1:], "now", target, tmp_path)
        assert path.read_text().replace("r1", "now") == now.read_text() or target == "langfuse"


def test_a_lone_carriage_return_ends_no_row(tmp_path: Path) -> None:
    path = export([case | {"question": "How\rlong?"} for case in CASES], "r1", "csv", tmp_path)
    rows = duckdb.connect().execute(f"SELECT question FROM read_csv('{path}', header = true)").fetchall()
    assert rows == [("How\rlong?",)] * len(CASES)
    with path.open(encoding="utf-8", newline="") as file:
        assert [row["question"] for row in csv.DictReader(file)] == ["How\rlong?"] * len(CASES)


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    items: list[dict[str, Any]] = (
        json.loads(text)
        if path.suffix == ".json"
        else [json.loads(line) for line in text.split("\n") if line]
    )
    return items


def test_what_ragas_itself_reads(tmp_path: Path) -> None:
    """The package that the extra ``judge`` brings; the others are not dependencies."""
    dataset = pytest.importorskip("ragas").EvaluationDataset
    path = export(CASES, "r1", "ragas", tmp_path)
    samples = dataset.from_jsonl(path).samples
    assert [sample.user_input for sample in samples] == [case["question"] for case in CASES]
    assert [sample.reference for sample in samples] == ["30 days.", None, None]
    assert samples[0].retrieved_contexts == ["Returns within 30 days."]


@given(st.text(alphabet='{%#}" a', max_size=30) | st.sampled_from(["file://x", "package:x", "file://{{x}}"]))
def test_no_text_is_a_template_of_promptfoos(text: str) -> None:
    """Each tag that is left is one of ours, and stands for the characters that it quotes."""
    guarded = literal(text)
    parts = re.split(r'\{\{ "(\{\{|\{%|\{#|#\}|file://|package:)" \}\}', guarded)
    assert "".join(parts) == text
    # Between our tags nothing opens another, also not together with what comes next.
    assert not re.search(r"\{[{%#]|#\}", "\0".join(parts[::2]))
    assert not any(part.endswith("{") for part in parts[:-1:2]), "it would open the tag before ours does"
    assert not guarded.startswith(("file://", "package:"))
