-- What was forgotten on request, without saying who or what: keyed hashes of (kind, app, value). A case of a
-- forgotten user whose trace is not younger than forgotten_at is not written again, one of a forgotten trace
-- never. erased_at: no file of the store holds it any more.
CREATE TABLE forgotten (
    identity VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    forgotten_at TIMESTAMPTZ NOT NULL,
    cases BIGINT NOT NULL,
    case_events BIGINT NOT NULL,
    dead_letters BIGINT NOT NULL,
    mentions BIGINT NOT NULL,
    erased_at TIMESTAMPTZ,
    PRIMARY KEY (identity, forgotten_at)
);

-- One row, made with the first request: without it the hashes would be the same in every store.
CREATE TABLE forget_key (key VARCHAR PRIMARY KEY);
