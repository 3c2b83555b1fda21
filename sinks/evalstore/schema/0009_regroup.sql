-- What people say of clusters, beside what was found: split and merge. Append-only, and undone by a row of its own.
--   split   cluster_splits says which cases went from cluster_id to target
--   merge   cluster_id and target are one failure; the older one's id stands, as where a case links two
CREATE TABLE cluster_edits (
    edit_id VARCHAR PRIMARY KEY,
    kind VARCHAR NOT NULL,
    cluster_id VARCHAR NOT NULL,
    target VARCHAR NOT NULL,
    edited_at TIMESTAMPTZ NOT NULL,
    actor VARCHAR NOT NULL,
    note VARCHAR
);

CREATE TABLE cluster_splits (
    edit_id VARCHAR NOT NULL,
    case_id VARCHAR NOT NULL,
    PRIMARY KEY (edit_id, case_id)
);

-- id is an edit_id or a review_id. What was undone stays in its table, and counts no more.
CREATE TABLE undone (
    id VARCHAR PRIMARY KEY,
    undone_at TIMESTAMPTZ NOT NULL,
    actor VARCHAR NOT NULL
);

-- The cluster that was found for each case. The index of texts is built from this: it does not know people's edits.
CREATE VIEW cluster_found AS
WITH RECURSIVE chain(absorbed, cluster_id) AS (
    SELECT absorbed, cluster_id FROM cluster_merges
    UNION ALL
    SELECT chain.absorbed, m.cluster_id FROM chain JOIN cluster_merges m ON m.absorbed = chain.cluster_id
), final AS (
    SELECT absorbed, cluster_id FROM chain WHERE cluster_id NOT IN (SELECT absorbed FROM cluster_merges)
)
SELECT case_id, coalesce(final.cluster_id, p.cluster_id) AS cluster_id, p.seq, p.via, p.similarity
FROM case_clusters p LEFT JOIN final ON final.absorbed = p.cluster_id;

-- The cluster of each case: as found, then as split (the latest split of a case stands), then as merged. A merge holds
-- on to what the two clusters became since, and both ends count alike: edits cannot make a circle.
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
    SELECT s.case_id, arg_max(e.target, (e.edited_at, e.edit_id)) AS cluster_id
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

-- The latest verdict of each reviewer on any case of a cluster.
CREATE VIEW cluster_verdicts AS
SELECT cluster_id, actor, arg_max(verdict, (reviewed_at, review_id)) AS verdict,
    arg_max(note, (reviewed_at, review_id)) AS note, max(reviewed_at) AS reviewed_at,
    arg_max(review_id, (reviewed_at, review_id)) AS review_id
FROM case_reviews JOIN cluster_of USING (case_id)
WHERE review_id NOT IN (SELECT id FROM undone) GROUP BY cluster_id, actor;

CREATE OR REPLACE VIEW cluster_reviews AS
SELECT cluster_id, arg_max(verdict, (reviewed_at, review_id)) AS verdict,
    arg_max(actor, (reviewed_at, review_id)) AS actor, arg_max(note, (reviewed_at, review_id)) AS note,
    max(reviewed_at) AS reviewed_at
FROM cluster_verdicts GROUP BY cluster_id;
