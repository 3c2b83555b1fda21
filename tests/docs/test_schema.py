"""``gleaner schema export``: what the schema lets through is what ingest takes, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from schemas.codec import Refused, validate
from streams.cli import app
from streams.commands.schema import event_schemas

TAKEN: tuple[tuple[str, dict[str, Any]], ...] = (
    ("trace", {"trace_id": "t"}),
    ("trace", {"trace_id": "t", "timestamp": "2026-03-01T00:00:00+02:00", "contexts": ["a", {"text": "b"}]}),
    ("trace", {"trace_id": "t", "timestamp": 1772323200000, "scores": {"faithfulness": 0.5}, "mine": [{}]}),
    ("trace", {"trace_id": "t", "timestamp": 0}),
    ("trace", {"trace_id": "t", "timestamp": None, "contexts": [], "cost_usd": 0, "success": False}),
    ("feedback", {"trace_id": "t", "kind": "rating", "value": 2}),
    ("feedback", {"trace_id": "t", "kind": "correction", "corrected_answer": "Two."}),
    ("change", {"dimension": "release", "to": "7", "from": None}),
)
REFUSED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("trace", {}),
    ("trace", {"trace_id": ""}),
    ("trace", {"trace_id": 7}),
    ("trace", {"trace_id": "t", "timestamp": True}),
    ("trace", {"trace_id": "t", "timestamp": 1772323200}),
    ("feedback", {"trace_id": "t", "kind": "escalation", "timestamp": 1772323200.5}),
    ("trace", {"trace_id": "t", "input_tokens": -1}),
    ("trace", {"trace_id": "t", "contexts": "one"}),
    ("trace", {"trace_id": "t", "scores": {"faithfulness": "good"}}),
    ("feedback", {"trace_id": "t"}),
    ("feedback", {"trace_id": "t", "kind": "shrug"}),
    ("change", {"dimension": "release"}),
)


@pytest.mark.parametrize(("kind", "event"), TAKEN + REFUSED)
def test_as_ingest_decides(kind: Any, event: dict[str, Any]) -> None:
    taken = not isinstance(validate(kind, event), Refused)
    assert taken is ((kind, event) in TAKEN)
    assert Draft202012Validator(event_schemas()[kind]).is_valid(event) is taken


def test_export_writes_a_schema_for_each_event(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schema", "export", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "trace.json",
        "feedback.json",
        "change.json",
    }
    for path in (tmp_path / "new").iterdir():
        Draft202012Validator.check_schema(json.loads(path.read_text()))
