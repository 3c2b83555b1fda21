"""``gleaner gate``: whether a release may go out, from the results of the team's own test runner."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.commands.fail import Failed
from streams.commands.owner import TIMEOUT, by_the_owner
from streams.commands.printable import json_line, one_line, printable
from streams.commands.reader import Store, reader

if TYPE_CHECKING:
    from sinks.evalstore.releases.bundle import Release
    from sinks.evalstore.releases.gate import Verdict
    from sinks.evalstore.releases.results import Matched, Outcome

SHOWN = 10

Rate = Annotated[float, typer.Option(min=0, max=1, help="share of cases that must pass")]


def gate(
    release: Annotated[
        str, typer.Option(help="a release, or the folder of one's files (then no store is read)")
    ],
    results: Annotated[
        Path, typer.Option(help="your runner's results: JSONL, promptfoo, DeepEval, Inspect, ragas")
    ],
    min_pass_rate: Rate = 0.90,
    max_mean_cost_usd: Annotated[
        float | None, typer.Option(min=0, help="US dollars per case, at most")
    ] = None,
    slice_floor: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE:RATE, such as reason=escalation:0.8; may be repeated")
    ] = None,
    min_score: Annotated[
        float, typer.Option(help="from this score on a result without `passed` has passed")
    ] = 0.5,
    against: Annotated[
        str | None,
        typer.Option(help="a release, or a file of results; default: the last release with results"),
    ] = None,
    alpha: Annotated[
        float, typer.Option(min=0.0001, max=0.5, help="level of the comparison, and of the test of slices")
    ] = 0.05,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="keep the results in the store")] = True,
    junit: Annotated[Path | None, typer.Option(help="write JUnit XML to this file")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write Markdown to this file")] = None,
    store: Store = None,
    timeout: Annotated[float, typer.Option(min=1, help="seconds to wait for the store's owner")] = TIMEOUT,
    as_json: Annotated[bool, typer.Option("--json", help="the verdict as one JSON object")] = False,
) -> None:
    """Pass or hold a release: exit status 0 or 1. Its cases must have results, and enough must have passed.

    Example: gleaner gate --release 2026.11 --results results.jsonl --max-mean-cost-usd 0.03
    """
    from sinks.evalstore import StoreError
    from sinks.evalstore.releases import gate_report
    from sinks.evalstore.releases.bundle import MANIFEST, read_bundle
    from sinks.evalstore.releases.gate import GatePolicy
    from sinks.evalstore.releases.gate import gate as decide
    from sinks.evalstore.releases.kept import as_request

    floors = tuple(_floor(text) for text in slice_floor or ())
    path = None
    try:
        if (Path(release) / MANIFEST).is_file():
            found = read_bundle(Path(release))
            compared, earlier = _from_file(against, min_score, found) if against else (None, None)
        else:
            path, found, compared, earlier = _from_store(store, release, against, min_score)
        mine = _read(results, min_score, found)
    except StoreError as error:
        raise Failed(printable(error)) from error
    policy = GatePolicy(min_pass_rate, max_mean_cost_usd, floors, alpha)
    verdict = decide(found.cases, found.intact, mine.outcomes, earlier, policy, mine.why)
    if junit is not None:
        junit.write_text(gate_report.junit(found.frozen.release, verdict, found.cases), encoding="utf-8")
    if markdown is not None:
        markdown.write_text(
            gate_report.markdown(found.frozen.release, verdict, found.cases), encoding="utf-8"
        )
    checks = [check._asdict() for check in verdict.checks]
    if as_json:
        data: dict[str, Any] = {"passed": verdict.passed, "checks": checks, "failing": verdict.failing}
        data |= {"missing": list(verdict.missing), "no_result": verdict.missing}
        typer.echo(json_line(data | {"of_no_case": mine.strangers, "against": compared}))
    else:
        _say(found, verdict, compared, mine.strangers)
    if keep and path is not None:
        try:
            by_the_owner(
                path, as_request(found.frozen.release, verdict.passed, checks, mine.outcomes), timeout
            )
        except Failed as failure:  # the verdict stands without
            typer.echo(f"gleaner: the results are not kept yet: {failure}", err=True)
    if not verdict.passed:
        raise typer.Exit(1)


def _from_store(
    store: Path | None, name: str, against: str | None, min_score: float
) -> tuple[Path | None, Release, str | None, dict[str, Outcome] | None]:
    """The store's file (None: a directory of snapshots keeps nothing), the release, what to compare with."""
    from sinks.evalstore.releases.kept import latest, latest_before
    from streams.commands.release import find
    from streams.settings import Settings

    with reader(store) as con:
        found = find(con, name)
        if against is None:
            before = latest_before(con, name)
            compared, earlier = before if before is not None else (None, None)
        elif Path(against).is_file():
            compared, earlier = _from_file(against, min_score, found)
        else:
            find(con, against)
            compared, earlier = against, latest(con, against)
            if earlier is None:
                raise Failed(
                    f"--against {printable(against)}: no results of it are kept, `gleaner gate` keeps them"
                )
    file = (store or Settings().store_file()).absolute()
    return file if file.is_file() else None, found, compared, earlier


def _from_file(against: str, min_score: float, found: Release) -> tuple[str, dict[str, Outcome]]:
    return against, _read(Path(against), min_score, found).outcomes


def _read(path: Path, min_score: float, release: Release) -> Matched:
    from sinks.evalstore.releases.results import match, read_results

    return match(read_results(path, min_score), release.cases)


def _floor(text: str) -> tuple[str, float]:
    name, _, rate = text.rpartition(":")
    try:
        value = float(rate)
    except ValueError:
        value = -1.0
    if "=" not in name or not 0 <= value <= 1:
        raise Failed(f"--slice-floor {printable(text)}: is NAME=VALUE:RATE, such as reason=escalation:0.8")
    return name, value


def _say(release: Release, verdict: Verdict, compared: str | None, strangers: int) -> None:
    from sinks.evalstore.releases.gate_report import number

    for check in verdict.checks:
        mark = "✓" if check.passed else "✗"
        typer.echo(
            f"{mark} {one_line(check.name):<28} {number(check.value):>8} against {number(check.bound):<8} "
            f"{one_line(check.reason)}"
        )
    cases: dict[str, Any] = {case["case_id"]: case for case in release.cases}
    for case_id in verdict.failing[:SHOWN]:
        case = cases[case_id]
        critical = "critical: " if case["critical"] else ""
        typer.echo(
            f"  did not pass: {case_id[:8]}  {critical}{one_line(case['question'] or '(no question)')[:90]}"
        )
    if len(verdict.failing) > SHOWN:
        typer.echo(f"  … and {len(verdict.failing) - SHOWN:,} more: --json names them")
    beside = f", compared with {printable(compared)}" if compared else ""
    word = "passed" if verdict.passed else "held"
    if strangers:
        typer.echo(f"{strangers:,} results are of no case of this set")
    typer.echo(f"release {release.frozen.release}: {word}{beside}")


COMMANDS = (gate,)
