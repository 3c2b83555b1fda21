"""What another process wants of a store's owner: small files in a directory beside the store.

``NAME.ask.json`` is a request, ``NAME.answer.json`` what became of it. The owner answers when it comes to it;
a request without an owner waits for the next one.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any

SUFFIX = ".requests"
STATE = "state"
"""What of an answer holds texts of a case: see ``forget_texts``."""


def ask(store: Path, request: dict[str, Any]) -> Path:
    """Leave a request; where its answer will be. Only the owner of the files can read them."""
    directory = store.with_name(store.name + SUFFIX)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    _write(directory / f"{name}.ask.json", request)
    return directory / f"{name}.answer.json"


def answer_to(path: Path) -> dict[str, Any] | None:
    """The answer, which is taken away; None while there is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    path.unlink()
    return found


def pending(store: Path) -> list[Path]:
    """The requests that wait, the oldest first."""
    waiting = store.with_name(store.name + SUFFIX).glob("*.ask.json")
    return sorted(waiting, key=lambda path: (path.stat().st_mtime_ns, path.name))


def read(request: Path) -> Any:
    """The request; raises ``ValueError`` where it is no JSON."""
    return json.loads(request.read_text())


def answer(request: Path, reply: dict[str, Any]) -> None:
    """Answer a request, which then goes: in that order, so that a crash repeats it and never drops it."""
    _write(request.with_name(request.name.replace(".ask.", ".answer.")), reply)
    request.unlink()


def forget_texts(store: Path) -> None:
    """Take the texts out of answers that nobody has fetched: their asker may have gone."""
    for path in store.with_name(store.name + SUFFIX).glob("*.answer.json"):
        try:
            found = json.loads(path.read_text())
        except FileNotFoundError:  # fetched just now
            continue
        if STATE in found:
            _write(path, {name: value for name, value in found.items() if name != STATE})


def _write(path: Path, value: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".new")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file)
    os.replace(unfinished, path)
