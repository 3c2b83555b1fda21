-- The ends of alarms, each with the id of the first alarm that it ends.
CREATE TABLE recoveries (
    id VARCHAR PRIMARY KEY,
    alarm_id VARCHAR NOT NULL,
    app VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    detected_at TIMESTAMPTZ NOT NULL,
    baseline DOUBLE,
    value DOUBLE,
    n BIGINT NOT NULL,
    reason VARCHAR NOT NULL
);
