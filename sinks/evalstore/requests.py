"""What another process wants of a store's owner: small files in a directory beside the store.

``NAME.ask.json`` is a request, ``NAME.answer.json`` what became of it. The owner answers when it comes to it;
a request without an owner waits for the next one, or is taken back by whoever asked and could become it.
"""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path
from typing import Any, NamedTuple

SUFFIX = ".requests"
STATE = "state"
"""What of an answer holds texts of a case: see ``forget_texts``."""


class Asked(NamedTuple):
    """A request, when it was made (epoch ms), and its name: under one name it can be done twice and be done
    once."""

    request: Any
    at: int | None
    name: str


def new_name() -> str:
    """The name of a request, whoever comes to do it."""
    return uuid.uuid4().hex


def ask(store: Path, request: dict[str, Any], now: int | None = None, name: str | None = None) -> Path:
    """Leave a request; where its answer will be. Only the owner of the files can read them."""
    directory = store.with_name(store.name + SUFFIX)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = name or new_name()
    _write(directory / f"{name}.ask.json", {"request": request, "asked": now})
    return directory / f"{name}.answer.json"


def answer_to(path: Path) -> dict[str, Any] | None:
    """The answer, which is taken away, and the request where its owner has not come to that; None while there
    is none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    _request_of(path).unlink(missing_ok=True)
    path.unlink()
    return found


def take_back(path: Path) -> dict[str, Any] | None:
    """For whoever asked and has become the owner: the answer that the one before gave, or None where the
    request was left undone. Nobody will do it now.
    """
    reply = answer_to(path)
    _request_of(path).unlink(missing_ok=True)
    return reply


def _request_of(answer: Path) -> Path:
    return answer.with_name(answer.name.replace(".answer.", ".ask."))


def pending(store: Path) -> list[Path]:
    """The requests that wait, the oldest first."""
    waiting = store.with_name(store.name + SUFFIX).glob("*.ask.json")
    return sorted(waiting, key=lambda path: (path.stat().st_mtime_ns, path.name))


def read(request: Path) -> Asked:
    """The request; raises ``ValueError`` where it is no JSON."""
    found = json.loads(request.read_text())
    name = request.name.removesuffix(".ask.json")
    if not isinstance(found, dict) or "request" not in found:
        return Asked(found, None, name)  # of an earlier version
    asked = found.get("asked")
    return Asked(found["request"], asked if type(asked) is int else None, name)


def answer(request: Path, reply: dict[str, Any]) -> None:
    """Answer a request, which then goes: in that order, so that a crash repeats it and never drops it."""
    _write(request.with_name(request.name.replace(".ask.", ".answer.")), reply)
    request.unlink(missing_ok=True)  # who asked may have taken it away with the answer


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
