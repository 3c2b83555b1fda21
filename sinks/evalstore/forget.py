"""Forget a person or a trace: their rows go, and do not come back with a replay.

What is remembered is a keyed hash, so that the record names nobody. Whoever holds the store and guesses an
id can test the guess: a record that holds against replays cannot know less.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.case import EvalCase
from schemas.dead_letter import DeadLetter
from sinks.evalstore.annotations import forget_annotations
from sinks.evalstore.build import Storable
from sinks.evalstore.fields import moment, time_of
from sinks.evalstore.mentions import Forgettable, unnamed
from sinks.evalstore.named import has_word, named_in, words_in
from sinks.evalstore.regroup import unsplit_forgotten
from sinks.evalstore.releases.unfreezing import uncorrect, unfreeze_forgotten, unname_conditions

LETTER = "letter"
"""Kind of the record of one refused event, where that of the user or the trace would let it back in."""
CHUNK = 200


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
    """Rows that went; ``mentions`` are alarms and incidents that no longer name the user or trace, frozen
    cases without the user's correction, and releases whose condition named the id."""

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

    def identity(self, kind: str, app: str | None, value: str) -> str:
        text = json.dumps([kind, app, value])
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
            letter = Letter(value.id, value.original, value.original_encoding, value.broker_time)
            return self.cover_letter(letter)
        return False

    def cover_letter(self, letter: Letter) -> bool:
        """Whether a refused event names whom or what was forgotten, or is one that did."""
        time = letter.broker_time or 0
        if self._is_gone(LETTER, letter.id, None, time):
            return True
        events = named_in(letter.original, letter.encoding)
        if events is None:
            words = words_in(letter.original, letter.encoding)
            return any(self._is_gone(kind, word, None, time) for word in words for kind in Kind)
        return any(
            self._is_gone(kind, name, event.app, time)
            for event in events
            for kind, names in ((Kind.USER, event.users), (Kind.TRACE, event.traces))
            for name in names
        )

    def _is_gone(self, kind: str, value: str, app: str | None, time: int) -> bool:
        for where in {None, app}:
            since = self._latest.get(self.identity(kind, where, value))
            if since is not None and (kind != Kind.USER or time <= since):
                return True
        return False


class Letter(NamedTuple):
    """What of a dead letter tells whom it names; ``broker_time`` in epoch ms."""

    id: str
    original: str
    encoding: str
    broker_time: int | None

    def names(self, what: Forget) -> bool:
        """Whether an event in it names the id, in the wanted app, or cannot be read and has it as a word."""
        events = named_in(self.original, self.encoding)
        if events is None:
            return has_word(self.original, self.encoding, what.value)
        return any(
            what.value in (event.users if what.kind is Kind.USER else event.traces)
            and (what.app is None or event.app in (None, what.app))
            for event in events
        )


def forget(con: DuckDBPyConnection, what: Forget, now: int) -> Forgotten:
    """Delete the rows and write the record, within the caller's transaction; ``now`` in epoch ms.

    A user's cases are those whose trace names the user, or names none and has feedback of the user; of other
    cases the user's feedback goes, out of frozen releases too, and the case with it if nothing else made it
    one. Refused events go if they name the id; alarms and incidents stay, without it. The files still hold
    the bytes afterwards: see ``erase``.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE doomed (case_id VARCHAR)")
    values = {"value": what.value, "app": what.app}
    con.execute(_TRACE_CASES if what.kind is Kind.TRACE else _USER_CASES, values)
    said: list[tuple[str, str | None]] = []
    if what.kind is Kind.USER:
        said = con.execute(_USER_EVENTS, values).fetchall()
        con.execute("INSERT INTO doomed SELECT case_id FROM cases ANTI JOIN case_events USING (case_id)")
    events = len(said) + _count(con.execute("DELETE FROM case_events WHERE case_id IN (FROM doomed)"))
    unfreeze_forgotten(con, forget_annotations(con))
    unsplit_forgotten(con)
    mentions = uncorrect(con, {(case_id, text) for case_id, text in said if text is not None})
    mentions += _unname(con, what, {case_id for case_id, _ in said})
    mentions += unname_conditions(con, what.value, what.app)
    con.execute("DELETE FROM case_clusters WHERE case_id IN (FROM doomed)")
    cases = _count(con.execute("DELETE FROM cases WHERE case_id IN (FROM doomed)"))
    con.execute("DROP TABLE doomed")
    letters = [letter for letter in _letters(con) if letter.names(what)]
    con.execute(
        "DELETE FROM dead_letters WHERE id IN (SELECT unnest(?::VARCHAR[]))",
        [[letter.id for letter in letters]],
    )
    done = Forgotten(cases, events, len(letters), mentions)
    _remember(con, what, now, done, letters)
    return done


_TRACE_CASES = """INSERT INTO doomed SELECT case_id FROM cases
    WHERE trace_id = $value AND ($app IS NULL OR app = $app)"""
_USER_CASES = """INSERT INTO doomed SELECT case_id FROM cases
    WHERE ($app IS NULL OR app = $app) AND (coalesce(user_id, trace->>'$.user_id') = $value
        OR coalesce(user_id, trace->>'$.user_id') IS NULL
            AND case_id IN (SELECT case_id FROM case_events WHERE feedback->>'$.user_id' = $value))"""
_USER_EVENTS = """DELETE FROM case_events WHERE feedback->>'$.user_id' = $value
    AND ($app IS NULL OR case_id IN (SELECT case_id FROM cases WHERE app = $app))
    RETURNING case_id, expected_answer"""
_NAMING = (("signals", ("id",)), ("incident_revisions", ("id", "revision")))


def _remember(
    con: DuckDBPyConnection, what: Forget, now: int, done: Forgotten, letters: list[Letter]
) -> None:
    if con.execute("SELECT count(*) FROM forget_key").fetchone() == (0,):
        con.execute("INSERT INTO forget_key VALUES (?)", [secrets.token_hex(32)])
    tombstones = Tombstones.load(con)
    insert = "INSERT INTO forgotten VALUES (?, ?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING"
    identity = tombstones.identity(what.kind, what.app, what.value)
    con.execute(insert, [identity, what.kind.value, moment(now), *done])
    tombstones = Tombstones.load(con)
    for letter in letters:
        if not tombstones.cover_letter(letter):
            identity = tombstones.identity(LETTER, None, letter.id)
            con.execute(insert, [identity, LETTER, moment(now), *Forgotten()])


def _letters(con: DuckDBPyConnection) -> Iterator[Letter]:
    """All of them: what they name can be written in more ways than a database could look for."""
    cursor = con.execute("SELECT id, original, original_encoding, epoch_ms(broker_time) FROM dead_letters")
    while rows := cursor.fetchmany(CHUNK):
        yield from (Letter(*row) for row in rows)


def _unname(con: DuckDBPyConnection, what: Forget, heard: set[str]) -> int:
    """Take the names out of alarms and incidents; how many rows had any. ``doomed`` says which cases go."""
    query = "SELECT app, trace_id, case_id FROM cases JOIN doomed USING (case_id)"
    gone = con.execute(query).fetchall()
    changed = 0
    for table, key in _NAMING:
        cursor = con.execute(
            f"SELECT {', '.join(key)}, app, body::VARCHAR FROM {table} WHERE $app IS NULL OR app = $app",  # noqa: S608
            {"app": what.app},
        )
        renewed = []
        by_app: dict[str, Forgettable] = {}
        while rows := cursor.fetchmany(CHUNK):
            for *of, app, body in rows:
                if app not in by_app:
                    by_app[app] = _forgettable(what, [row for row in gone if row[0] == app], heard)
                record, named = unnamed(json.loads(body), by_app[app])
                if named:
                    renewed.append((of, record))
        for of, record in renewed:
            values = {"body": json.dumps(record, ensure_ascii=False, separators=(",", ":"))}
            values |= {"reason": record.get("reason")} if table == "signals" else {}
            changes = ", ".join(f"{name} = ${name}" for name in values)
            where = " AND ".join(f"{name} = ${name}" for name in key)
            con.execute(
                f"UPDATE {table} SET {changes} WHERE {where}",  # noqa: S608
                values | dict(zip(key, of, strict=True)),
            )
        changed += len(renewed)
    return changed


def _forgettable(what: Forget, gone: list[tuple[str, str, str]], heard: set[str]) -> Forgettable:
    cases = {case_id for _, _, case_id in gone}
    if what.kind is Kind.TRACE:
        return Forgettable(None, {what.value}, cases)
    return Forgettable(what.value, {trace_id for _, trace_id, _ in gone}, cases, heard)


def _count(cursor: Any) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0
