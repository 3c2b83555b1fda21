"""``gleaner demo --release-2``: the loop from failures to the next release, with counts that are known.

A week of failures becomes a frozen set, the set gates two releases, and production says what came of it;
all of it by the commands that anybody runs. What is planted must come out exactly, else the demo fails.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from streams.commands.fail import Failed
from streams.commands.printable import printable
from streams.demo.home import Home, home
from streams.demo.planted import (
    Case,
    Plan,
    candidate_results,
    first_results,
    found,
    recurring,
    second_results,
)
from streams.demo.slack_view import WIDTH
from streams.demo.surroundings import environment, surrounded
from streams.demo.weeks import background, new_failures, week, without
from streams.replay import replay
from streams.simulate.generate import lines, simulate
from streams.simulate.scenarios import SCENARIOS
from streams.simulate.shape import Event
from streams.simulate.support import APP

SCENARIO = "silent-update"
V0, V1, V2 = "2026.9", "2026.10", "2026.11"
WEEK_2 = "2026-03-09"
LIVE_1, LIVE_2 = "2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z"
"""When the releases went live: where their weeks begin."""
WORDS = {
    "failures": "failures in either set",
    "harvested_since": f"harvested since {V1}",
    "still_failing": "still failing",
    "recurring": f"recurring in production under {V2}",
    "before": f"cases in production under {V1}",
    "after": f"cases in production under {V2}",
}


class Said(NamedTuple):
    """A command, what it printed, and its exit status."""

    status: int
    output: str


class Teller:
    """Runs the commands and shows them; silent where the caller wants JSON."""

    def __init__(self, console: Console, quiet: bool, where: Home) -> None:
        self.console, self.quiet, self.where = console, quiet, where

    def chapter(self, title: str, text: str) -> None:
        if not self.quiet:
            self.console.print()
            self.console.print(Rule(Text(title, style="bold"), align="left", style="dim"), width=WIDTH)
            self.console.print(Text(text), width=WIDTH)

    def show(self, *arguments: str) -> None:
        """A command that is there to be looked at."""
        if not self.quiet:
            self.run(*arguments)

    def run(self, *arguments: str, status: int = 0, show: int | None = None) -> Said:
        """Run a command in the demo's folder; raises ``Failed`` where it ends otherwise than with ``status``.

        ``show``: so many lines of what it prints; None all. Under 0 not even the command.
        """
        command = ["gleaner", *arguments]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "streams.cli", *arguments],
            cwd=self.where.path,
            env=os.environ | {"COLUMNS": str(WIDTH)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != status:
            said = printable((done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"])
            raise Failed(
                f"demo: `{shlex.join(command)}` ended with {done.returncode}, not {status}: {said}", status=1
            )
        if not self.quiet and (show is None or show >= 0):
            self.console.print(Text("$ " + shlex.join(command), style="cyan"), soft_wrap=True)
            for line in done.stdout.rstrip().splitlines()[:show]:
                self.console.print(Text("  " + line), soft_wrap=True)
        return Said(done.returncode, done.stdout)

    def write(self, name: str, events: Sequence[Event]) -> Path:
        path = self.where.path / name
        path.write_bytes(b"".join(lines(list(events))))
        return path


def run_release_demo(as_json: bool, keep: Path | None, console: Console, plan: Plan | None = None) -> int:
    """Play it; 0 if every planted count came out, else 1. ``keep`` as for the demo of a week."""
    plan = plan or Plan()
    begun = time.monotonic()
    with home(keep) as where, surrounded(environment(where)):
        loop = _play(Teller(console, as_json, where), plan)
        expected, came = plan.expected(), found(loop)
        complete = came == expected
        seconds = time.monotonic() - begun
        if as_json:
            summary = {"planted": expected, "found": came, "complete": complete, "seconds": round(seconds, 1)}
            print(json.dumps(summary))
        else:
            _report(console, where, expected, came, seconds)
    return 0 if complete else 1


def _play(tell: Teller, plan: Plan) -> dict[str, Any]:
    tell.chapter(
        f"Week 1, release {V0}: a provider updates a model in silence",
        f"The demo's week of {APP}, replayed from a file; its failures go to the store.",
    )
    tell.write("week-1.jsonl", [e for e in simulate(SCENARIOS[SCENARIO]) if e.get("app") == APP])
    tell.run("replay", "week-1.jsonl", "--store", "store.duckdb", show=0)
    tell.show("cases", "list", "--clusters", "--limit", "3", "--store", "store.duckdb")

    tell.chapter(
        f"Its failures become the tests of {V1}",
        f"One case of each failure; your runner answers them with {V1} and writes what passed.",
    )
    old = _freeze(tell, V1, plan.size)
    _write_results(tell, f"{V1}.results.jsonl", first_results(old, plan))
    tell.run("gate", "--release", V1, "--results", f"{V1}.results.jsonl", "--store", "store.duckdb")

    tell.chapter(
        f"Week 2: {V1} is live, and fails in {plan.new} ways of its own",
        "Customers ask about subscriptions, and are handed over to a person.",
    )
    healthy = _healthy(tell)
    like = next(event for event in healthy if event["event"] == "trace" and event["route"] == "chat")
    tell.write("week-2.jsonl", week(1, V1, healthy, new_failures(like)[: plan.new]))
    tell.run("replay", "week-2.jsonl", "--store", "store.duckdb", show=0)
    tell.show("cases", "search", "subscription", "--store", "store.duckdb", "--limit", "3")

    tell.chapter(
        f"{V2} is tested with both: a first candidate is held, the second passes",
        "What was fixed stays tested: --keep takes the earlier failures along.",
    )
    cases = _freeze(tell, V2, plan.size + plan.new, "--keep", V1, "--since", WEEK_2)
    _write_results(tell, "candidate.jsonl", candidate_results(cases, plan))
    gate = ("gate", "--release", V2, "--store", "store.duckdb", "--results")
    tell.run(*gate, "candidate.jsonl", status=1)
    _write_results(tell, f"{V2}.results.jsonl", second_results(cases, old, plan))
    tell.run(*gate, f"{V2}.results.jsonl", "--markdown", "gate.md")

    tell.chapter(
        f"Week 3: {V2} is live, and {len(plan.back)} old failures come back",
        "The tests did not see it coming: these cases had passed.",
    )
    back: list[Event] = [{**case["trace"], "app": APP} for case in recurring(old, plan)]
    tell.write("week-3.jsonl", week(2, V2, healthy, back))
    tell.run("replay", "week-3.jsonl", "--store", "store.duckdb", show=0)

    tell.chapter("Did the release help?", "Of the failures in both sets, in the tests and in production.")
    # Without its times, each week would begin with its first failure.
    loop_of = ("loop", V1, V2, "--since", LIVE_1, "--live", LIVE_2, "--store", "store.duckdb")
    tell.show(*loop_of)
    said = tell.run(*loop_of, "--json", show=-1)
    loop: dict[str, Any] = json.loads(said.output)
    return loop


def _freeze(tell: Teller, release: str, size: int, *more: str) -> list[Case]:
    """Freeze, export, and read the export as a runner would."""
    tell.run(*("release", "freeze", release, "--store", "store.duckdb", "--size", str(size), *more), show=1)
    tell.run("release", "export", release, "--store", "store.duckdb", "--to", "jsonl", "--out", "evals")
    path = tell.where.path / "evals" / f"{release}.jsonl"
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _healthy(tell: Teller) -> list[Event]:
    """A week of which nothing becomes a case: then the planted failures are all that there is."""
    events = background()
    path = tell.write("healthy.jsonl", events)
    failing = {request.trace_id for request in replay([path]).requests}
    path.unlink()
    return without(events, failing)


def _write_results(tell: Teller, name: str, rows: Sequence[dict[str, Any]]) -> None:
    (tell.where.path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _report(
    console: Console, where: Home, expected: dict[str, int], came: dict[str, int], seconds: float
) -> None:
    console.print()
    console.print(Rule(Text("Planted and found", style="bold"), align="left", style="dim"), width=WIDTH)
    table = Table.grid(padding=(0, 3))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_row("", Text("planted", style="dim"), Text("found", style="dim"))
    for name, count in expected.items():
        same = came[name] == count
        mark = Text(f"{came[name]}  ✓", "green") if same else Text(f"{came[name]}  ✗", "bold red")
        table.add_row(WORDS.get(name, name), str(count), mark)
    console.print(table)
    console.print(Text(f"{seconds:.0f} s; everything is in {where.shown}", style="dim"))
