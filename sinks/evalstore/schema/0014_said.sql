-- In which order people said things, whatever the clock said: said_seq rises with every verdict, annotation, split and
-- merge, over the three tables. NULL in rows of earlier versions, which come before all others, by their time.
ALTER TABLE case_reviews ADD COLUMN said_seq BIGINT;
ALTER TABLE cluster_edits ADD COLUMN said_seq BIGINT;
ALTER TABLE case_annotations ADD COLUMN said_seq BIGINT;

-- The name of the request that undid it, where it lay in a file: found again after a crash, it is not done again.
ALTER TABLE undone ADD COLUMN request VARCHAR;

-- The order in which the events of cases came. NULL in rows of earlier versions, which come before all others.
ALTER TABLE case_events ADD COLUMN seq BIGINT;

-- As before, but of two splits of a case the one that was said last stands.
CREATE OR REPLACE VIEW cluster_of AS
WITH RECURSIVE chain(absorbed, cluster_id) AS (
    SELECT absorbed, cluster_id FROM cluster_merges
    UNION ALL
    SELECT chain.absorbed, m.cluster_id FROM chain JOIN cluster_merges m ON m.absorbed = chain.cluster_id
), final AS (
    SELECT absorbed, cluster_id FROM chain WHERE cluster_id NOT IN (SELECT absorbed FROM cluster_merges)
), edits AS (
    SELECT * FROM cluster_edits WHERE edit_id NOT IN (SELECT id FROM undone)
), moved AS (
    SELECT s.case_id, arg_max(e.target, (coalesce(e.said_seq, -1), e.edited_at, e.edit_id)) AS cluster_id
    FROM cluster_splits s JOIN edits e USING (edit_id) GROUP BY s.case_id
), placed AS (
    SELECT f.case_id, coalesce(m.cluster_id, f.cluster_id) AS cluster_id, f.seq, f.via, f.similarity
    FROM cluster_found f LEFT JOIN moved m USING (case_id)
), links AS (
    SELECT coalesce(a.cluster_id, e.cluster_id) AS one, coalesce(b.cluster_id, e.target) AS other
    FROM edits e LEFT JOIN final a ON a.absorbed = e.cluster_id LEFT JOIN final b ON b.absorbed = e.target
    WHERE e.kind = 'merge'
), sides AS (
    SELECT one, other FROM links UNION SELECT other, one FROM links UNION SELECT one, one FROM links
    UNION SELECT other, other FROM links
), reach(one, other) AS (
    SELECT one, other FROM sides
    UNION
    SELECT reach.one, sides.other FROM reach JOIN sides ON sides.one = reach.other
), born AS (
    SELECT cluster_id, min(seq) AS born FROM placed WHERE cluster_id IN (SELECT one FROM sides) GROUP BY cluster_id
), joined AS (
    SELECT reach.one, arg_min(born.cluster_id, (born.born, born.cluster_id)) AS cluster_id
    FROM reach JOIN born ON born.cluster_id = reach.other GROUP BY reach.one
)
SELECT p.case_id, coalesce(j.cluster_id, p.cluster_id) AS cluster_id, p.seq, p.via, p.similarity
FROM placed p LEFT JOIN joined j ON j.one = p.cluster_id;

-- The verdict that each reviewer said last on any case of a cluster, with that verdict's note and time.
CREATE OR REPLACE VIEW cluster_verdicts AS
SELECT o.cluster_id, r.actor, r.verdict, r.note, r.reviewed_at, r.review_id, r.said_seq
FROM case_reviews r JOIN cluster_of o ON o.case_id = r.case_id
WHERE r.review_id NOT IN (SELECT id FROM undone)
QUALIFY row_number() OVER (
    PARTITION BY o.cluster_id, r.actor ORDER BY r.said_seq DESC NULLS LAST, r.reviewed_at DESC, r.review_id DESC
) = 1;

CREATE OR REPLACE VIEW cluster_reviews AS
SELECT cluster_id, verdict, actor, note, reviewed_at FROM cluster_verdicts
QUALIFY row_number() OVER (
    PARTITION BY cluster_id ORDER BY said_seq DESC NULLS LAST, reviewed_at DESC, review_id DESC
) = 1;

-- As before, but of two events of one time the one that came last says the score and the correction: a trace's scores
-- all bear its time.
CREATE OR REPLACE VIEW case_list AS
WITH said AS (
    SELECT case_id,
        list_distinct(flatten(list(reasons))) AS reasons,
        arg_max(score_value, (ts, coalesce(seq, -1), event_id)) AS score,
        arg_max(scorer, (ts, coalesce(seq, -1), event_id)) FILTER (WHERE score_value IS NOT NULL) AS scorer,
        arg_max(expected_answer, (ts, coalesce(seq, -1), event_id)) AS expected_answer,
        count(*) AS events,
        max(ts) AS last_event_ts
    FROM case_events GROUP BY case_id
), clusters AS (
    SELECT cluster_id, count(*) AS cluster_size FROM cluster_of GROUP BY cluster_id
), marked AS (
    SELECT cluster_id,
        list("text" ORDER BY "text") FILTER (WHERE kind = 'label') AS labels,
        list("text" ORDER BY seq, place) FILTER (WHERE kind = 'must') AS must,
        list("text" ORDER BY seq, place) FILTER (WHERE kind = 'must_not') AS must_not,
        max("text") FILTER (WHERE kind = 'assigned') AS assigned
    FROM cluster_annotations GROUP BY cluster_id
), ranked AS (
    SELECT ['low_score', 'escalation', 'correction', 'negative_feedback', 'abandoned', 'bad_citation',
        'unsafe', 'high_cost', 'schema_break', 'empty_answer', 'error', 'failed_task'] AS known
)
SELECT c.case_id, c.trace_id, c.app, c.environment, c.route, c.ts,
    list_concat(
        list_filter(known, lambda r: list_contains(said.reasons, r)),
        list_sort(list_filter(said.reasons, lambda r: NOT list_contains(known, r)))
    ) AS reasons,
    o.cluster_id, clusters.cluster_size, c.replayable, c.missing,
    said.score, said.scorer, c.cost_usd, c.price_status,
    c.question, c.answer, coalesce(e.expected_answer, said.expected_answer) AS expected_answer,
    c.model, c.served_model, c.prompt_version, c.index_version, c.release, c.conversation_id, c.user_id,
    said.events, said.last_event_ts, c.first_seen,
    CASE WHEN e.case_id IS NOT NULL THEN 'reviewer' WHEN said.expected_answer IS NOT NULL THEN 'correction' END
        AS expected_from,
    coalesce(marked.labels, []::VARCHAR[]) AS labels,
    coalesce(marked.must, []::VARCHAR[]) AS must,
    coalesce(marked.must_not, []::VARCHAR[]) AS must_not,
    marked.assigned
FROM cases c
JOIN said ON said.case_id = c.case_id
JOIN cluster_of o ON o.case_id = c.case_id
JOIN clusters ON clusters.cluster_id = o.cluster_id
LEFT JOIN marked ON marked.cluster_id = o.cluster_id
LEFT JOIN expected_answers e ON e.case_id = c.case_id
CROSS JOIN ranked;

-- As before, but the sum behind frequency is of whole numbers, in units of 2 ** -50: of floating-point numbers it depends
-- on the order in which the database's threads come to them, and one store would have several ranks.
CREATE OR REPLACE VIEW cluster_list AS
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
        arg_min(w.case_id, (NOT w.replayable, w.expected_from IS DISTINCT FROM 'reviewer', w.expected_answer IS NULL,
            -w.severity, w.ts, w.case_id)) AS representative,
        list_distinct(flatten(list(w.reasons))) AS reasons,
        max(w.severity)::DOUBLE AS severity,
        log2(1 + sum(round(2 ** (50 - (epoch_ms(newest) - epoch_ms(w.ts)) / (7 * 86400000.0)))::BIGINT) / 2.0 ** 50)
            AS frequency,
        any_value(a.releases) > 1 AND bool_and(w.release IS NOT DISTINCT FROM a.newest_release) AS only_newest,
        any_value(newest) AS newest,
        any_value(w.labels) AS labels, any_value(w.must) AS must, any_value(w.must_not) AS must_not,
        any_value(w.assigned) AS assigned
    FROM weighed w LEFT JOIN apps a ON a.app = w.app CROSS JOIN (SELECT max(ts) AS newest FROM cases)
    GROUP BY cluster_id
), scaled AS (
    SELECT *, 1 + CASE WHEN only_newest THEN 1
        ELSE 2 ** (-(epoch_ms(newest) - epoch_ms(first_seen)) / (14 * 86400000.0)) END AS novelty
    FROM grown
)
SELECT s.cluster_id, s.app, s.cases, s.first_seen, s.last_seen, s.representative, list_sort(s.reasons) AS reasons,
    s.severity, s.frequency, s.novelty, s.severity * s.frequency * s.novelty AS rank, c.question,
    s.labels, s.must, s.must_not, s.assigned
FROM scaled s JOIN cases c ON c.case_id = s.representative;

CREATE OR REPLACE MACRO case_list_of(ids) AS TABLE
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT unnest(ids::VARCHAR[]) AS case_id
), said AS (
    SELECT case_id,
        list_distinct(flatten(list(reasons))) AS reasons,
        arg_max(score_value, (ts, coalesce(seq, -1), event_id)) AS score,
        arg_max(scorer, (ts, coalesce(seq, -1), event_id)) FILTER (WHERE score_value IS NOT NULL) AS scorer,
        arg_max(expected_answer, (ts, coalesce(seq, -1), event_id)) AS expected_answer,
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
), standing AS (
    SELECT cluster_id, kind, "text", removed, seq, place FROM (
        SELECT p.cluster_id, a.* FROM case_annotations a JOIN placed p USING (case_id)
        WHERE a.kind <> 'expected_answer' AND a.annotation_id NOT IN (SELECT id FROM undone)
            AND p.cluster_id IN (SELECT cluster_id FROM mine)
        QUALIFY row_number() OVER (
            PARTITION BY p.cluster_id, a.kind, CASE WHEN a.kind <> 'assigned' THEN a."text" END
            ORDER BY a.seq DESC, a.place DESC
        ) = 1
    ) WHERE NOT removed
), marked AS (
    SELECT cluster_id,
        list("text" ORDER BY "text") FILTER (WHERE kind = 'label') AS labels,
        list("text" ORDER BY seq, place) FILTER (WHERE kind = 'must') AS must,
        list("text" ORDER BY seq, place) FILTER (WHERE kind = 'must_not') AS must_not,
        max("text") FILTER (WHERE kind = 'assigned') AS assigned
    FROM standing GROUP BY cluster_id
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
    c.question, c.answer, coalesce(e.expected_answer, said.expected_answer) AS expected_answer,
    c.model, c.served_model, c.prompt_version, c.index_version, c.release, c.conversation_id, c.user_id,
    said.events, said.last_event_ts, c.first_seen,
    CASE WHEN e.case_id IS NOT NULL THEN 'reviewer' WHEN said.expected_answer IS NOT NULL THEN 'correction' END
        AS expected_from,
    coalesce(marked.labels, []::VARCHAR[]) AS labels,
    coalesce(marked.must, []::VARCHAR[]) AS must,
    coalesce(marked.must_not, []::VARCHAR[]) AS must_not,
    marked.assigned
FROM (SELECT * FROM cases WHERE case_id IN (FROM wanted)) c
JOIN said ON said.case_id = c.case_id
JOIN mine ON mine.case_id = c.case_id
JOIN clusters ON clusters.cluster_id = mine.cluster_id
LEFT JOIN marked ON marked.cluster_id = mine.cluster_id
LEFT JOIN expected_answers e ON e.case_id = c.case_id
CROSS JOIN ranked;
