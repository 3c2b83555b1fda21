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
  error text not null default ''
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
  time integer not null,
  body text not null,
  primary key (incident_id, rule, route)
) without rowid;

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
pragma user_version = 3;
