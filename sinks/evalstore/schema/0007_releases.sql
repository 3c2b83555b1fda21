-- Frozen sets of cases. Rows are written once; only a request to forget takes rows out, and then the release
-- gets the hash of what is left, and says how many went.
CREATE TABLE releases (
    release VARCHAR PRIMARY KEY,
    frozen_at TIMESTAMPTZ NOT NULL,
    cases BIGINT NOT NULL,
    forgotten BIGINT NOT NULL,
    sha256 VARCHAR NOT NULL,
    options JSON NOT NULL
);

-- record is the case as it was then, one line of JSON: the lines in the order of position make the hash.
CREATE TABLE release_cases (
    release VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    case_id VARCHAR NOT NULL,
    cluster_id VARCHAR NOT NULL,
    record VARCHAR NOT NULL,
    PRIMARY KEY (release, case_id)
);

-- What people said of cases. Append-only: the latest verdict stands.
CREATE TABLE case_reviews (
    review_id VARCHAR PRIMARY KEY,
    case_id VARCHAR NOT NULL,
    reviewed_at TIMESTAMPTZ NOT NULL,
    verdict VARCHAR NOT NULL,
    actor VARCHAR NOT NULL,
    note VARCHAR
);

-- The latest verdict on any case of a cluster: who dismissed one instance of a failure need not dismiss forty.
CREATE VIEW cluster_reviews AS
SELECT cluster_id, arg_max(verdict, (reviewed_at, review_id)) AS verdict,
    arg_max(actor, (reviewed_at, review_id)) AS actor, arg_max(note, (reviewed_at, review_id)) AS note,
    max(reviewed_at) AS reviewed_at
FROM case_reviews JOIN cluster_of USING (case_id) GROUP BY cluster_id;
