"""Forget a person or a trace: their rows go, and do not come back with a replay.

What is remembered is a keyed hash, so that the record names nobody. Whoever holds the store and guesses an
id can test the guess: a record that holds against replays cannot know less.
"""

from __future__ import annotations

import json
import re
import secrets
from base64 import b64decode
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.case import EvalCase
from schemas.dead_letter import DeadLetter
from sinks.evalstore.annotations import forget_annotations
from sinks.evalstore.build import Storable
from sinks.evalstore.fields import moment, time_of
from sinks.evalstore.regroup import unsplit_forgotten
from sinks.evalstore.releases.freezing import unfreeze_forgotten

GONE = "[forgotten]"
"""Stands where an alarm or an incident named the user as its cause, or the trace as an example."""


class Kind(StrEnum):
    USER = "user"
    TRACE = "trace"


class Forget(NamedTuple):
    """Whom or what to forget; ``app`` None: in all apps."""

    kind: Kind
    value: str
    app: str | None = None


def read_forget(request: Any) -> Forget:
    """A request that came as JSON; raises ``ValueError`` where it is none.

    >>> read_forget({"forget": {"kind": "user", "value": "u-1", "app": None}})
    Forget(kind=<Kind.USER: 'user'>, value='u-1', app=None)
    """
    wanted = request.get("forget") if isinstance(request, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError("no request to forget")
    value, app = wanted.get("value"), wanted.get("app")
    if not isinstance(value, str) or not value or not isinstance(app, str | None):
        raise ValueError("no id to forget")
    return Forget(Kind(str(wanted.get("kind"))), value, app)


class Forgotten(NamedTuple):
    """Rows that went; ``mentions`` are alarms and incidents that no longer name the user or trace."""

    cases: int = 0
    case_events: int = 0
    dead_letters: int = 0
    mentions: int = 0


class Tombstones:
    """What must not be written again, since when."""

    def __init__(self, key: str, latest: dict[str, int]) -> None:
        self._key, self._latest = bytes.fromhex(key), latest

    @classmethod
    def load(cls, con: DuckDBPyConnection) -> Tombstones:
        key = con.execute("SELECT key FROM forget_key").fetchone()
        rows = con.execute("SELECT identity, epoch_ms(max(forgotten_at)) FROM forgotten GROUP BY identity")
        return cls(key[0] if key else "", dict(rows.fetchall()))

    def identity(self, what: Forget) -> str:
        text = json.dumps([what.kind, what.app, what.value])
        return blake2b(text.encode(), key=self._key, digest_size=32).hexdigest()

    def cover(self, value: Storable) -> bool:
        """Whether ``value`` is a case or a dead letter of whom or what was forgotten."""
        if not self._latest:
            return False
        if isinstance(value, EvalCase):
            trace, feedback = value.trace or {}, value.feedback or {}
            owner = trace.get("user_id")
            # Feedback of today may be of an old trace that names nobody: it would bring the trace back.
            said = time_of(feedback, value.time) if owner is not None else value.time
            users = [(owner, value.time), (feedback.get("user_id"), said)]
            return self._is_gone(Kind.TRACE, value.trace_id, value.app, value.time) or any(
                self._is_gone(Kind.USER, str(user), value.app, time)
                for user, time in users
                if user is not None
            )
        if isinstance(value, DeadLetter):
            return any(
                self._is_gone(kind, found, None, value.broker_time) for kind, found in _named_in(value)
            )
        return False

    def _is_gone(self, kind: Kind, value: str, app: str | None, time: int) -> bool:
        for where in {None, app}:
            since = self._latest.get(self.identity(Forget(kind, value, where)))
            if since is not None and (kind is Kind.TRACE or time <= since):
                return True
        return False


_NAMED = re.compile(r'"(user|trace)_id"\s{0,8}:\s{0,8}("(?:[^"\\]|\\.){0,1024}"|\d{1,32})')


def _named_in(letter: DeadLetter) -> list[tuple[Kind, str]]:
    """Users and traces that a refused event names, as far as it can be read."""
    original = letter.original
    if letter.original_encoding == "base64":
        original = b64decode(original).decode(errors="replace")
    found = []
    for name, quoted in _NAMED.findall(original):
        try:
            found.append((Kind(name), str(json.loads(quoted))))
        except ValueError:
            continue  # a broken escape: no value that a request could name
    return found


def forget(con: DuckDBPyConnection, what: Forget, now: int) -> Forgotten:
    """Delete the rows and write the record, within the caller's transaction; ``now`` in epoch ms.

    A user's cases are those whose trace names the user, or names none and has feedback of the user; of
    other cases the user's feedback goes, and the case with it if nothing else made it one. Refused events go
    if the id stands in them, whatever their app. The files still hold the bytes afterwards: see ``erase``.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE doomed (case_id VARCHAR)")
    values = {"value": what.value, "app": what.app}
    con.execute(_TRACE_CASES if what.kind is Kind.TRACE else _USER_CASES, values)
    events = 0
    if what.kind is Kind.USER:
        events += _count(con.execute(_USER_EVENTS, values))
        con.execute("INSERT INTO doomed SELECT case_id FROM cases ANTI JOIN case_events USING (case_id)")
    events += _count(con.execute("DELETE FROM case_events WHERE case_id IN (FROM doomed)"))
    unfreeze_forgotten(con, forget_annotations(con))
    unsplit_forgotten(con)
    con.execute("DELETE FROM case_clusters WHERE case_id IN (FROM doomed)")
    cases = _count(con.execute("DELETE FROM cases WHERE case_id IN (FROM doomed)"))
    con.execute("DROP TABLE doomed")
    quoted = json.dumps(what.value, ensure_ascii=False)
    forms = sorted({quoted, json.dumps(what.value)})
    letters = sum(_count(con.execute(_LETTERS, {"quoted": form})) for form in forms)
    mentions = sum(_unname(con, form) for form in forms)
    done = Forgotten(cases, events, letters, mentions)
    if con.execute("SELECT count(*) FROM forget_key").fetchone() == (0,):
        con.execute("INSERT INTO forget_key VALUES (?)", [secrets.token_hex(32)])
    identity = Tombstones.load(con).identity(what)
    con.execute(
        "INSERT INTO forgotten VALUES (?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING",
        [identity, what.kind.value, moment(now), *done],
    )
    return done


_TRACE_CASES = """INSERT INTO doomed SELECT case_id FROM cases
    WHERE trace_id = $value AND ($app IS NULL OR app = $app)"""
_USER_CASES = """INSERT INTO doomed SELECT case_id FROM cases
    WHERE ($app IS NULL OR app = $app) AND (coalesce(user_id, trace->>'$.user_id') = $value
        OR coalesce(user_id, trace->>'$.user_id') IS NULL
            AND case_id IN (SELECT case_id FROM case_events WHERE feedback->>'$.user_id' = $value))"""
_USER_EVENTS = """DELETE FROM case_events WHERE feedback->>'$.user_id' = $value
    AND ($app IS NULL OR case_id IN (SELECT case_id FROM cases WHERE app = $app))"""
_LETTERS = """DELETE FROM dead_letters WHERE contains(original, $quoted)
    OR original_encoding = 'base64' AND contains(hex(from_base64(original)), hex(encode($quoted)))"""
_NAMING = (("signals", "body"), ("incident_revisions", "body"))


def _unname(con: DuckDBPyConnection, quoted: str) -> int:
    changed = 0
    for table, column in _NAMING:
        query = f"""UPDATE {table} SET {column} = replace({column}::VARCHAR, $quoted, $gone)::JSON
            WHERE contains({column}::VARCHAR, $quoted)"""  # noqa: S608
        changed += _count(con.execute(query, {"quoted": quoted, "gone": json.dumps(GONE)}))
    return changed


def _count(cursor: Any) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0
