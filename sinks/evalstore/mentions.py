"""Where alarms and incidents name a user or a trace, and the same records without.

Only the fields that hold ids are looked at, and the words that Gleaner puts them in: an id may well be
another word, too, such as the name of an environment or of a field.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple

from sinks.evalstore.named import USER

GONE = "[forgotten]"
"""Stands where an alarm or an incident named the user as its cause, or the trace as an example."""
SAID = "said: "
"""Before what somebody said, in the excerpt of a case that an incident shows."""
TEXTS = frozenset({"reason", "baseline_note", "detail", "why", "notes", "ruled_out"})


class Forgettable(NamedTuple):
    """What is to be named no more. ``traces`` and ``cases`` are of the record's app, by id.

    ``heard``: cases that stay, of which something that was said is gone.
    """

    user: str | None
    traces: Collection[str]
    cases: Collection[str]
    heard: Collection[str] = ()


def unnamed(record: Any, what: Forgettable) -> tuple[Any, bool]:
    """An alarm's or an incident's JSON without what is forgotten, and whether anything was.

    >>> alarm = {"route": "u-1", "cause": {"dimension": "user_id", "to": "u-1"}, "reason": "user u-1 has"}
    >>> unnamed(alarm, Forgettable("u-1", (), ()))[0]["cause"]["to"]
    '[forgotten]'
    """
    changed = False
    wanted = None if what.user is None else re.compile(rf"(?<!\w)user {re.escape(what.user)}(?!\w)")

    def put(old: Any, new: Any) -> Any:
        nonlocal changed
        changed = changed or old != new
        return new

    def said(value: Any) -> Any:
        if isinstance(value, list):
            return [said(one) for one in value]
        if wanted is None or not isinstance(value, str):
            return value
        return put(value, wanted.sub(f"user {GONE}", value))

    def field(record: dict[str, Any], name: str, value: Any) -> Any:
        if name in ("from", "to") and record.get("dimension") == USER and what.user is not None:
            return put(value, GONE if value == what.user else value)
        if name == "examples" and isinstance(value, list):
            return put(value, [GONE if one in what.traces else one for one in value])
        if name == "cases" and isinstance(value, list):
            return put(value, [one for one in value if not _tells(one, what)])
        return said(value) if name in TEXTS else walk(value)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: field(value, name, inner) for name, inner in value.items()}
        return [walk(one) for one in value] if isinstance(value, list) else value

    done = walk(record)
    return done, changed


def _tells(preview: Any, what: Forgettable) -> bool:
    """Whether the excerpt of a case is of one that goes, or may hold what was said of one that stays."""
    if not isinstance(preview, dict):
        return False
    case = preview.get("case_id")
    heard = case in what.heard and SAID in str(preview.get("excerpt"))
    return case in what.cases or preview.get("trace_id") in what.traces or heard
