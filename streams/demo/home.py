"""The folder of a run: one of its own that is gone afterwards, or one that stays."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from streams.commands.fail import Failed


class Home:
    """``keep`` is None where nobody asked for what is in it."""

    def __init__(self, path: Path, keep: Path | None) -> None:
        self.path, self.keep = path, keep
        self.logs = path / "logs"
        self.store = path / "store.duckdb"
        self.events = path / "events.jsonl"

    def log_of(self, role: str) -> Path:
        return self.logs / f"{role}.log"


@contextlib.contextmanager
def home(keep: Path | None) -> Iterator[Home]:
    """A new folder, or ``keep`` if it is empty or not there yet.

    After a failure even the temporary one stays: its logs are what the message speaks of.
    """
    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise Failed(f"{keep}: is not an empty folder; give --keep one that is empty, or a new name")
        keep.mkdir(parents=True, exist_ok=True)
        yield Home(keep.absolute(), keep)
        return
    path = Path(tempfile.mkdtemp(prefix="gleaner-demo-"))
    try:
        yield Home(path, None)
    except Exception:
        raise
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    else:
        shutil.rmtree(path, ignore_errors=True)
