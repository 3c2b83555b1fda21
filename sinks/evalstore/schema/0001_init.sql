-- The eval store, first shape. One primary key per table and no other index: what readers rely on is
-- the views; tables may gain columns. Times are TIMESTAMPTZ, money is US dollars, NULL is "not known".

-- One row per failing trace, written once and never changed: what later releases are tested with.
CREATE TABLE cases (
    case_id VARCHAR PRIMARY KEY,
    app VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    trace_id VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    question VARCHAR,
    answer VARCHAR,
    contexts STRUCT(id VARCHAR, "text" VARCHAR, score DOUBLE)[],
    provider VARCHAR,
    model VARCHAR,
    served_model VARCHAR,
    prompt_version VARCHAR,
    index_version VARCHAR,
    release VARCHAR,
    conversation_id VARCHAR,
    user_id VARCHAR,
    scores MAP(VARCHAR, DOUBLE),
    cost_usd DOUBLE,
    price_status VARCHAR,
    trace JSON,
    log_stream VARCHAR,
    log_topic VARCHAR,
    log_partition INTEGER,
    log_offset BIGINT,
    log_index INTEGER,
    content_hash VARCHAR NOT NULL,
    replayable BOOLEAN NOT NULL,
    missing VARCHAR[] NOT NULL,
    redactions INTEGER NOT NULL,
    replaced_characters INTEGER NOT NULL,
    first_seen TIMESTAMPTZ NOT NULL
);

-- Why a case is one: each reason, score, correction that reached it, when it did.
CREATE TABLE case_events (
    event_id VARCHAR PRIMARY KEY,
    case_id VARCHAR NOT NULL,
    ts TIMESTAMPTZ NOT NULL,
    reasons VARCHAR[] NOT NULL,
    score_value DOUBLE,
    scorer VARCHAR,
    score JSON,
    feedback JSON,
    expected_answer VARCHAR,
    recorded TIMESTAMPTZ NOT NULL
);

CREATE TABLE signals (
    id VARCHAR PRIMARY KEY,
    app VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    pages BOOLEAN NOT NULL,
    direction VARCHAR NOT NULL,
    onset TIMESTAMPTZ NOT NULL,
    detected_at TIMESTAMPTZ NOT NULL,
    baseline DOUBLE,
    value DOUBLE,
    n BIGINT NOT NULL,
    reason VARCHAR NOT NULL,
    body JSON NOT NULL
);

-- The highest revision of a window stands.
CREATE TABLE signal_windows (
    app VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    n BIGINT NOT NULL,
    total DOUBLE NOT NULL,
    unmeasured BIGINT NOT NULL,
    late BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (app, environment, route, signal, start_ms)
);

-- The highest position of a partition stands: its counters contain all the earlier ones.
CREATE TABLE reports (
    observations_partition INTEGER PRIMARY KEY,
    position BIGINT NOT NULL,
    watermark TIMESTAMPTZ,
    counters JSON NOT NULL
);

CREATE TABLE incident_revisions (
    id VARCHAR NOT NULL,
    revision BIGINT NOT NULL,
    app VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    state VARCHAR NOT NULL,
    onset TIMESTAMPTZ NOT NULL,
    detected_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    baseline DOUBLE,
    value DOUBLE,
    n BIGINT NOT NULL,
    body JSON NOT NULL,
    PRIMARY KEY (id, revision)
);

-- own: not an application's event but a record of Gleaner's own that could not be read or stored.
CREATE TABLE dead_letters (
    id VARCHAR PRIMARY KEY,
    own BOOLEAN NOT NULL,
    reason VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    field VARCHAR,
    log_stream VARCHAR,
    log_topic VARCHAR,
    log_partition INTEGER,
    log_offset BIGINT,
    log_index INTEGER,
    broker_time TIMESTAMPTZ,
    size BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    original VARCHAR NOT NULL,
    original_encoding VARCHAR NOT NULL,
    first_seen TIMESTAMPTZ NOT NULL
);

-- One row per case with everything that its events say of it. Reasons are in the order of
-- schemas.case.CaseReason, those of a newer Gleaner after them. Cases with the same content are one
-- cluster; a case whose trace is gone has no content to share.
CREATE VIEW case_list AS
WITH said AS (
    SELECT case_id,
        list_distinct(flatten(list(reasons))) AS reasons,
        arg_max(score_value, (ts, event_id)) AS score,
        arg_max(scorer, (ts, event_id)) FILTER (WHERE score_value IS NOT NULL) AS scorer,
        arg_max(expected_answer, (ts, event_id)) AS expected_answer,
        count(*) AS events,
        max(ts) AS last_event_ts
    FROM case_events GROUP BY case_id
), placed AS (
    SELECT case_id,
        'c-' || CASE WHEN trace IS NULL THEN replace(case_id, '-', '')[1:12] ELSE content_hash[1:12] END AS cluster_id
    FROM cases
), clusters AS (
    SELECT cluster_id, count(*) AS cluster_size FROM placed GROUP BY cluster_id
), ranked AS (
    SELECT ['low_score', 'escalation', 'correction', 'negative_feedback', 'abandoned', 'bad_citation',
        'unsafe', 'high_cost', 'schema_break', 'empty_answer', 'error', 'failed_task'] AS known
)
SELECT c.case_id, c.trace_id, c.app, c.environment, c.route, c.ts,
    list_concat(
        list_filter(known, lambda r: list_contains(said.reasons, r)),
        list_sort(list_filter(said.reasons, lambda r: NOT list_contains(known, r)))
    ) AS reasons,
    cluster_id, cluster_size, c.replayable, c.missing,
    said.score, said.scorer, c.cost_usd, c.price_status,
    c.question, c.answer, said.expected_answer,
    c.model, c.served_model, c.prompt_version, c.index_version, c.release, c.conversation_id, c.user_id,
    said.events, said.last_event_ts, c.first_seen
FROM cases c
JOIN said USING (case_id)
JOIN placed USING (case_id)
JOIN clusters USING (cluster_id)
CROSS JOIN ranked;

CREATE VIEW incidents AS
SELECT * FROM incident_revisions QUALIFY row_number() OVER (PARTITION BY id ORDER BY revision DESC) = 1;

-- mean is NULL, not 0, where nothing was measured.
CREATE VIEW windows AS
SELECT app, environment, route, signal, make_timestamptz(start_ms * 1000) AS window_start,
    make_timestamptz(end_ms * 1000) AS window_end, n, total, total / nullif(n, 0) AS mean, unmeasured, late, revision
FROM signal_windows;

-- What the rolling stage has counted, summed over its partitions.
CREATE VIEW event_totals AS
SELECT app, counter, sum(n)::BIGINT AS n FROM (
    SELECT a.key AS app, unnest(map_entries(a.value), recursive := true) FROM (
        SELECT unnest(map_entries(from_json(counters, '"MAP(VARCHAR, MAP(VARCHAR, BIGINT))"'))) AS a FROM reports
    )
) AS t(app, counter, n) GROUP BY app, counter;
