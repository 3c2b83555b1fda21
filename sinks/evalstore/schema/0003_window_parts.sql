-- Windows in parts that add up, of five minutes as a rule; amounts with a histogram of their values. The
-- windows of earlier versions stay where they are, in signal_windows: the view has both.
-- Of one part the last one written stands. buckets and counts are its histogram, as schemas.histogram
-- numbers buckets, and NULL for signals that have none.
CREATE TABLE window_parts (
    app VARCHAR NOT NULL,
    environment VARCHAR NOT NULL,
    route VARCHAR NOT NULL,
    signal VARCHAR NOT NULL,
    start_ms BIGINT NOT NULL,
    end_ms BIGINT NOT NULL,
    part BIGINT NOT NULL,
    n BIGINT NOT NULL,
    total DOUBLE NOT NULL,
    unmeasured BIGINT NOT NULL,
    late BIGINT NOT NULL,
    low BIGINT NOT NULL,
    buckets INTEGER[],
    counts BIGINT[],
    PRIMARY KEY (app, environment, route, signal, start_ms, end_ms, part)
);

-- The least value of a bucket, and the value that stands for it: within 0.8 % of every value in it.
CREATE MACRO bucket_low(bucket) AS
    CASE WHEN bucket <= 0 THEN 0.0::DOUBLE
    ELSE pow(2.0::DOUBLE, (bucket >> 6) - 1023) * (1.0::DOUBLE + (bucket & 63) / 64.0::DOUBLE) END;
CREATE MACRO bucket_value(bucket) AS
    CASE WHEN bucket <= 0 THEN 0.0::DOUBLE
    ELSE 2.0::DOUBLE * (bucket_low(bucket) / (1.0::DOUBLE + bucket_low(bucket) / bucket_low(bucket + 1))) END;

-- The value of rank ceil(q n) of a histogram given as a list of {bucket, c} in the order of buckets.
CREATE MACRO histogram_quantile(histogram, q) AS
    CASE WHEN len(histogram) > 0 THEN bucket_value(list_reduce(
        list_concat(
            [{'bucket': 0::BIGINT, 'c': q::DOUBLE * list_sum(list_transform(histogram, lambda b: b.c))::DOUBLE}],
            list_transform(histogram, lambda b: {'bucket': b.bucket::BIGINT, 'c': b.c::DOUBLE})
        ),
        lambda rest, b: CASE WHEN rest.c > 0 THEN {'bucket': b.bucket, 'c': rest.c - b.c} ELSE rest END
    ).bucket) END;

-- The parts of every window, those of earlier versions as their only part.
CREATE VIEW parts_of_windows AS
SELECT * FROM window_parts
UNION ALL BY NAME
SELECT * EXCLUDE (revision), 0::BIGINT AS part, 0::BIGINT AS low, NULL::INTEGER[] AS buckets, NULL::BIGINT[] AS counts
FROM signal_windows ANTI JOIN (SELECT * FROM window_parts WHERE part = 0) AS newer
    USING (app, environment, route, signal, start_ms, end_ms);

-- mean is NULL, not 0, where nothing was measured. A column that is not asked for is not computed.
CREATE OR REPLACE VIEW windows AS
WITH summed AS (
    SELECT app, environment, route, signal, start_ms, end_ms, sum(n)::BIGINT AS n, fsum(total) AS total,
        sum(unmeasured)::BIGINT AS unmeasured, sum(late)::BIGINT AS late, sum(low)::BIGINT AS low, count(*) AS parts,
        list_sort(flatten(list(list_transform(list_zip(buckets, counts), lambda b: {'bucket': b[1], 'c': b[2]}))
            FILTER (WHERE buckets IS NOT NULL))) AS histogram
    FROM parts_of_windows GROUP BY ALL
)
SELECT app, environment, route, signal, make_timestamptz(start_ms * 1000) AS window_start,
    make_timestamptz(end_ms * 1000) AS window_end, n, total, total / nullif(n, 0) AS mean,
    total * 3600000 / (end_ms - start_ms) AS per_hour,
    unmeasured, unmeasured / nullif(n + unmeasured, 0) AS unmeasured_share, late, low, low / nullif(n, 0) AS low_share,
    bucket_low(list_min(histogram).bucket) AS min,
    histogram_quantile(histogram, 0.5) AS p50, histogram_quantile(histogram, 0.95) AS p95,
    histogram_quantile(histogram, 0.99) AS p99, bucket_low(list_max(histogram).bucket + 1) AS max,
    parts, start_ms, end_ms
FROM summed;

-- Each signal of each segment over the last 5 minutes, hour, 24 hours, 7 days before the last end of a
-- window at a time; NULL: before the end of the newest window of that signal in that app, whose windows all
-- close together.
CREATE MACRO signals_rolling_at(until) AS TABLE
WITH spans(rolling, span_ms) AS (
    VALUES ('5m', 300000::BIGINT), ('1h', 3600000::BIGINT), ('24h', 86400000::BIGINT), ('7d', 604800000::BIGINT)
), ends AS (
    SELECT app, signal, coalesce(wanted - wanted % width, newest) AS until_ms
    FROM (
        SELECT app, signal, max(end_ms) AS newest, arg_max(end_ms - start_ms, end_ms) AS width
        FROM parts_of_windows GROUP BY app, signal
    ) CROSS JOIN (SELECT epoch_ms(until::TIMESTAMPTZ) AS wanted)
), recent AS (
    SELECT p.*, until_ms FROM parts_of_windows p JOIN ends USING (app, signal)
    WHERE start_ms >= until_ms - 604800000 AND end_ms <= until_ms
), conversations AS (
    -- A rate that nobody watches has no window in which it is 0: its n is that of the others.
    SELECT app, environment, route, rolling, sum(n)::BIGINT AS n FROM (
        SELECT app, environment, route, start_ms, end_ms, max(n) AS n, any_value(until_ms) AS until_ms
        FROM recent WHERE ends_with(signal, '_rate') GROUP BY ALL
    ) JOIN spans ON start_ms >= until_ms - span_ms GROUP BY ALL
), series AS (
    SELECT DISTINCT app, environment, route, signal, until_ms, rolling, span_ms FROM recent CROSS JOIN spans
), sums AS (
    SELECT app, environment, route, signal, rolling, sum(n)::BIGINT AS n, fsum(total) AS total,
        sum(unmeasured)::BIGINT AS unmeasured, sum(late)::BIGINT AS late, sum(low)::BIGINT AS low
    FROM recent JOIN spans ON start_ms >= until_ms - span_ms GROUP BY ALL
), bucketed AS (
    SELECT app, environment, route, signal, rolling, bucket, sum(c)::BIGINT AS c FROM (
        SELECT app, environment, route, signal, start_ms, until_ms, unnest(buckets) AS bucket, unnest(counts) AS c FROM recent
    ) JOIN spans ON start_ms >= until_ms - span_ms GROUP BY ALL
), ranked AS (
    SELECT *, sum(c) OVER (PARTITION BY app, environment, route, signal, rolling ORDER BY bucket) AS upto,
        sum(c) OVER (PARTITION BY app, environment, route, signal, rolling) AS of_all
    FROM bucketed
), quantiles AS (
    SELECT app, environment, route, signal, rolling, bucket_low(min(bucket)) AS min,
        bucket_value(min(bucket) FILTER (WHERE upto >= 0.5::DOUBLE * of_all)) AS p50,
        bucket_value(min(bucket) FILTER (WHERE upto >= 0.95::DOUBLE * of_all)) AS p95,
        bucket_value(min(bucket) FILTER (WHERE upto >= 0.99::DOUBLE * of_all)) AS p99,
        bucket_low(max(bucket) + 1) AS max
    FROM ranked GROUP BY ALL
), counted AS (
    SELECT s.app, s.environment, s.route, s.signal, s.rolling, until_ms, span_ms, total, unmeasured, late, low,
        CASE WHEN ends_with(s.signal, '_rate') THEN conversations.n ELSE sums.n END AS n
    FROM series s LEFT JOIN sums USING (app, environment, route, signal, rolling)
    LEFT JOIN conversations ON (s.app, s.environment, s.route, s.rolling)
        = (conversations.app, conversations.environment, conversations.route, conversations.rolling)
)
SELECT app, environment, route, signal, rolling, make_timestamptz((until_ms - span_ms) * 1000) AS rolling_start,
    make_timestamptz(until_ms * 1000) AS rolling_end, coalesce(n, 0) AS n,
    CASE WHEN n > 0 THEN coalesce(total, 0) / n END AS mean, coalesce(total, 0) AS total,
    coalesce(total, 0) * 3600000 / span_ms AS per_hour,
    coalesce(unmeasured, 0) AS unmeasured, unmeasured / nullif(n + unmeasured, 0) AS unmeasured_share,
    coalesce(late, 0) AS late, coalesce(low, 0) AS low, low / nullif(n, 0) AS low_share, min, p50, p95, p99, max
FROM counted LEFT JOIN quantiles USING (app, environment, route, signal, rolling);

CREATE VIEW signals_rolling AS SELECT * FROM signals_rolling_at(NULL);

-- What people ask of a segment, in one row for each span: the same figures, by name.
CREATE VIEW segments_rolling AS
SELECT app, environment, route, rolling, max(rolling_end) AS rolling_end,
    max(n + unmeasured) FILTER (WHERE signal = 'cost_per_request') AS traces,
    max(mean) FILTER (WHERE signal = 'faithfulness') AS faithfulness,
    max(n) FILTER (WHERE signal = 'faithfulness') AS scored,
    max(1 - low_share) FILTER (WHERE signal = 'faithfulness') AS grounded_share,
    max(unmeasured_share) FILTER (WHERE signal = 'faithfulness') AS unscored_share,
    max(mean) FILTER (WHERE signal = 'escalation_rate') AS escalation_rate,
    max(n) FILTER (WHERE signal = 'escalation_rate') AS conversations,
    max(total) FILTER (WHERE signal = 'cost_per_request') AS spend_usd,
    max(per_hour) FILTER (WHERE signal = 'cost_per_request') AS spend_usd_per_hour,
    max(mean) FILTER (WHERE signal = 'cost_per_request') AS cost_per_request_usd,
    max(p95) FILTER (WHERE signal = 'cost_per_request') AS p95_cost_usd,
    -- NULL, not infinite, where no task has succeeded.
    max(total) FILTER (WHERE signal = 'cost_per_request')
        / nullif(max(n - total) FILTER (WHERE signal = 'task_failure_rate'), 0) AS cost_per_success_usd,
    max(unmeasured_share) FILTER (WHERE signal = 'cost_per_request') AS unpriced_share,
    max(p95) FILTER (WHERE signal = 'tokens_per_request') AS p95_tokens,
    max(p50) FILTER (WHERE signal = 'latency_ms') AS p50_latency_ms,
    max(p95) FILTER (WHERE signal = 'latency_ms') AS p95_latency_ms,
    max(p99) FILTER (WHERE signal = 'latency_ms') AS p99_latency_ms,
    max(p95) FILTER (WHERE signal = 'time_to_first_token_ms') AS p95_time_to_first_token_ms
FROM signals_rolling GROUP BY app, environment, route, rolling;
