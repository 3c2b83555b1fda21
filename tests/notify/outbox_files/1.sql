create table if not exists incidents (
  id text primary key,
  app text not null,
  environment text not null,
  last_at integer not null,       -- event time of the latest alarm: until when it may be extended
  revision integer not null,
  published integer not null default 0,  -- the revision that the topic `incidents` has for certain
  body text not null
);
create index if not exists incidents_open on incidents (app, environment, last_at);
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
pragma user_version = 1;
