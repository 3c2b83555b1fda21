"""Keys, lines, editor and pager of a real terminal."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from streams.commands.case_view import case_view
from streams.commands.printable import one_line, printable
from streams.review.desk import Entered


def is_there() -> bool:
    """Whether somebody sits before standard input and output."""
    return sys.stdin.isatty() and sys.stdout.isatty()


class RealTerminal:
    """A ``Terminal`` on standard input and output."""

    def __init__(self) -> None:
        with contextlib.suppress(ImportError):  # a Python without it reads lines as the terminal gives them
            import readline  # noqa: F401 - its import is what makes lines editable
        self._console = Console(highlight=False, emoji=False, markup=False)

    def size(self) -> tuple[int, int]:
        return shutil.get_terminal_size()

    def show(self, lines: list[Text]) -> None:
        self._console.clear()
        for line in lines:
            self._console.print(line, no_wrap=True, overflow="ellipsis", crop=True)

    def key(self) -> str:
        # What was typed before this is discarded: no key acts on a failure that was not on the screen yet.
        try:
            return click.getchar()
        except (KeyboardInterrupt, EOFError):
            return ""

    def line(self, prompt: str) -> str | None:
        try:
            return input(prompt)
        except (KeyboardInterrupt, EOFError):
            return None

    def write(self, text: str) -> Entered:
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        return self._edit(shlex.split(editor), text) if editor else self._lines(text)

    def _edit(self, editor: list[str], text: str) -> Entered:
        file = self.save(text)
        try:
            status = subprocess.run([*editor, str(file)], check=False).returncode
        except OSError as error:
            self.drop(file)
            self._console.print(
                Text(f"{printable(editor[0])}: {error.strerror}: write it here", style="bold")
            )
            return self._lines(text)
        except KeyboardInterrupt:
            status = 130
        return Entered(file.read_text(encoding="utf-8", errors="replace"), status == 0, file)

    def _lines(self, text: str) -> Entered:
        """Lines until an empty one. Broken off, what was entered is still there."""
        if text:
            self._console.print(Text(f"so far: {printable(text)}", style="dim"))
        self._console.print(Text("the right answer; an empty line ends it, nothing leaves it as it is:"))
        lines: list[str] = []
        while (line := self.line("| ")) is not None:
            if not line.strip():
                return Entered("\n".join(lines) if lines else text)
            lines.append(line)
        return Entered("\n".join(lines), False)

    def page(self, case: dict[str, Any]) -> None:
        # Plain text: no escape is sent to the pager, neither ours nor the case's.
        width = max(40, self._console.width - 1)
        with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
            Console(
                file=file, width=width, highlight=False, emoji=False, markup=False, color_system=None
            ).print(case_view(case))
            file.seek(0)
            click.echo_via_pager(file.read(), color=False)

    def save(self, text: str) -> Path:
        descriptor, name = tempfile.mkstemp(prefix="gleaner-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return Path(name)

    def drop(self, file: Path) -> None:
        file.unlink(missing_ok=True)

    def say(self, text: str) -> None:
        """A line below the screen, such as the last words of a session."""
        self._console.print(Text(one_line(text)))
