"""The gate's runs, kept in the store: what the next release is compared with, and what ``loop`` looks at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from schemas.identity import derive
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.fields import moment
from sinks.evalstore.releases.record import line
from sinks.evalstore.releases.results import Outcome

BUILD_LENGTH = 200


class Run(NamedTuple):
    """One run of the gate on a release. ``results``: (case_id, passed, flaky, score, cost_usd) each.

    ``gated_at``: when, in epoch ms; None in requests of an earlier Gleaner. ``build``: what was tested; None
    where nobody said.
    """

    release: str
    passed: bool
    checks: list[dict[str, Any]]
    results: list[tuple[str, bool, bool, float | None, float | None]]
    build: str | None = None
    gated_at: int | None = None


class Kept(NamedTuple):
    """A run as the store has it. ``gated_at`` in epoch ms."""

    run_id: str
    release: str
    gated_at: int
    passed: bool
    build: str | None
    results: dict[str, Outcome]

    def about(self) -> dict[str, Any]:
        """Which run it was, without its results."""
        return {name: value for name, value in self._asdict().items() if name != "results"}


def read_run(request: Any) -> Run:
    """A request that came as JSON; raises ``ValueError`` where it is none."""
    wanted = request.get("keep") if isinstance(request, dict) else None
    if not isinstance(wanted, dict):
        raise ValueError("no run to keep")
    release, passed, checks, rows, build, gated_at = (wanted.get(name) for name in Run._fields)
    if not isinstance(release, str) or not isinstance(passed, bool) or not isinstance(checks, list):
        raise ValueError("no run of a gate")
    if not isinstance(build, str | None) or not isinstance(gated_at, int | None):
        raise ValueError("no build, or no time")
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
    return Run(release, passed, checks, results, build and build[:BUILD_LENGTH], gated_at)


def keep(con: DuckDBPyConnection, run: Run, now: int) -> str:
    """Write a run, within the caller's transaction; its id. The same request is kept once: a run with the
    same results at another time is another run, and the latest one.

    Results of cases that the store does not hold are left out. Raises ``BadRequest`` for no such release.
    """
    if con.execute("SELECT count(*) FROM releases WHERE release = ?", [run.release]).fetchone() == (0,):
        raise BadRequest(f"no such release: {run.release}")
    gated_at = now if run.gated_at is None else run.gated_at
    content = line({"results": sorted(run.results, key=lambda row: row[0]), "checks": run.checks})
    run_id = derive("gate-run", run.release, gated_at, run.build, content)
    if con.execute("SELECT count(*) FROM gate_runs WHERE run_id = ?", [run_id]).fetchone() != (0,):
        return run_id
    con.execute(
        "INSERT INTO gate_runs (run_id, release, gated_at, passed, checks, build) VALUES (?, ?, ?, ?, ?, ?)",
        [run_id, run.release, moment(gated_at), run.passed, json.dumps(run.checks), run.build],
    )
    ids = [row[0] for row in run.results]
    query = "SELECT case_id FROM cases WHERE case_id IN (SELECT unnest(?::VARCHAR[]))"
    known = {str(row[0]) for row in con.execute(query, [ids]).fetchall()}
    rows = [[run_id, *row] for row in run.results if row[0] in known]
    if rows:
        con.executemany("INSERT INTO gate_results VALUES (?, ?, ?, ?, ?, ?)", rows)
    return run_id


def latest(con: DuckDBPyConnection, release: str) -> Kept | None:
    """A release's latest run; None where there was none."""
    return _newest(con, "release = ?", [release])


def standing(con: DuckDBPyConnection, release: str) -> Kept | None:
    """The run that a release went out with: its last one that passed, else, of a release that was always
    held, the latest."""
    return _newest(con, "release = ? AND passed", [release]) or latest(con, release)


def passed_before(con: DuckDBPyConnection, release: str) -> Kept | None:
    """The last passing run of the newest release frozen before this one that has any: a release that was
    held went nowhere."""
    row = con.execute(
        """SELECT release FROM releases WHERE release IN (SELECT release FROM gate_runs WHERE passed)
            AND (frozen_at, release) < (SELECT (frozen_at, release) FROM releases WHERE release = ?)
        ORDER BY frozen_at DESC, release DESC LIMIT 1""",
        [release],
    ).fetchone()
    return None if row is None else standing(con, str(row[0]))


def _newest(con: DuckDBPyConnection, condition: str, given: list[str]) -> Kept | None:
    rows = con.execute(
        f"""SELECT run_id, release, epoch_ms(gated_at), passed, {_build(con)} FROM gate_runs
        WHERE {condition} ORDER BY gated_at DESC, run_id DESC LIMIT 1""",  # noqa: S608 - of two above
        given,
    ).fetchall()
    query = "SELECT case_id, passed, flaky, score, cost_usd FROM gate_results WHERE run_id = ?"
    for run_id, release, gated_at, passed, build in rows:
        results = {one[0]: Outcome(*one) for one in con.execute(query, [run_id]).fetchall()}
        return Kept(run_id, release, gated_at, passed, build, results)
    return None


def _build(con: DuckDBPyConnection) -> str:
    """The column, or what it would hold: a snapshot that an earlier Gleaner published has none."""
    there = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'gate_runs' AND column_name = 'build'"
    return "NULL::VARCHAR" if con.execute(there).fetchone() == (0,) else "build"


def unstable(con: DuckDBPyConnection, runs: Iterable[Kept | None]) -> set[str]:
    """Cases that passed and failed in one of these runs, or in it and other runs of its build: of different
    builds a different result is what the change did."""
    found: set[str] = set()
    for run in runs:
        if run is not None:
            rows = con.execute(
                f"""SELECT case_id FROM gate_results JOIN gate_runs USING (run_id)
                WHERE run_id = ? OR (release = ? AND {_build(con)} = ?) GROUP BY case_id
                HAVING bool_or(flaky) OR count(DISTINCT gate_results.passed) > 1""",  # noqa: S608
                [run.run_id, run.release, run.build],
            ).fetchall()
            found |= {str(row[0]) for row in rows}
    return found


def as_request(
    release: str,
    passed: bool,
    checks: list[dict[str, Any]],
    results: Mapping[str, Outcome],
    gated_at: int,
    build: str | None = None,
) -> dict[str, Any]:
    """The request that ``read_run`` reads."""
    rows = [list(results[case_id][:5]) for case_id in sorted(results)]
    run = {"release": release, "passed": passed, "checks": checks, "results": rows}
    return {"keep": run | {"build": build, "gated_at": gated_at}}
