-- Which failure a case is an instance of. Both tables only grow: a case's row says where it came when it
-- came, a merge that one cluster is part of an older one since the case with that seq.
CREATE TABLE case_clusters (
    case_id VARCHAR PRIMARY KEY,
    seq BIGINT NOT NULL,
    cluster_id VARCHAR NOT NULL,
    via VARCHAR NOT NULL,
    similarity DOUBLE,
    place BIGINT
);

CREATE TABLE cluster_merges (
    absorbed VARCHAR PRIMARY KEY,
    cluster_id VARCHAR NOT NULL,
    seq BIGINT NOT NULL
);

-- The cluster of each case, now that merges have happened.
CREATE VIEW cluster_of AS
WITH RECURSIVE chain(absorbed, cluster_id) AS (
    SELECT absorbed, cluster_id FROM cluster_merges
    UNION ALL
    SELECT chain.absorbed, m.cluster_id FROM chain JOIN cluster_merges m ON m.absorbed = chain.cluster_id
), final AS (
    SELECT absorbed, cluster_id FROM chain WHERE cluster_id NOT IN (SELECT absorbed FROM cluster_merges)
)
SELECT case_id, coalesce(final.cluster_id, p.cluster_id) AS cluster_id, p.seq, p.via, p.similarity
FROM case_clusters p LEFT JOIN final ON final.absorbed = p.cluster_id;

CREATE OR REPLACE VIEW case_list AS
WITH said AS (
    SELECT case_id,
        list_distinct(flatten(list(reasons))) AS reasons,
        arg_max(score_value, (ts, event_id)) AS score,
        arg_max(scorer, (ts, event_id)) FILTER (WHERE score_value IS NOT NULL) AS scorer,
        arg_max(expected_answer, (ts, event_id)) AS expected_answer,
        count(*) AS events,
        max(ts) AS last_event_ts
    FROM case_events GROUP BY case_id
), clusters AS (
    SELECT cluster_id, count(*) AS cluster_size FROM cluster_of GROUP BY cluster_id
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
JOIN cluster_of USING (case_id)
JOIN clusters USING (cluster_id)
CROSS JOIN ranked;

-- One row per cluster, with what its rank is made of. Age is counted from the newest case of the store,
-- so that the same store gives the same ranks whenever it is asked.
--   severity   of its gravest reason
--   frequency  log2(1 + its cases, each worth half as much for every 7 days of age)
--   novelty    1, and up to 1 more: all of it while no case of the cluster is of another release of the app
--              than the newest (and there was another), else halved for every 14 days since its first case
CREATE VIEW cluster_list AS
WITH weighed AS (
    SELECT *, list_max(list_transform(reasons, lambda r: coalesce(MAP {
            'unsafe': 10, 'correction': 6, 'escalation': 6, 'failed_task': 5, 'low_score': 4,
            'bad_citation': 4, 'schema_break': 4, 'error': 4, 'negative_feedback': 3, 'empty_answer': 3,
            'abandoned': 2, 'high_cost': 1
        }[r], 3))) AS severity
    FROM case_list
), apps AS (
    SELECT app, arg_max(release, (ts, case_id)) AS newest_release, count(DISTINCT release) AS releases
    FROM weighed WHERE release IS NOT NULL GROUP BY app
), grown AS (
    SELECT cluster_id, any_value(w.app) AS app, count(*) AS cases, min(w.ts) AS first_seen, max(w.ts) AS last_seen,
        arg_min(w.case_id, (NOT w.replayable, w.expected_answer IS NULL, -w.severity, w.ts, w.case_id)) AS representative,
        list_distinct(flatten(list(w.reasons))) AS reasons,
        max(w.severity)::DOUBLE AS severity,
        log2(1 + sum(2 ** (-(epoch_ms(newest) - epoch_ms(w.ts)) / (7 * 86400000.0)))) AS frequency,
        any_value(a.releases) > 1 AND bool_and(w.release IS NOT DISTINCT FROM a.newest_release) AS only_newest,
        any_value(newest) AS newest
    FROM weighed w LEFT JOIN apps a ON a.app = w.app CROSS JOIN (SELECT max(ts) AS newest FROM cases)
    GROUP BY cluster_id
), scaled AS (
    SELECT *, 1 + CASE WHEN only_newest THEN 1
        ELSE 2 ** (-(epoch_ms(newest) - epoch_ms(first_seen)) / (14 * 86400000.0)) END AS novelty
    FROM grown
)
SELECT s.cluster_id, s.app, s.cases, s.first_seen, s.last_seen, s.representative, list_sort(s.reasons) AS reasons,
    s.severity, s.frequency, s.novelty, s.severity * s.frequency * s.novelty AS rank, c.question
FROM scaled s JOIN cases c ON c.case_id = s.representative;
