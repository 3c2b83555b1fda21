"""Texts that were entered and are not stored yet: each in a file of its own, until it is."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from sinks.evalstore.annotations import Kind

Key = tuple[str, Kind]
"""Of which case, and what of it."""


class Files(Protocol):
    def save(self, text: str) -> Path:
        """Write a text to a file of its own, which only its owner can read."""

    def drop(self, file: Path) -> None:
        """The file is not needed any more."""


class Draft(NamedTuple):
    text: str
    file: Path


class Drafts:
    """On disk before the store is asked: a closed terminal, a killed process or a lost store loses none."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._drafts: dict[Key, Draft] = {}

    def keep(self, key: Key, text: str, file: Path | None = None) -> None:
        """``file``: where it is already. A former draft of the same goes."""
        before = self._drafts.get(key)
        if before is not None and before.text == text and file is None:
            return
        self._drafts[key] = Draft(text, file or self._files.save(text))
        if before is not None and before.file != file:
            self._files.drop(before.file)

    def of(self, key: Key) -> str | None:
        draft = self._drafts.get(key)
        return None if draft is None else draft.text

    def done(self, key: Key) -> None:
        """It is stored, or not wanted any more."""
        draft = self._drafts.pop(key, None)
        if draft is not None:
            self._files.drop(draft.file)

    @property
    def left(self) -> list[Path]:
        return [draft.file for draft in self._drafts.values()]
