"""Commands that move events: publish, replay, demo."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path
from typing import Annotated, cast

import typer

from streams.commands.broker import said_of, silence_clients
from streams.commands.fail import Failed
from streams.commands.progress import progress
from streams.settings import Settings

Files = Annotated[list[Path], typer.Argument(help="JSONL files: one event, or an array of them, per line")]


def publish(
    files: Files,
    topic: Annotated[
        str, typer.Option(help="traces, feedback, changes, or auto: told by each event")
    ] = "auto",
    rate: Annotated[
        float | None, typer.Option(help="messages per second; as fast as possible without it")
    ] = None,
    brokers: Annotated[str | None, typer.Option(help="bootstrap servers; default GLEANER_BROKERS")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print a summary as JSON")] = False,
) -> None:
    """Publish events from files to Kafka; several files go out as one stream by event time.

    Feedback published long after its traces comes late, and late events reach no detector: give the
    files of one period to one call. A line over 8 MiB is named and left out; exit status 1 if there is one.

    Example: gleaner publish traces.jsonl feedback.jsonl --brokers localhost:9092
    """
    from aiokafka.errors import KafkaError

    from streams.publish import Target
    from streams.publish import publish as run

    if topic not in ("auto", "traces", "feedback", "changes"):
        raise Failed(f"--topic: is auto, traces, feedback or changes, not {topic}")
    if rate is not None and not 0 < rate < math.inf:
        raise Failed(f"--rate: is above 0, not {rate:g}; without it, as fast as possible")
    settings = Settings(brokers=brokers) if brokers else Settings()
    _readable(files)
    acknowledged = 0
    silence_clients()
    try:
        with progress("publishing") as bar:

            def seen(events: int) -> None:
                nonlocal acknowledged
                acknowledged = events
                bar(events)

            done = asyncio.run(run(settings, files, cast(Target, topic), rate, seen))
    except KafkaError as error:
        before = f"; {acknowledged:,} events were acknowledged before" if acknowledged else ""
        raise Failed(f"{said_of(settings, error)}{before}", status=1) from error
    for line, why in done.too_large:
        typer.echo(f"{files[line.file]}:{line.number}: not published: {why}", err=True)
    if as_json:
        summary = {"events": done.events, "messages": done.messages, "too_large": len(done.too_large)}
        typer.echo(json.dumps(summary | {"seconds": round(done.seconds, 3)}))
    else:
        parts = ", ".join(f"{count} to {name}" for name, count in done.messages.items())
        typer.echo(f"{done.events} events in {sum(done.messages.values())} messages: {parts or 'none'}")
    if done.too_large:
        raise typer.Exit(1)


def replay(
    files: Files,
    store: Annotated[Path, typer.Option(help="the eval store that cases, signals and incidents go to")],
    rules: Annotated[
        Path | None, typer.Option(help="a rules file; default GLEANER_RULES, else the defaults")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
) -> None:
    """Run files of events through the same steps as production, without Kafka.

    Example: gleaner replay traces.jsonl feedback.jsonl --store replay.duckdb --json
    """
    from sinks.evalstore.errors import StoreError
    from streams.memory import collecting_rarely
    from streams.owner_policy import owner_policy
    from streams.replay import replay as run
    from streams.replay_store import write_store

    _readable(files)
    settings = Settings(rules=rules) if rules else Settings()
    begun = time.monotonic()
    with progress("replaying") as bar, collecting_rarely():
        done = run(files, policy=owner_policy(settings), seen=bar)
    try:
        counts = write_store(store, done, files, settings.privacy_of)
    except StoreError as error:
        raise Failed(str(error), status=1) from error
    incidents = done.incidents()
    summary = {
        "events": {"in": done.events, "processed": done.processed, "dead_lettered": len(done.dead_letters)},
        "incidents": [incident.summary() for incident in incidents],
        "cases": counts.cases,
        "distinct_cases": counts.distinct,
        "seconds": round(time.monotonic() - begun, 3),
    }
    if as_json:
        typer.echo(json.dumps(summary))
        return
    from streams.commands.summary import print_summary, say_dead_letters

    print_summary(
        incidents, done.events, done.processed, len(done.dead_letters), counts.cases, counts.distinct
    )
    say_dead_letters(done.dead_letters, "they are in the store")


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
    keep: Annotated[Path | None, typer.Option(help="keep the store and the logs in this folder")] = None,
    release_2: Annotated[
        bool,
        typer.Option("--release-2", help="what comes after: failures as tests, the gate, the next release"),
    ] = False,
) -> None:
    """The silent model update, end to end on the embedded broker: about a minute.

    With --release-2 what follows it, in about a minute and without a broker: the failures become a frozen
    set, the set gates the next release, and the loop says what that fixed. Exit 1 where a planted count
    is not found.

    Example: gleaner demo --keep demo
    """
    from streams.demo.show import run_demo, terminal

    if release_2:
        from streams.demo.release import run_release_demo

        raise typer.Exit(run_release_demo(as_json, keep, terminal()))
    raise typer.Exit(run_demo(as_json, keep))


def _readable(files: list[Path]) -> None:
    for path in files:
        if not path.is_file():
            raise Failed(f"{path}: no such file")


COMMANDS = (publish, replay, demo)
