-- The rows of case_list with these ids, without looking at all the others first: what a page of a list is made of.
CREATE MACRO case_list_of(ids) AS TABLE
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT unnest(ids::VARCHAR[]) AS case_id
), said AS (
    SELECT case_id,
        list_distinct(flatten(list(reasons))) AS reasons,
        arg_max(score_value, (ts, event_id)) AS score,
        arg_max(scorer, (ts, event_id)) FILTER (WHERE score_value IS NOT NULL) AS scorer,
        arg_max(expected_answer, (ts, event_id)) AS expected_answer,
        count(*) AS events,
        max(ts) AS last_event_ts
    FROM case_events WHERE case_id IN (FROM wanted) GROUP BY case_id
), placed AS MATERIALIZED (
    SELECT case_id, cluster_id FROM cluster_of
), mine AS (
    SELECT case_id, cluster_id FROM placed WHERE case_id IN (FROM wanted)
), clusters AS (
    SELECT cluster_id, count(*) AS cluster_size FROM placed
    WHERE cluster_id IN (SELECT cluster_id FROM mine) GROUP BY cluster_id
), ranked AS (
    SELECT ['low_score', 'escalation', 'correction', 'negative_feedback', 'abandoned', 'bad_citation',
        'unsafe', 'high_cost', 'schema_break', 'empty_answer', 'error', 'failed_task'] AS known
)
SELECT c.case_id, c.trace_id, c.app, c.environment, c.route, c.ts,
    list_concat(
        list_filter(known, lambda r: list_contains(said.reasons, r)),
        list_sort(list_filter(said.reasons, lambda r: NOT list_contains(known, r)))
    ) AS reasons,
    mine.cluster_id, cluster_size, c.replayable, c.missing,
    said.score, said.scorer, c.cost_usd, c.price_status,
    c.question, c.answer, said.expected_answer,
    c.model, c.served_model, c.prompt_version, c.index_version, c.release, c.conversation_id, c.user_id,
    said.events, said.last_event_ts, c.first_seen
FROM (SELECT * FROM cases WHERE case_id IN (FROM wanted)) c
JOIN said ON said.case_id = c.case_id
JOIN mine ON mine.case_id = c.case_id
JOIN clusters ON clusters.cluster_id = mine.cluster_id
CROSS JOIN ranked;
