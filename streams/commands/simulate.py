"""The command that writes simulated traffic: the demo's, or one fault at a time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.fail import Failed


def simulate(
    scenario: Annotated[
        str, typer.Argument(help="demo (all three faults), healthy, silent-update, cost-spike or stale-index")
    ],
    events: Annotated[int, typer.Option(help="how many: fewer make the week thinner, not shorter")] = 12_000,
    seed: Annotated[int, typer.Option(help="the same seed gives the same bytes")] = 7,
    out: Annotated[Path | None, typer.Option(help="write to this file instead of standard output")] = None,
) -> None:
    """Write a simulated week as JSONL, in event-time order: traces, feedback and changes, mixed.

    Three applications from Monday, 2 March 2026, to Friday; what goes wrong goes wrong on Friday. Below
    a few thousand events the faults are in the file, but no detector can be sure of them.

    Example: gleaner simulate silent-update --out week.jsonl && gleaner replay week.jsonl --store week.duckdb
    """
    from streams.simulate.generate import lines
    from streams.simulate.generate import simulate as run
    from streams.simulate.scenarios import SCENARIOS

    found = SCENARIOS.get(scenario)
    if found is None:
        raise Failed(f"{scenario}: no such scenario; there are {', '.join(SCENARIOS)}")
    if events < 1:
        raise Failed(f"--events: is at least 1, not {events}")
    data = lines(run(found, events, seed))
    if out is not None:
        with out.open("wb") as file:
            file.writelines(data)
        typer.echo(f"{events:,} events of {found.name} to {out}: {found.title}", err=True)
        return
    try:
        sys.stdout.buffer.writelines(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The reader has seen enough; Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


COMMANDS = (simulate,)
