"""A terminal that plays a script: what is typed, and what was shown before each key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.text import Text

from streams.review.desk import Entered


class ScriptedTerminal:
    """A ``Terminal`` that plays a script: a text answers a key or a line, an ``Entered`` an editor."""

    def __init__(
        self, script: Iterable[str | Entered | None], folder: Path, size: tuple[int, int] = (100, 30)
    ):
        self._script: Iterator[str | Entered | None] = iter(script)
        self._folder, self._size = folder, size
        self.screens: list[list[str]] = []
        self.prompts: list[str] = []
        self.offered: list[str] = []
        self.paged: list[dict[str, Any]] = []

    def size(self) -> tuple[int, int]:
        return self._size

    def show(self, lines: list[Text]) -> None:
        self.screens.append([line.plain for line in lines])

    def key(self) -> str:
        key = next(self._script, "")
        assert isinstance(key, str), f"a key was wanted, the script has {key!r}"
        return key

    def line(self, prompt: str) -> str | None:
        self.prompts.append(prompt)
        line = next(self._script)
        assert not isinstance(line, Entered)
        return line

    def write(self, text: str) -> Entered:
        self.offered.append(text)
        entered = next(self._script)
        assert isinstance(entered, Entered)
        return entered

    def page(self, case: dict[str, Any]) -> None:
        self.paged.append(case)

    def save(self, text: str) -> Path:
        path = self._folder / f"saved-{len(list(self._folder.glob('saved-*')))}.txt"
        path.write_text(text)
        return path

    def drop(self, file: Path) -> None:
        file.unlink()
