"""A verdict of the gate, as people read it on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from schemas.base import rfc3339
from streams.commands.printable import one_line, printable

if TYPE_CHECKING:
    from sinks.evalstore.releases.bundle import Release
    from sinks.evalstore.releases.gate import Verdict
    from sinks.evalstore.releases.kept import Kept

SHOWN = 10


def say(release: Release, verdict: Verdict, compared: str | None, strangers: int) -> None:
    """The checks, the cases that did not pass, and the verdict. ``compared``: with what; ``strangers``:
    results of no case."""
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
    if strangers:
        typer.echo(f"{strangers:,} results are of no case of this set")
    beside = f", compared with {printable(compared)}" if compared else ""
    word = "passed" if verdict.passed else "held"
    typer.echo(f"release {release.frozen.release}: {word}{beside}")


def run_in_words(run: Kept) -> str:
    """A release and which of its runs: ``v1 (passed 2026-03-01 00:00, build 4f2a)``."""
    word, when = "passed" if run.passed else "held", rfc3339(run.gated_at)[:16].replace("T", " ")
    build = f", build {run.build}" if run.build else ""
    return f"{run.release} ({word} {when}{build})"
