"""The folder of a run: the one that was asked for, or the demo's own, which the next demo replaces."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

import typer

from streams.commands.fail import Failed

OWN = Path("gleaner-data/demo")
"""Where a demo leaves its store if nobody says where: `gleaner cases list` finds it there."""
MARK = "made-by-gleaner-demo"
"""A folder is replaced only if this file says that a demo made it."""


class Home:
    """``path`` is absolute; ``shown`` is how a person in the current folder would write it."""

    def __init__(self, shown: Path) -> None:
        self.shown, self.path = shown, shown.absolute()
        self.logs = self.path / "logs"
        self.store = self.path / "store.duckdb"
        self.events = self.path / "events.jsonl"
        self.slack = self.path / "slack.html"
        """The fake Slack's channel as it was in the end, for a browser."""

    def log_of(self, role: str) -> Path:
        return self.logs / f"{role}.log"


@contextlib.contextmanager
def home(keep: Path | None) -> Iterator[Home]:
    """``keep`` if it is empty or not there yet; None takes the demo's own folder, and replaces what an
    earlier demo left there. Either way it stays.
    """
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise Failed(f"{keep}: is not an empty folder; give --keep one that is empty, or a new name")
        keep.mkdir(parents=True, exist_ok=True)
        yield Home(keep)
        return
    OWN.parent.mkdir(parents=True, exist_ok=True)
    with (OWN.parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failed(f"{OWN}: another demo is running here; give this one a folder with --keep") from None
        if OWN.exists():
            if not (OWN / MARK).exists():
                raise Failed(f"{OWN}: was not made by a demo; move it, or give --keep another folder")
            typer.echo(f"{OWN}: replaces what the last demo left here; --keep names another folder", err=True)
            shutil.rmtree(OWN)
        OWN.mkdir()
        (OWN / MARK).touch()
        yield Home(OWN)
