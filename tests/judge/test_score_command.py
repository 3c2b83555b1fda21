"""``gleaner score``: a line for every row, and never a zero for what was not scored."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.judges.fake_endpoint import FakeJudge

ROOT = Path(__file__).parents[2]
GOOD = {
    "id": "r1",
    "question": "Where?",
    "contexts": ["The tower stands in Paris."],
    "answer": "The tower stands in Paris.",
}


def gleaner(*arguments: object, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings
    return subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", "score", *map(str, arguments)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines: list[Any] = [
        GOOD,
        GOOD | {"id": 2, "contexts": [{"id": "p", "text": "Lions sleep in Africa."}, {"id": "q"}]},
        GOOD | {"id": "blank", "answer": " "},
        GOOD | {"id": "bare", "contexts": []},
        {"id": "r5", "question": "Where?", "contexts": ["x"]},
        GOOD | {"id": "r6", "contexts": ["x", 3]},
        [1],
    ]
    path = tmp_path / "rows.jsonl"
    text = "\n\n".join(json.dumps(line) for line in lines) + '\n{"id": "r8", \n{"id": "r9", "answer": NaN}'
    path.write_bytes(text.encode())
    return path


def test_every_row_gives_a_line_with_a_score_or_the_reason(rows: Path) -> None:
    done = gleaner(rows, "--json")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(list(row) == ["id", "score", "scorer", "reason"] for row in results)
    assert {row["scorer"] for row in results} == {"offline_groundedness"}
    assert [row["id"] for row in results] == ["r1", 2, "blank", "bare", "r5", "r6", None, None, None]
    assert results[0]["score"] == 1.0
    assert 0 <= results[1]["score"] < 0.5
    assert [row["score"] for row in results[2:]] == [None] * 7
    reasons = [row["reason"] for row in results]
    assert reasons[2] == "no_answer: answer: is empty"
    assert reasons[3].startswith("no_contexts: ")
    assert reasons[4] == "line 9: answer: is missing"
    assert reasons[5].startswith("line 11: contexts.1: ")
    assert reasons[6].startswith("line 13: ")
    assert reasons[7].startswith("line 14: ")
    assert reasons[8].startswith("line 15: answer: ")


def test_for_people_it_ends_with_how_many_were_scored(rows: Path) -> None:
    done = gleaner(rows)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("1.000  r1  ")
    assert "2 of 9 answers scored, mean " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("/nonexistent.jsonl",), "/nonexistent.jsonl: No such file"),
        (("/",), "/: Is a directory"),
        (("rows", "--scorer", "bleu"), "--scorer: is offline or ragas, not bleu"),
        (("rows", "--scorer", "ragas"), "GLEANER_JUDGE_URL"),
    ],
)
def test_wrong_use_is_status_2_and_one_line(arguments: tuple[str, ...], told: str, rows: Path) -> None:
    done = gleaner(*(rows if word == "rows" else word for word in arguments), GLEANER_JUDGE_URL="")
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n\n")
    done = gleaner(tmp_path / "empty.jsonl", "--json")
    assert (done.returncode, done.stdout) == (0, "")


def test_with_a_judge_the_line_names_it(
    tmp_path: Path, ragas_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(GOOD) + "\n")
    with FakeJudge() as judge:
        monkeypatch.setenv("GLEANER_JUDGE_URL", judge.url)
        monkeypatch.setenv("GLEANER_JUDGE_MODEL", "good")
        # In this process, where ragas is imported already.
        done = CliRunner().invoke(app, ["score", str(path), "--scorer", "ragas", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "id": "r1",
        "score": 1.0,
        "scorer": "ragas_faithfulness",
        "reason": "1 of 1 statements are supported",
    }
