"""The screen while the demo runs: how far the week is, and what has fired."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.incident import Incident
from sinks import words
from sinks.numbers import duration
from streams.demo.watch import Watch
from streams.simulate.scenarios import DAY_MS, MONDAY_MS

TITLE = "Gleaner: a week of three applications, on the embedded broker, in about a minute"


class Screen:
    """Draws on a terminal; elsewhere it is silent, and so it is where the caller wants JSON."""

    def __init__(self, console: Console, wanted: bool) -> None:
        self._watch: Watch | None = None
        self._begun = time.monotonic()
        self._times: Sequence[int] = ()
        self._published = 0
        self._doing = "starting broker and roles"
        # Live draws once already while it is made.
        self._live = (
            Live(get_renderable=self._draw, console=console, refresh_per_second=6, transient=True)
            if wanted and console.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def follow(self, watch: Watch, times: Sequence[int]) -> None:
        """``times`` are those of the events that are going to be published, in order."""
        self._watch, self._times = watch, times

    def published(self, events: int) -> None:
        self._published, self._doing = events, "publishing"

    def draining(self) -> None:
        self._doing = "everything is published; waiting for the last scores, windows and cases"

    def stopping(self) -> None:
        self._doing = "ending the roles"

    def _draw(self) -> Group:
        seconds = time.monotonic() - self._begun
        parts: list[Text | Table] = [
            Text(TITLE, style="bold"),
            Text(f"{self._doing} · {seconds:.0f} s", style="dim"),
        ]
        if self._watch is None:
            return Group(*parts)
        seen, total = self._watch.seen(), len(self._times)
        table = Table.grid(padding=(0, 2))
        for label, count in (("published", self._published), ("processed", seen.processed)):
            bar = ProgressBar(total=max(total, 1), completed=count, width=40)
            table.add_row(label, bar, f"{count:,} of {total:,} events")
        at = self._times[self._published - 1] if self._published else None
        table.add_row("week", day(at), f"{seen.cases:,} failing cases harvested")
        return Group(*parts, table, *[_line(incident) for incident in self._watch.fired()])


def day(at: int | None) -> Text:
    """Where event time is.

    >>> day(MONDAY_MS + DAY_MS).plain
    'day 2 of 5, Tuesday 00:00'
    """
    if at is None:
        return Text("no event yet", style="dim")
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return Text(f"day {(at - MONDAY_MS) // DAY_MS + 1} of 5, {moment:%A %H:%M}")


def _line(incident: Incident) -> Text:
    text = Text("● ", style="yellow")
    text.append(words.headline(incident), style="default")
    text.append(f" Seen {duration(incident.detected_at - incident.onset)} later.", style="dim")
    return text
