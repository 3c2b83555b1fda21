"""The gate's runs, kept in the store: what the next release is compared with, and what ``loop`` looks at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.identity import derive
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.fields import moment
from sinks.evalstore.releases.record import line
from sinks.evalstore.releases.results import Outcome


class Run(NamedTuple):
    """One run of the gate on a release. ``results``: (case_id, passed, flaky, score, cost_usd) each."""

    release: str
    passed: bool
    checks: list[dict[str, Any]]
    results: list[tuple[str, bool, bool, float | None, float | None]]


def read_run(request: Any) -> Run:
    """A request that came as JSON; raises ``ValueError`` where it is none."""
    wanted = request.get("keep") if isinstance(request, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError("no run to keep")
    release, passed, checks, rows = (wanted.get(name) for name in Run._fields)
    if not isinstance(release, str) or not isinstance(passed, bool) or not isinstance(checks, list):
        raise ValueError("no run of a gate")
    if not isinstance(rows, list):
        raise ValueError("no results")
    results = []
    for row in rows:
        case_id, ok, flaky, score, cost = row
        if not isinstance(case_id, str) or not isinstance(ok, bool) or not isinstance(flaky, bool):
            raise ValueError("a result that is none")
        results.append(
            (
                case_id,
                ok,
                flaky,
                None if score is None else float(score),
                None if cost is None else float(cost),
            )
        )
    return Run(release, passed, checks, results)


def keep(con: DuckDBPyConnection, run: Run, now: int) -> str:
    """Write a run, within the caller's transaction; its id. The same results are kept once.

    Results of cases that the store does not hold are left out. Raises ``BadRequest`` for no such release.
    """
    if con.execute("SELECT count(*) FROM releases WHERE release = ?", [run.release]).fetchone() == (0,):
        raise BadRequest(f"no such release: {run.release}")
    run_id = derive("gate-run", run.release, line({"results": sorted(run.results), "checks": run.checks}))
    if con.execute("SELECT count(*) FROM gate_runs WHERE run_id = ?", [run_id]).fetchone() != (0,):
        return run_id
    con.execute(
        "INSERT INTO gate_runs VALUES (?, ?, ?, ?, ?)",
        [run_id, run.release, moment(now), run.passed, json.dumps(run.checks)],
    )
    ids = [row[0] for row in run.results]
    query = "SELECT case_id FROM cases WHERE case_id IN (SELECT unnest(?::VARCHAR[]))"
    known = {str(row[0]) for row in con.execute(query, [ids]).fetchall()}
    rows = [[run_id, *row] for row in run.results if row[0] in known]
    if rows:
        con.executemany("INSERT INTO gate_results VALUES (?, ?, ?, ?, ?, ?)", rows)
    return run_id


def latest(con: DuckDBPyConnection, release: str) -> dict[str, Outcome] | None:
    """The results of a release's latest run; None where there was none."""
    rows = con.execute(
        """SELECT case_id, passed, flaky, score, cost_usd FROM gate_results WHERE run_id =
            (SELECT arg_max(run_id, (gated_at, run_id)) FROM gate_runs WHERE release = ?)""",
        [release],
    ).fetchall()
    return {row[0]: Outcome(*row) for row in rows} or None


def latest_before(con: DuckDBPyConnection, release: str) -> tuple[str, dict[str, Outcome]] | None:
    """The newest release frozen before this one that has a run, and its results."""
    rows = con.execute(
        """SELECT release FROM releases WHERE release IN (SELECT release FROM gate_runs)
            AND (frozen_at, release) < (SELECT (frozen_at, release) FROM releases WHERE release = ?)
        ORDER BY frozen_at DESC, release DESC LIMIT 1""",
        [release],
    ).fetchall()
    found = latest(con, rows[0][0]) if rows else None
    return None if found is None else (str(rows[0][0]), found)


def unstable(con: DuckDBPyConnection, releases: list[str]) -> set[str]:
    """Cases that passed and failed in runs of one and the same of these releases."""
    rows = con.execute(
        """SELECT case_id FROM gate_results JOIN gate_runs USING (run_id)
        WHERE release IN (SELECT unnest(?::VARCHAR[])) GROUP BY case_id, release
        HAVING bool_or(flaky) OR count(DISTINCT gate_results.passed) > 1""",
        [releases],
    ).fetchall()
    return {str(row[0]) for row in rows}


def as_request(
    release: str, passed: bool, checks: list[dict[str, Any]], results: Mapping[str, Outcome]
) -> dict[str, Any]:
    """The request that ``read_run`` reads."""
    rows = [list(results[case_id][:5]) for case_id in sorted(results)]
    return {"keep": {"release": release, "passed": passed, "checks": checks, "results": rows}}
