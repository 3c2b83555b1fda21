"""How far scorers can be trusted: their low scores beside what reviewers said of the same failures."""

from __future__ import annotations

from typing import NamedTuple

from duckdb import DuckDBPyConnection

from schemas.calibration import Calibration
from sinks.evalstore.releases.exact import clopper_pearson


class ScorerLows(NamedTuple):
    """A scorer's failures in an app: of ``lows`` clusters in which its newest version called an answer low,
    ``reviewed`` have a verdict that stands, and ``confirmed`` of those are accepted as failures.

    The share behind ``confirmed`` of ``reviewed`` lies between ``low`` and ``high`` (95 %, Clopper and
    Pearson 1934). **Misleads** as :class:`~schemas.calibration.Calibration` says. A verdict is on the
    failure, for whatever reason it is one: an answer that a user corrected, too, is confirmed all the same.
    """

    app: str
    scorer: str
    version: str
    lows: int
    reviewed: int
    confirmed: int
    low: float | None
    high: float | None

    @property
    def calibration(self) -> Calibration:
        """The figure as it is published."""
        return Calibration(
            app=self.app,
            scorer=self.scorer,
            scorer_version=self.version,
            reviewed=self.reviewed,
            confirmed=self.confirmed,
            share_from=self.low,
            share_to=self.high,
        )


def reviewed_lows(con: DuckDBPyConnection, app: str | None = None) -> list[ScorerLows]:
    """Every scorer of every app (or of ``app``) that has called an answer low, by app and scorer.

    Only the version counts that scored the latest trace: another judging model is another judge.
    """
    rows = con.execute(_LOWS, {"app": app}).fetchall()
    return [
        ScorerLows(app, scorer, version, lows, n, k, *(clopper_pearson(k, n) if n else (None, None)))
        for app, scorer, version, lows, n, k in rows
    ]


def calibrations(con: DuckDBPyConnection) -> tuple[Calibration, ...]:
    """What goes to whoever quotes it: the scorers with a reviewed failure, nothing where nobody reviews."""
    if con.execute("SELECT 1 FROM case_reviews LIMIT 1").fetchone() is None:
        return ()
    return tuple(one.calibration for one in reviewed_lows(con) if one.reviewed)


# A score whose record was gone from the log has no version: it makes none the newest.
_LOWS = """
WITH called AS (
    SELECT c.app, e.case_id, e.scorer, coalesce(e.score->>'$.scorer_version', '') AS version, e.ts, e.event_id
    FROM case_events e JOIN cases c USING (case_id)
    WHERE list_contains(e.reasons, 'low_score') AND e.scorer IS NOT NULL AND ($app IS NULL OR c.app = $app)
), newest AS (
    SELECT app, scorer, arg_max(version, (version <> '', ts, event_id)) AS version FROM called
    GROUP BY app, scorer
), failures AS (
    SELECT DISTINCT app, scorer, version, cluster_id
    FROM called JOIN newest USING (app, scorer, version) JOIN cluster_of USING (case_id)
)
SELECT app, scorer, version, count(*), count(verdict), count(*) FILTER (verdict = 'accepted')
FROM failures LEFT JOIN cluster_reviews USING (cluster_id)
GROUP BY app, scorer, version ORDER BY app, scorer
"""
