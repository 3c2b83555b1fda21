-- What a gate decided of a release, and each case's result in that run. Append-only: the latest run of a
-- release is the release's; results that differ between runs are what makes a case flaky.
CREATE TABLE gate_runs (
    run_id VARCHAR PRIMARY KEY,
    release VARCHAR NOT NULL,
    gated_at TIMESTAMPTZ NOT NULL,
    passed BOOLEAN NOT NULL,
    checks JSON NOT NULL
);

-- flaky: the run itself had the case several times, with different results; it has then not passed.
CREATE TABLE gate_results (
    run_id VARCHAR NOT NULL,
    case_id VARCHAR NOT NULL,
    passed BOOLEAN NOT NULL,
    flaky BOOLEAN NOT NULL,
    score DOUBLE,
    cost_usd DOUBLE,
    PRIMARY KEY (run_id, case_id)
);
