"""The tables of notify's SQLite file, and how it is opened."""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path
from typing import IO

VERSION = 5

DDL = """
create table if not exists incidents (
  id text primary key,
  app text not null,
  environment text not null,
  last_at integer not null,       -- event time of the latest alarm or of the end: who may still concern it
  revision integer not null,
  published integer not null default 0,  -- the revision that the topic `incidents` has for certain
  body text not null,
  resolved integer not null default 0,
  detected_at integer not null default 0,
  fingerprint text not null default '',
  due_now integer,                -- the earliest timer by the clock of people; follows from the body
  due_watermark integer           -- the earliest timer by event time
);
create index if not exists incidents_open on incidents (app, environment, last_at);
create index if not exists incidents_unresolved on incidents (app, environment) where resolved = 0;
create index if not exists incidents_alike on incidents (app, environment, detected_at);
create index if not exists incidents_due_now on incidents (due_now) where due_now is not null;
create index if not exists incidents_due_watermark on incidents (app, due_watermark)
  where due_watermark is not null;
create index if not exists incidents_unpublished on incidents (id) where published < revision;

create table if not exists absorbed (
  id text primary key,
  at integer not null
) without rowid;

create table if not exists notes (
  id text primary key,
  app text not null,
  environment text not null,
  detected_at integer not null,
  stored_at integer not null,
  body text not null
);
create index if not exists notes_near on notes (app, environment, detected_at);

create table if not exists previews (
  seq integer primary key,        -- order of arrival: the ring drops the oldest
  case_id text not null unique,
  app text not null,
  environment text not null,
  route text not null,
  body text not null
);
create index if not exists previews_ring on previews (app, environment, route, seq);

create table if not exists outbox (
  id text primary key,
  incident_id text not null,
  kind text not null,
  reason text not null,
  revision integer not null,
  member text,
  state text not null,
  created_at integer not null,
  not_before integer not null,
  first_sent_at integer,
  attempts integer not null default 0,
  looks integer not null default 0,
  degrade integer not null default 0,
  fell_back integer not null default 0,
  error text not null default '',
  channel text not null default '',      -- of a first message: where it is to go
  unsure integer not null default 0      -- a call of it may have arrived
);
create index if not exists outbox_due on outbox (not_before) where state in ('pending', 'sending');
create index if not exists outbox_incident on outbox (incident_id, kind);

create table if not exists data (      -- up to when units of a signal are known; event time
  app text not null,
  environment text not null,
  route text not null,
  signal text not null,
  until integer not null,
  primary key (app, environment, route, signal)
) without rowid;

create table if not exists clocks (    -- how far event time had come at which wall time
  app text primary key,
  watermark integer not null,
  wall integer not null
) without rowid;

create table if not exists commands (  -- what people asked for, and what became of it
  id text primary key,
  incident_id text not null,
  verdict text not null,
  done integer not null,
  stored_at integer not null,
  body text not null
);
create index if not exists commands_incident on commands (incident_id, stored_at);

create table if not exists labels (    -- alarms that a person has called false positives, one row a member
  incident_id text not null,
  rule text not null,
  route text not null,
  user text not null default '',  -- of a user's budget
  time integer not null,
  body text not null,
  primary key (incident_id, rule, route, user)
) without rowid;

create table if not exists acceptances ( -- what is owed to the topic `changes`: levels that are normal now
  id text primary key,
  body text not null
);

create table if not exists fallbacks (  -- what each hop of the fallback chain was told
  incident_id text not null,
  hop text not null,
  stage text not null,            -- trigger, news:<outbox id>, acknowledge:<when>, resolve:<when>
  state text not null,            -- sending, sent, failed, pending
  at integer not null,
  open integer not null,          -- the hop keeps the incident open: it is to be acknowledged and resolved
  attempts integer not null default 0,
  not_before integer not null default 0,
  error text not null default '',
  primary key (incident_id, hop, stage)
) without rowid;
create index if not exists fallbacks_open on fallbacks (incident_id, hop) where open = 1;

create table if not exists windows (   -- the last day of every signal, for lines of blocks and charts
  app text not null,
  environment text not null,
  route text not null,
  signal text not null,
  start integer not null,         -- event time, ms
  part integer not null,
  end integer not null,
  n integer not null,
  total real not null,
  unmeasured integer not null,
  low integer not null,
  primary key (app, environment, route, signal, start, part)
) without rowid;
create index if not exists windows_old on windows (app, start);

create table if not exists standings ( -- how detectors stood: each window of a day, then hourly
  app text not null,
  environment text not null,
  route text not null,
  at integer not null,            -- event time, ms
  body text not null,
  primary key (app, environment, route, at)
) without rowid;

create table if not exists calibrations (  -- what reviewers say of scorers: the latest word
  one integer primary key,        -- 1
  at integer not null,            -- of the store's clock, ms
  body text not null
);

create table if not exists spend (     -- dollars by app and UTC day, of windows that are no longer kept
  app text not null,
  day integer not null,           -- since 1970
  dollars real not null,
  requests integer not null,
  unpriced integer not null,
  primary key (app, day)
) without rowid;

create table if not exists digests (   -- what was due, and what became of it
  period text not null,
  due integer not null,           -- by the clock of people, ms
  id text not null,
  state text not null,            -- pending, sending, sent, dead, skipped
  attempts integer not null default 0,
  looks integer not null default 0,
  degrade integer not null default 0,
  not_before integer not null default 0,
  first_sent_at integer,
  error text not null default '',
  body text not null,
  primary key (period, due)
) without rowid;

create table if not exists charts (    -- the picture of an incident, on its way into its thread
  incident_id text primary key,
  state text not null,            -- due, uploaded, sharing, shared, ready, dropped
  file text not null,             -- the receiver's id of it
  alt text not null,
  tries integer not null,
  not_before integer not null,
  refused integer not null,       -- how often a message was refused with it
  why text not null
) without rowid;

create table if not exists storms (     -- what many incidents at once are told by, one message a channel
  id text primary key,
  channel text not null,
  begun_at integer not null,
  joined_at integer not null,
  revision integer not null default 0,
  told integer not null default 0,    -- how many incidents were last told of by a message that calls
  told_at integer not null,
  level integer not null default 0,   -- the level of escalation that was last called, and when
  level_at integer not null default 0,
  unsaid_since integer,               -- since when somebody is in it of whom no message has been taken
  is_over integer not null default 0
);
create index if not exists storms_channel on storms (channel, begun_at);

create table if not exists storm_members (
  storm_id text not null,
  incident_id text not null,
  joined_at integer not null,
  own integer not null default 0,     -- it has got a message of its own since
  primary key (storm_id, incident_id)
) without rowid;
create index if not exists storm_members_incident on storm_members (incident_id);

create table if not exists messages (  -- the notification log: where an incident's first message stands
  incident_id text primary key,
  receiver text not null,
  root_id text not null,
  channel text not null,
  ts text not null,
  revision integer not null,
  sent_at integer not null,
  edited_at integer not null
);
create index if not exists messages_sent on messages (channel, sent_at);
"""

FROM_1 = """
alter table incidents add column resolved integer not null default 0;
alter table incidents add column detected_at integer not null default 0;
alter table incidents add column fingerprint text not null default '';
alter table incidents add column due_now integer;
alter table incidents add column due_watermark integer;
-- Due at once: the first look finds what time has brought them.
update incidents set detected_at = json_extract(body, '$.detected_at'), due_watermark = 0;
"""
FROM_3 = """
alter table outbox add column channel text not null default '';
alter table outbox add column unsure integer not null default 0;
-- What was being sent may have arrived; what waited after an attempt may have, too.
update outbox set unsure = 1 where state = 'sending' or (state = 'pending' and attempts > 0);
"""
FROM_4 = """
-- Its key has the user now. Files of before 2 have no such table.
create table if not exists labels (incident_id text, rule text, route text, time integer, body text);
alter table labels rename to labels_of_4;
create table labels (
  incident_id text not null,
  rule text not null,
  route text not null,
  user text not null default '',
  time integer not null,
  body text not null,
  primary key (incident_id, rule, route, user)
) without rowid;
insert into labels (incident_id, rule, route, time, body)
  select incident_id, rule, route, time, body from labels_of_4;
drop table labels_of_4;
"""
MIGRATIONS = {1: FROM_1, 2: "", 3: FROM_3, 4: FROM_4}
"""By the version that they start from; each ends at the next one."""


class InUse(RuntimeError):
    """Another process owns this file. Two owners would send everything twice: stop the other one first."""


def connect(path: Path) -> tuple[sqlite3.Connection, IO[str] | None]:
    """The file, opened to write, and the lock that says so; ``:memory:`` has no lock.

    Raises :class:`InUse` where another process holds it.
    """
    lock: IO[str] | None = None
    if str(path) != ":memory:":
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(path.name + ".lock").open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise InUse(f"{path} is owned by another notify: one process delivers") from None
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        if lock is not None:
            lock.close()
        raise
    return connection, lock


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.row_factory = sqlite3.Row
    connection.execute("pragma journal_mode = wal")
    # FULL: offsets are committed to Kafka after this file, so a power cut must not undo it.
    connection.execute("pragma synchronous = full")
    connection.execute("pragma busy_timeout = 5000")
    found = connection.execute("pragma user_version").fetchone()[0]
    if found > VERSION:
        raise RuntimeError(f"{path} has version {found}, this Gleaner writes {VERSION}: upgrade it")
    for version in range(found or VERSION, VERSION):
        # One transaction with its version: a crash in the middle leaves the file as it was.
        script = f"begin immediate; {MIGRATIONS[version]} pragma user_version = {version + 1}; commit;"
        connection.executescript(script)
    connection.executescript(DDL)
    connection.execute(f"pragma user_version = {VERSION}")


def connect_read_only(path: Path) -> sqlite3.Connection:
    """The file for a reader beside its owner. Raises ``FileNotFoundError``, or ``sqlite3.Error``."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file: has notify run with this state_dir?")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    connection.execute("pragma busy_timeout = 5000")
    return connection
