"""The parts of the demo that need no broker: folder, settings, Slack as text, chart."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from schemas.effect import EffectKind, NotifyReason
from schemas.signal import SignalName
from sinks import words
from sinks.base import Message
from sinks.evalstore import StoreOwner, totals
from sinks.samples import SAMPLES
from sinks.slack.render import render
from streams.commands.fail import Failed
from streams.commands.program import program
from streams.commands.reader import reader
from streams.demo.chart import ROWS, Hour, chart, merge
from streams.demo.home import Home, home
from streams.demo.report import Report
from streams.demo.slack_view import WIDTH, slack_panel
from streams.demo.surroundings import environment, surrounded
from streams.settings import Settings
from streams.simulate.scenarios import HOUR_MS, MONDAY_MS
from tests.evalstore.samples import MARCH, make_case, make_incident


def shown(*parts: object) -> str:
    console = Console(file=io.StringIO(), width=WIDTH)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Failed) as refusal, home(tmp_path):
        pytest.fail("was taken")
    assert refusal.value.status == 2
    assert str(tmp_path) in str(refusal.value)
    with pytest.raises(Failed), home(tmp_path / "notes.txt"):
        pytest.fail("was taken")


def test_a_new_folder_is_made_and_stays(tmp_path: Path) -> None:
    with home(tmp_path / "new" / "demo") as where:
        assert where.store.parent == tmp_path / "new" / "demo"
    assert where.path.is_dir()


def test_the_demos_own_folder_stays_and_the_next_demo_replaces_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with home(None) as where:
        (where.path / "old").touch()
        with pytest.raises(Failed, match="another demo is running"), home(None):
            pytest.fail("was taken twice")
    assert where.path == tmp_path / "gleaner-data" / "demo"
    assert (where.path / "old").exists()
    with home(None) as again:
        assert not (again.path / "old").exists()


def test_what_no_demo_made_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "gleaner-data" / "demo" / "mine"
    mine.mkdir(parents=True)
    with pytest.raises(Failed, match="not made by a demo"), home(None):
        pytest.fail("was replaced")
    assert mine.exists()


def test_while_there_is_no_other_store_the_demos_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GLEANER_STATE_DIR", raising=False)
    with home(None) as where, StoreOwner.open(where.store) as owner:
        owner.publish(now=0)
    with reader(None) as store:
        assert totals(store).cases == 0
    assert "this is the demo's" in capsys.readouterr().err


def test_nothing_that_is_configured_around_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gleaner.toml").write_text(
        'topic_prefix = "mine-"\njudge_url = "http://judge"\nflush_size = 3\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLEANER_SCORE_RATE", "0.1")
    monkeypatch.setenv("GLEANER_STORE_PATH", "/somewhere/else.duckdb")
    where = Home(tmp_path / "demo")
    with surrounded(environment(where)):
        settings = Settings()
        os.environ["GLEANER_BROKERS"] = "broker:1"
    assert (settings.topic_prefix, settings.judge_url, settings.score_rate) == ("", "", 1.0)
    assert settings.flush_size == Settings.model_fields["flush_size"].default
    assert settings.store_file() == where.store
    assert os.environ["GLEANER_SCORE_RATE"] == "0.1"
    assert "GLEANER_BROKERS" not in os.environ


def test_the_commands_that_it_ends_with_run_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with home(Path("my demo")) as where, StoreOwner.open(where.store) as owner:
        owner.write([make_case(1)], incidents=[make_incident(1)], now=MARCH)
        owner.publish(MARCH)
        console = Console(file=io.StringIO(), width=WIDTH)
        Report(console, where, None, None).next()  # type: ignore[arg-type]
    file = console.file
    assert isinstance(file, io.StringIO)
    commands = [shlex.split(line, comments=True) for line in file.getvalue().splitlines()[2:]]
    assert [words[0] for words in commands] == [program(), program(), "xdg-open", program()]
    assert commands[3][2] == "my demo/events.jsonl"
    listed, asked = (
        subprocess.run(words, capture_output=True, text=True, env=os.environ | {"COLUMNS": "80"}, check=False)
        for words in commands[:2]
    )
    assert (listed.returncode, asked.returncode) == (0, 0), listed.stderr + asked.stderr
    assert len(asked.stdout.splitlines()) == 3, "one incident is one line"


def test_a_command_is_called_as_the_reader_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / ".venv" / "bin" / "gleaner"
    own.parent.mkdir(parents=True)
    own.touch(mode=0o755)
    monkeypatch.setattr("sys.executable", str(own.with_name("python")))
    monkeypatch.setenv("PATH", os.defpath)
    monkeypatch.chdir(tmp_path)
    assert program() == ".venv/bin/gleaner"
    monkeypatch.chdir("/")
    assert program() == str(own).removeprefix("/")
    monkeypatch.chdir(own.parent)
    assert program() == "./gleaner"
    monkeypatch.setenv("PATH", str(own.parent))
    assert program() == "gleaner"


def test_a_slack_message_is_shown_as_it_was_delivered() -> None:
    for incident in SAMPLES.values():
        body = render(Message("outbox-1", EffectKind.POST, NotifyReason.FIRST, incident))
        text = shown(slack_panel(body))
        assert incident.app in text
        assert ("Do first" in text) == words.to_do(incident)
        assert "<!date" not in text
        assert max(map(len, text.splitlines())) <= WIDTH


def test_foreign_text_is_no_markup() -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "[red]not red[/red] &lt;@U1&gt; *bold*"}}
    text = shown(slack_panel({"text": "x", "blocks": [block]}))
    assert "[red]not red[/red] <@U1> bold" in text


def test_chart_shows_hours_baseline_and_onset() -> None:
    hours = [Hour(MONDAY_MS + h * HOUR_MS, 10, 9.0 if h < 90 else 4.0) for h in range(8, 100) if h % 24 > 6]
    onset = MONDAY_MS + 90 * HOUR_MS
    text = shown(*chart(hours, 0.9, onset, SignalName.FAITHFULNESS, WIDTH)).splitlines()
    assert len(text) == ROWS + 2
    assert all(len(line) <= WIDTH for line in text)
    assert "╵Mon" in text[-2]
    assert text[-1].endswith("since 18:00 ▲"), "no room to the right"
    assert "┄" in "".join(text)
    assert text[0].startswith("  1.00 ")


def test_chart_of_nothing_is_no_error() -> None:
    assert merge([], 50) == []
    assert chart([], 0.0, MONDAY_MS, SignalName.COST, WIDTH)
