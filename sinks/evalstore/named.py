"""Whom and what a refused event names: by its fields where it can be read, else by its words.

What was refused is often broken in the very field that names somebody: a number instead of a text, or half of
an event. So ids are compared as text, and all of what stands under a name counts.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any, NamedTuple

USER, TRACE = "user_id", "trace_id"
DEFAULT_APP = "default"
"""The app of an event that names none."""
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")
_WORD = re.compile(r"""[^\s"'`,;=|&?<>(){}\[\]]+""")


class Named(NamedTuple):
    """What one event names; ``app`` None: what stands there is no app's name."""

    users: frozenset[str]
    traces: frozenset[str]
    app: str | None


def named_in(original: str, encoding: str) -> list[Named] | None:
    """What the events of a dead letter name; None where it holds no event that can be read.

    >>> named_in('{"user_id": 4711, "trace_id": ["t-1"]}', "utf-8")
    [Named(users=frozenset({'4711'}), traces=frozenset({'t-1'}), app='default')]
    >>> named_in('{"user_id": 47', "utf-8") is None
    True
    """
    named: list[Named] = []
    for text in readings(original, encoding):
        try:
            # Numbers as their digits: a float would not have all of them.
            found = json.loads(text, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            continue
        events = found if isinstance(found, list) else [found]
        if events and all(isinstance(event, dict) for event in events):
            named += [_named(event) for event in events]
    return named or None


def has_word(original: str, encoding: str, value: str) -> bool:
    """Whether a value stands in the text with no letter, digit or underscore beside it.

    >>> has_word('{"user_id": 47, "a', "utf-8", "47"), has_word('{"user_id": 471, "a', "utf-8", "47")
    (True, False)
    """
    forms = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    wanted = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(forms)))})(?!\w)")
    return any(wanted.search(text) for text in readings(original, encoding))


def words_in(original: str, encoding: str) -> set[str]:
    """The words of a text that cannot be read, without the colons and points around them.

    >>> sorted(words_in('{"user_id": "u:1", n: 7.', "utf-8"))
    ['7', 'n', 'u:1', 'user_id']
    """
    found = {word.strip(":.") for text in readings(original, encoding) for word in _WORD.findall(text)}
    return found - {""}


def readings(original: str, encoding: str) -> list[str]:
    """The text of a dead letter; of bytes that are not UTF-8 whatever they may have been meant to say."""
    if encoding == "utf-8":
        return [original]
    if encoding == "base64":
        data = b64decode(original)
    else:
        data = _ESCAPED.sub(lambda byte: chr(int(byte[1], 16)), original).encode("latin-1", "replace")
    codecs = ["utf-8", "latin-1"]
    if b"\0" in data:
        codecs += ["utf-16", "utf-16-le", "utf-16-be"]
    return [original, *(data.decode(codec, "replace") for codec in codecs)]


def _named(event: dict[str, Any]) -> Named:
    users: set[str] = set()
    traces: set[str] = set()
    waiting: list[Any] = [event]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            users.update(_leaves(value.get(USER)))
            traces.update(_leaves(value.get(TRACE)))
            if value.get("dimension") == USER:  # of a record of Gleaner's own: the cause of an alarm
                users.update(_leaves([value.get("from"), value.get("to")]))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    app = event.get("app")
    named = DEFAULT_APP if app is None else app
    return Named(frozenset(users), frozenset(traces), named if isinstance(named, str) else None)


def _leaves(value: Any) -> Iterator[str]:
    """All texts and numbers in a value; names inside it are no ids."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, str):
            yield inner
        elif isinstance(inner, dict):
            waiting += inner.values()
        elif isinstance(inner, list):
            waiting += inner
