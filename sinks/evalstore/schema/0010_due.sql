-- What is to be done at a time: one row for each kind, moved on when it was done. failed says why the last try did not
-- succeed; it is tried again an hour later.
CREATE TABLE due (
    what VARCHAR PRIMARY KEY,
    due_at TIMESTAMPTZ NOT NULL,
    done_at TIMESTAMPTZ,
    failed VARCHAR
);
