"""The demo from the first event to the exit status."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from schemas.base import parse_time
from sinks.slack.sandbox import Sandbox
from sinks.slack.sandbox_page import page
from streams.demo.drain import drained
from streams.demo.home import Home, home
from streams.demo.live import Screen
from streams.demo.pace import publish_paced
from streams.demo.report import Report
from streams.demo.result import open_store, read_result
from streams.demo.slack_view import WIDTH
from streams.demo.stage import Stage, stage
from streams.demo.surroundings import environment, surrounded
from streams.demo.watch import Watch
from streams.simulate.generate import lines, simulate, timed
from streams.simulate.scenarios import SCENARIOS
from streams.simulate.shape import Event

PUBLISH_SECONDS = 25.0
"""The week goes by in about so long, unless a role needs more."""
SCENARIO = "demo"


class Played(NamedTuple):
    """What went in, and the messages that the fake Slack holds at the end, without their threads."""

    events: list[Event]
    published: int
    slack: list[dict[str, Any]]


def run_demo(as_json: bool, keep: Path | None, console: Console | None = None) -> int:
    """Run it; 0 if every event that went in came out, else 1.

    Raises ``Failed`` where ``keep`` is not empty, where a role ends, or where one stays behind.
    ``console``: where to print, if not on standard output; one that records gets a picture's worth.
    """
    console = console or terminal()
    begun = time.monotonic()
    # Whatever ends this process, its children end first: they are stopped where the stack unwinds.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with home(keep) as where:
            quiet = as_json or console.record
            with (
                surrounded(environment(where)),
                stage(where) as running,
                Screen(console, not quiet) as screen,
            ):
                played = asyncio.run(_play(where, running, screen))
            with open_store(where) as store:
                result = read_result(store, played.published, time.monotonic() - begun)
                if as_json:
                    print(json.dumps(result.summary()))
                else:
                    _print(Report(console, where, result, store), played, brief=console.record)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0 if result.complete else 1


def terminal() -> Console:
    """Standard output; as wide as a message in Slack where it is no terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def _print(report: Report, played: Played, brief: bool) -> None:
    report.pages(played.slack, most=1 if brief else None)
    report.signals()
    report.usual(played.events)
    if not brief:
        report.cases()
    report.counts()
    if not brief:
        report.next()


async def _play(where: Home, running: Stage, screen: Screen) -> Played:
    """Start, publish, wait until everything is through, and end the roles while Slack still listens."""
    async with Sandbox() as slack:
        running.start(slack.url)
        events = simulate(SCENARIOS[SCENARIO])
        where.events.write_bytes(b"".join(lines(events)))
        watch = Watch(running.settings)
        screen.follow(watch, [parse_time(event["timestamp"]) for event in events])
        watching = asyncio.create_task(watch.run())
        working = asyncio.create_task(_work(running, watch, slack, events, screen))
        try:
            await asyncio.wait({watching, working}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                watching.result()  # nobody can say any more how far it is
            published = working.result()
        finally:
            for task in (watching, working):
                task.cancel()
            await asyncio.gather(watching, working, return_exceptions=True)
        screen.stopping()
        await asyncio.to_thread(running.group.stop)
        where.slack.write_text(page([slack.channel], pictures=slack.files.embedded()), encoding="utf-8")
        return Played(events, published, [root.body for root in slack.roots()])


async def _work(running: Stage, watch: Watch, slack: Sandbox, events: list[Event], screen: Screen) -> int:
    rate = len(events) / PUBLISH_SECONDS
    published = await publish_paced(running.settings, timed(events), rate, running, screen.published)
    screen.draining()
    await drained(running, watch, slack, published)
    return published
