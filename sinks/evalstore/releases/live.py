"""What production says of frozen failures: their cases and the traffic, before and after a release."""

from __future__ import annotations

from typing import NamedTuple

from duckdb import DuckDBPyConnection

from schemas.base import rfc3339
from sinks.evalstore.releases.loop import Live, Traces


class Span(NamedTuple):
    """Epoch ms: before is ``begin`` to ``live``, after is ``live`` to the end of an app's last window."""

    begin: int
    live: int


def live_since(con: DuckDBPyConnection, release: str, frozen_at: int) -> int:
    """When a release went live, as far as the store knows: epoch ms.

    The first case whose trace names this release; else the last time that the gate passed it; else when its
    set was frozen. Misleads where the traces name no release: say when it was.
    """
    row = con.execute(
        """SELECT (SELECT epoch_ms(min(ts)) FROM cases WHERE cases.release = $release),
            (SELECT epoch_ms(max(gated_at)) FROM gate_runs WHERE gate_runs.release = $release AND passed)""",
        {"release": release},
    ).fetchone()
    assert row is not None
    return next((int(value) for value in row if value is not None), frozen_at)


def first_seen(con: DuckDBPyConnection, case_ids: list[str]) -> dict[str, int]:
    """When the store first held any case of the cluster that each case is in by now: epoch ms by case id.

    On the store's clock, as a freeze is: not when it happened in production, which a replay of older events
    leaves behind.
    """
    rows = con.execute(
        """SELECT case_id, epoch_ms(first) FROM cluster_of JOIN (
            SELECT cluster_id, min(first_seen) AS first FROM cluster_of JOIN cases USING (case_id)
            GROUP BY cluster_id
        ) USING (cluster_id) WHERE case_id IN (SELECT unnest(?::VARCHAR[]))""",
        [case_ids],
    ).fetchall()
    return {str(case_id): int(first) for case_id, first in rows}


def live_cases(con: DuckDBPyConnection, case_ids: list[str], span: Span) -> dict[str, Live]:
    """Cases of the cluster that each case is in by now, by case id; up to the end of its app's windows. Of a
    cluster without any until then it says but which one it is."""
    rows = con.execute(
        """WITH ends AS (SELECT app, max(end_ms) AS until FROM parts_of_windows GROUP BY app),
        found AS (
            SELECT l.cluster_id,
                count(*) FILTER (WHERE epoch_ms(l.ts) >= $begin AND epoch_ms(l.ts) < $live) AS before,
                count(*) FILTER (WHERE epoch_ms(l.ts) >= $live) AS after,
                epoch_ms(max(l.ts)) AS last_seen
            FROM case_list l LEFT JOIN ends USING (app)
            WHERE until IS NULL OR epoch_ms(l.ts) < until GROUP BY l.cluster_id
        )
        SELECT case_id, coalesce(found.before, 0), coalesce(found.after, 0), last_seen, cluster_of.cluster_id
        FROM cluster_of LEFT JOIN found USING (cluster_id)
        WHERE case_id IN (SELECT unnest($ids::VARCHAR[]))""",
        {"ids": case_ids, **span._asdict()},
    ).fetchall()
    return {
        case_id: Live(before, after, None if last is None else rfc3339(last), cluster)
        for case_id, before, after, last, cluster in rows
    }


def live_traces(con: DuckDBPyConnection, span: Span) -> dict[str, Traces]:
    """Traces by app, from the windows of requests; a window belongs to where it begins."""
    rows = con.execute(
        """SELECT app, sum(n + unmeasured) FILTER (WHERE start_ms >= $begin AND start_ms < $live)::BIGINT,
            sum(n + unmeasured) FILTER (WHERE start_ms >= $live)::BIGINT
        FROM parts_of_windows WHERE signal = 'cost_per_request' GROUP BY app""",
        span._asdict(),
    ).fetchall()
    return {app: Traces(before or 0, after or 0) for app, before, after in rows}


def owners(con: DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Who owns the rule behind the latest alarm of each (app, signal)."""
    rows = con.execute(
        """SELECT app, signal, arg_max(body->>'$.owner', (detected_at, id)) FROM signals
        WHERE coalesce(body->>'$.owner', '') <> '' GROUP BY app, signal"""
    ).fetchall()
    return {(app, signal): owner for app, signal, owner in rows}
