"""``gleaner gate``: whether a release may go out, from the results of the team's own test runner."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from streams.commands.fail import Failed
from streams.commands.gate_view import run_in_words, say
from streams.commands.owner import TIMEOUT, by_the_owner
from streams.commands.printable import json_line, printable
from streams.commands.reader import Store, reader
from streams.wall import now_ms

if TYPE_CHECKING:
    from sinks.evalstore.releases.bundle import Release
    from sinks.evalstore.releases.kept import Kept
    from sinks.evalstore.releases.results import Matched, Outcome

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
        typer.Option(help="a release, or a file of results; default: the last release before that passed"),
    ] = None,
    build: Annotated[
        str | None,
        typer.Option(help="what was tested, such as a commit; runs of one build that differ are flaky"),
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

    now = now_ms()
    floors = tuple(_floor(text) for text in slice_floor or ())
    if math.isnan(min_score):  # of options with bounds typer refuses it
        raise Failed("--min-score nan: is no number to compare with")
    path = None
    try:
        # A store that is named is meant: releases' folders are committed, so one of this name may lie here.
        if (Path(release) / MANIFEST).is_file() and (store is None or "/" in release):
            found = read_bundle(Path(release))
            compared = _from_file(against, min_score, found) if against else None
        else:
            path, found, compared = _from_store(store, release, against, min_score)
        mine = _read(results, min_score, found)
    except StoreError as error:
        raise Failed(printable(error)) from error
    policy = GatePolicy(min_pass_rate, max_mean_cost_usd, floors, alpha)
    verdict = decide(
        found.cases, found.intact, mine.outcomes, compared and compared.results, policy, mine.why
    )
    beside = compared and compared.words()
    if junit is not None:
        junit.write_text(
            gate_report.junit(found.frozen.release, verdict, found.cases, beside), encoding="utf-8"
        )
    if markdown is not None:
        markdown.write_text(
            gate_report.markdown(found.frozen.release, verdict, found.cases, beside), encoding="utf-8"
        )
    checks = [check._asdict() for check in verdict.checks]
    with _whoever_reads():
        if as_json:
            data: dict[str, Any] = {"passed": verdict.passed, "checks": checks, "failing": verdict.failing}
            data |= {"missing": list(verdict.missing), "no_result": verdict.missing}
            data |= {"of_no_case": mine.strangers, "against": compared and compared.name}
            typer.echo(json_line(data | {"against_run": compared and compared.run and compared.run.about()}))
        else:
            say(found, verdict, beside, mine.strangers)
    if keep and path is not None:
        try:
            name = found.frozen.release
            run = as_request(name, verdict.passed, checks, mine.outcomes, now, build)
            by_the_owner(path, run, timeout)
        except Failed as failure:  # the verdict stands without
            typer.echo(f"gleaner: the results are not kept yet: {failure}", err=True)
    if not verdict.passed:
        raise typer.Exit(1)


class Compared(NamedTuple):
    """What a release is compared with: a file of results, or (``run``) a kept run of another release."""

    name: str
    results: dict[str, Outcome]
    run: Kept | None = None

    def words(self) -> str:
        return self.name if self.run is None else run_in_words(self.run)


def _from_store(
    store: Path | None, name: str, against: str | None, min_score: float
) -> tuple[Path | None, Release, Compared | None]:
    """The store's file (None: a directory of snapshots keeps nothing), the release, what to compare with."""
    from sinks.evalstore.releases.kept import passed_before, standing
    from streams.commands.release import find, known
    from streams.settings import Settings

    compared = None
    with reader(store) as con:
        found = known(con, name)
        if against is not None and Path(against).is_file():
            compared = _from_file(against, min_score, found)
        else:
            if against is not None:
                find(con, against)
            run = passed_before(con, name) if against is None else standing(con, against)
            if run is not None:
                compared = Compared(run.release, run.results, run)
            elif against is not None:
                raise Failed(
                    f"--against {printable(against)}: no results of it are kept, `gleaner gate` keeps them"
                )
    file = (store or Settings().store_file()).absolute()
    return file if file.is_file() else None, found, compared


def _from_file(against: str, min_score: float, found: Release) -> Compared:
    return Compared(against, _read(Path(against), min_score, found).outcomes)


def _read(path: Path, min_score: float, release: Release) -> Matched:
    from sinks.evalstore.releases.results import match, read_results

    return match(read_results(path, min_score), release.cases)


@contextmanager
def _whoever_reads() -> Iterator[None]:
    """They may have read enough, as ``head`` does: the exit status is the verdict's all the same."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _floor(text: str) -> tuple[str, float]:
    name, _, rate = text.rpartition(":")
    try:
        value = float(rate)
    except ValueError:
        value = -1.0
    if "=" not in name or not 0 <= value <= 1:
        raise Failed(f"--slice-floor {printable(text)}: is NAME=VALUE:RATE, such as reason=escalation:0.8")
    return name, value


COMMANDS = (gate,)
