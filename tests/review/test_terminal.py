"""The review queue on a real terminal: its keys, an editor, and what the text of a case can do there."""

from __future__ import annotations

import os
import pty
import select
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.case import CaseReason
from sinks.evalstore import StoreOwner, find_case, open_for_reading
from sinks.evalstore.review_state import review_state
from streams.cli import app
from streams.commands.fail import Failed
from streams.review.desk import Entered
from streams.review.terminal import RealTerminal
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH

ROOT = Path(__file__).parents[2]
EVIL = "How long \x1b]0;owned\x07 \x1b[31m \x9b2J \u202e may I?"
LIMIT = 90.0
"""Seconds after which the program is taken to hang."""


ON_ITS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Ctrl-C is a signal to those whose terminal it is."""


class Session:
    """The command on a pseudo-terminal: what it wrote, and what is typed."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(self._master, (30, 100))
        self.process = subprocess.Popen(
            [sys.executable, "-c", ON_ITS_TERMINAL, "-m", "streams.cli", *arguments],
            cwd=ROOT,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=os.environ | {"TERM": "xterm", "PAGER": "cat"} | environment,
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""

    def until(self, text: str) -> str:
        """What came up to and with ``text``; it is then behind us."""
        deadline = time.monotonic() + LIMIT
        while text not in self.seen:
            ready, _, _ = select.select([self._master], [], [], 1)
            if time.monotonic() > deadline:
                raise AssertionError(f"waited for {text!r}, saw {self.seen!r}")
            if ready:
                try:
                    more = os.read(self._master, 65_536)
                except OSError:  # its end
                    more = b""
                if not more:
                    raise AssertionError(f"ended before {text!r}: {self.seen!r}")
                self.seen += more.decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def key(self, key: str) -> None:
        """Once the program waits for one: it discards what was typed before."""
        deadline = time.monotonic() + LIMIT
        while termios.tcgetattr(self._master)[3] & termios.ICANON:
            assert time.monotonic() < deadline, "it waits for no key"
            time.sleep(0.02)
        self.type(key)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


Start = Callable[[list[str], dict[str, str]], Session]


@pytest.fixture
def start() -> Iterator[Start]:
    sessions: list[Session] = []

    def started(arguments: list[str], environment: dict[str, str]) -> Session:
        sessions.append(Session(arguments, environment))
        return sessions[-1]

    yield started
    for session in sessions:
        session.close()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "store.duckdb"
    evil = failure(0, CaseReason.UNSAFE)
    trace = (evil.trace or {}) | {"question": EVIL, "answer": EVIL}
    with StoreOwner.open(path) as owner:
        owner.write([evil.model_copy(update={"trace": trace}), failure(1)], now=MARCH)
    return path


def test_a_session(store: Path, tmp_path: Path, start: Start) -> None:
    editor = tmp_path / "my editor"
    editor.write_text('#!/bin/sh\nprintf "Within 30 days.\\nNot later." > "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    drafts = tmp_path / "drafts"
    drafts.mkdir()
    session = start(
        ["cases", "review", "--store", str(store), "--actor", "ann"],
        {"EDITOR": f"'{editor}'", "VISUAL": "", "TMPDIR": str(drafts)},
    )
    first = session.until("q quit")
    assert "\\x1b]0;owned\\x07" in first, "shown, not obeyed"
    assert not any(mark in first for mark in ("\x1b]0;", "\x9b", "\u202e", "\x1b[31m"))
    session.key("l")
    session.until("takes one away): ")
    session.type("billing\r")
    assert "#billing" in session.until("q quit")
    session.key("e")
    assert "Within 30 days. Not later." in session.until("q quit")
    session.key("o")
    whole = session.until("why it is a case")
    assert "\x1b]0;" not in whole
    session.until("q quit")
    session.key("a")
    assert "low_score" in session.until("q quit")
    session.key("d")
    ended = session.until("gleaner cases undo")
    assert "1 accepted, 1 dismissed, 0 skipped" in ended
    assert session.process.wait(LIMIT) == 0
    assert list(drafts.iterdir()) == []
    with open_for_reading(store, MARCH) as con:
        case = find_case(con, "trace-0")
        assert (case["labels"], case["expected_answer"]) == (["billing"], "Within 30 days.\nNot later.")
        assert review_state(con, case["case_id"]).verdicts[0]["actor"] == "ann"
        assert review_state(con, failure(1).case_id).verdicts[0]["verdict"] == "dismissed"


def test_ctrl_c_ends_it_with_the_terminal_as_it_was(store: Path, start: Start) -> None:
    session = start(["cases", "review", "--store", str(store)], {"EDITOR": "", "VISUAL": ""})
    before = termios.tcgetattr(session._master)
    session.until("q quit")
    session.key("m")
    session.until("takes the first away): ")
    session.type("\x03")
    session.until("nothing was entered")
    session.until("q quit")
    session.key("e")
    session.until("| ")
    session.type("Within 30 days.\r\r")
    assert "Within 30 days." in session.until("q quit")
    session.key("\x03")
    session.until("0 accepted")
    after = termios.tcgetattr(session._master)
    assert session.process.wait(LIMIT) == 0
    assert before[:4] == after[:4]


def test_without_a_terminal_it_is_refused(store: Path) -> None:
    for arguments, said in (
        ([], "needs a terminal"),
        (["--accept"], "are for one case"),
        (["--note", "x"], "are for one case"),
        (["trace-0", "--accept", "--app", "shop"], "are for the queue"),
        (["trace-0"], "is the verdict"),
    ):
        result = CliRunner().invoke(app, ["cases", "review", *arguments, "--store", str(store)])
        assert isinstance(result.exception, Failed)
        assert said in str(result.exception)
        assert result.exception.status == 2


def test_editors_that_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    terminal = RealTerminal()
    broken = tmp_path / "broken"
    broken.write_text('#!/bin/sh\nprintf "half" > "$1"\nexit 3\n')
    broken.chmod(0o755)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", str(broken))
    entered = terminal.write("")
    assert entered == Entered("half", False, entered.file)
    assert entered.file is not None
    assert stat.S_IMODE(entered.file.stat().st_mode) == 0o600, "only its owner reads it"
    monkeypatch.setenv("EDITOR", str(tmp_path / "none"))
    monkeypatch.setattr("builtins.input", _typed("one", "two", ""))
    assert terminal.write("before") == Entered("one\ntwo")
    monkeypatch.setattr("builtins.input", _typed("half a line"))
    assert terminal.write("before") == Entered("half a line", False), "broken off, and still there"
    assert sorted(path.name for path in tmp_path.glob("gleaner-*")) == [entered.file.name]


def _typed(*lines: str) -> Callable[[str], str]:
    """These lines, and then Ctrl-C."""
    rest = iter(lines)

    def read(prompt: str) -> str:
        for line in rest:
            return line
        raise KeyboardInterrupt

    return read
