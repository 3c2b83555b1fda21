"""What a command loads: nothing that only another one needs. To load it all would take seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "aiohttp",
    "aiokafka",
    "confluent_kafka",
    "duckdb",
    "fastapi",
    "faust",
    "numpy",
    "openai",
    "ragas",
    "rocksdict",
    "slack_sdk",
    "uvicorn",
    "yaml",
}
PROGRAM = """
import sys
from streams.cli import main
try:
    main()
finally:
    print("loaded:", *{name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--help"], ""),
        (["backtest", "--help"], ""),
        (["incidents", "list"], ""),
        (["backtest", "--events", "events.jsonl"], "numpy"),
        (["replay", "events.jsonl", "--store", "replay.duckdb"], "numpy duckdb"),
    ],
)
def test_a_command_loads_what_it_needs(tmp_path: Path, arguments: list[str], needed: str) -> None:
    event = {"trace_id": "t", "timestamp": 1_772_438_400_000, "app": "shop", "question": "?", "answer": "!"}
    (tmp_path / "events.jsonl").write_text(json.dumps(event) + "\n")
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    loaded = done.stderr.rpartition("loaded:")[2].split()
    assert "streams" in loaded, done.stderr
    assert HEAVY & set(loaded) <= set(needed.split())


@pytest.mark.parametrize("arguments", [["cases", "list", "--app", b"a\xff"], [b"\xed\xa0\x80"]])
def test_arguments_that_are_no_text_are_one_line(arguments: list[str | bytes]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from streams.cli import main; main()", *arguments],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        "gleaner: argument 'a\\udcff': " if len(arguments) > 1 else "gleaner: argument "
    )
    assert done.stderr.count("\n") == 1
