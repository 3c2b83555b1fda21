"""``gleaner publish``: one line that no message can hold stops no other, and wrong use is one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from asyncio import to_thread
from pathlib import Path

import pytest
from aiokafka.errors import UnknownTopicOrPartitionError
from typer import Typer
from typer.testing import CliRunner

from schemas.codec import Refused, validate
from schemas.topics import APP_MESSAGE_BYTES, CHANGES, FEEDBACK, TRACES
from streams.commands.broker import unreachable
from streams.commands.fail import Failed
from streams.commands.run import publish
from streams.commands.status import status
from streams.fetch import Fetcher
from streams.lag import lag
from streams.publish import topic_of
from streams.settings import Settings
from streams.topics import ensure_topics

CLI = CliRunner()
APP = Typer()
APP.command("publish")(publish)
APP.command("status")(status)


@pytest.fixture
async def settings(kafka: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = Settings(brokers=kafka, topic_prefix=f"p-{uuid.uuid4().hex[:12]}.", partitions=1)
    monkeypatch.setenv("GLEANER_BROKERS", made.brokers)
    monkeypatch.setenv("GLEANER_TOPIC_PREFIX", made.topic_prefix)
    return made


def lines(path: Path, many: int, *large: int) -> Path:
    with path.open("w") as file:
        for number in range(1, many + 1):
            answer = "x" * (APP_MESSAGE_BYTES + 1 if number in large else 10)
            file.write(json.dumps({"trace_id": f"t{number}", "answer": answer}) + "\n")
    return path


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf"])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, rate: str) -> None:
    file = lines(tmp_path / "events.jsonl", 60)
    problem = CLI.invoke(APP, ["publish", str(file), "--rate", rate]).exception
    assert isinstance(problem, Failed)
    assert (problem.status, "--rate: is above 0" in str(problem)) == (2, True)


def test_feedback_of_a_misspelt_kind_goes_where_that_is_said_of_it() -> None:
    event = {"trace_id": "t", "kind": "thumbs_down", "value": -1}
    assert topic_of("auto", event) is topic_of("auto", [event, {"trace_id": "u"}]) is FEEDBACK
    refused = validate("feedback", event)
    assert isinstance(refused, Refused)
    assert refused.message.startswith("kind: input should be 'rating'")
    assert topic_of("auto", {"event": "span", "trace_id": "t"}) is TRACES


@pytest.mark.parametrize("command", ["publish events.jsonl", "status", "status --wait 9", "topics create"])
def test_a_broker_that_is_away_is_one_line_with_what_to_do(tmp_path: Path, command: str) -> None:
    """The command's own: what the client complains of, and what was never closed, is not on the screen."""
    lines(tmp_path / "events.jsonl", 1)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "streams.cli", *command.split()],
        cwd=tmp_path,
        env=os.environ | {"GLEANER_BROKERS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=False,
    )
    away = "cannot be reached, or does not speak GLEANER_BROKER_PROTOCOL PLAINTEXT"
    assert done.stderr == f"gleaner: 127.0.0.1:1: {away}: start it, or set GLEANER_BROKERS to host:port\n"
    assert (done.returncode, done.stdout) == (1, "")


def test_the_embedded_broker_that_runs_here_is_named(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    assert "env" not in unreachable(settings)
    (tmp_path / "env").touch()
    assert f"`. {tmp_path / 'env'}` takes the embedded one that runs here" in unreachable(settings)


def test_a_broker_is_no_url() -> None:
    with pytest.raises(ValueError, match="is host:port"):
        Settings(brokers="http://localhost:9092")


@pytest.mark.kafka
async def test_one_line_that_is_too_large_stops_no_other(settings: Settings, tmp_path: Path) -> None:
    await ensure_topics(settings, (TRACES, FEEDBACK, CHANGES))
    file = lines(tmp_path / "events.jsonl", 60, 3, 58)
    arguments = ["publish", str(file), "--rate", "100000", "--json"]
    done = await to_thread(CLI.invoke, APP, arguments)
    assert done.exit_code == 1, done.exception
    summary = json.loads(done.stdout)
    assert (summary["events"], summary["messages"], summary["too_large"]) == (58, {"traces": 58}, 2)
    named = [line.split(": ")[0] for line in done.stderr.splitlines()]
    assert named == [f"{file}:3", f"{file}:58"]
    assert all("not published" in line for line in done.stderr.splitlines())


@pytest.mark.kafka
@pytest.mark.usefixtures("settings")
def test_topics_that_are_not_there_are_one_line() -> None:
    problem = CLI.invoke(APP, ["status"]).exception
    assert isinstance(problem, Failed), problem
    assert (problem.status, "topic" in str(problem), "\n" in str(problem)) == (1, True, False)


@pytest.mark.kafka
async def test_who_asks_for_a_topics_life_knows_one_kind_of_error(settings: Settings) -> None:
    with pytest.raises(UnknownTopicOrPartitionError, match=f"topic {settings.topic_prefix}"):
        await lag(settings, "rolling")
    with pytest.raises(UnknownTopicOrPartitionError):
        await Fetcher(settings).start()
