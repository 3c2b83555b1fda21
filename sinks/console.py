"""Alerts on a terminal: where no Slack is configured, in the demo, and when Slack refuses."""

from __future__ import annotations

from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.effect import EffectKind
from schemas.incident import Incident
from schemas.signal import Severity
from sinks import words
from sinks.actions import first_action
from sinks.base import Blind, Delivered, Found, Message, Outcome, Ref
from sinks.clean import clean
from sinks.news import reply
from sinks.numbers import clock
from sinks.standing import standing
from sinks.storm import Storm
from sinks.storm_words import headline, lines, news, storm_title

COLOURS = {Severity.P1: "red", Severity.P2: "yellow", Severity.P3: "cyan", Severity.INFO: "blue"}


class ConsoleSink:
    """Prints posts and replies; an edit prints one line, since nothing printed can be changed.

    It can't be searched: a crash in the middle of printing may print twice.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.printed = 0

    @property
    def name(self) -> str:
        return "console"

    def where(self, incident: Incident) -> str:
        return self.name

    async def post(self, message: Message) -> Outcome:
        if message.kind is EffectKind.REPLY:
            return await self.reply(message, self._ref())
        self.console.print(card(message.incident) if message.storm is None else digest(message.storm))
        return Delivered(self._ref())

    async def edit(self, message: Message, ref: Ref) -> Outcome:
        incident = message.incident
        line = f"↻ {headline(message)} ({message.reason.value}, revision {incident.revision})"
        self.console.print(Text(line, style="dim"))
        return Delivered(ref)

    async def reply(self, message: Message, root: Ref) -> Outcome:
        line = Text("↳ ", style="bold")
        said = reply(message) if message.storm is None else news(message, message.storm)
        line.append(said, style="bold")
        line.append(f" (incident {message.incident.id})", style="dim")
        self.console.print(line)
        return Delivered(root)

    async def find(self, outbox_id: str, since: int, root: Ref | None, channel: str = "") -> Found:
        return Blind("a console remembers nothing")

    async def close(self) -> None:
        """Nothing to close."""

    def _ref(self) -> Ref:
        self.printed += 1
        return Ref("console", str(self.printed))


def card(incident: Incident) -> Panel:
    """The alert as a panel. Foreign text is ``Text``, never rich's markup, and has lost its controls."""
    colour = COLOURS[incident.severity]
    parts: list[Text | Table | Padding] = [Text(words.headline(incident), style="bold")]
    if sentence := words.sentence(incident):
        parts.append(Text(sentence))
    table = Table.grid(padding=(0, 2))
    for fact in words.facts(incident):
        table.add_row(Text(fact.label, style="dim"), Text(fact.whole))
    parts += [Text(""), table, Text("")]
    parts += _list("What changed", words.why(incident))
    parts += _list("Moved with it", words.also(incident))
    if words.has_cases(incident):
        parts.append(Text("Cases", style="bold"))
    if not incident.cases and words.has_cases(incident):
        parts.append(Text(words.no_cases(incident)))
    for number, case in enumerate(incident.cases[:3], 1):
        parts.append(Text(f"{number}. {words.case_line(case)}"))
        if quote := words.excerpt(case):
            parts.append(Padding(Text(f"“{quote}”", style="italic"), (0, 0, 0, 3)))
    if words.to_do(incident):
        action = Text("Do first: ", style=f"bold {colour}")
        action.append(first_action(incident), style="default")
        parts += [Text(""), action]
        if incident.runbook:
            parts.append(Text(f"Runbook:  {clean(incident.runbook, 500)}"))
    foot = words.footer(incident)
    if incident.escalates_at is not None:
        foot += f" · escalates {clock(incident.escalates_at)} unless acknowledged"
    parts += [Text(""), Text(foot, style="dim")]
    return Panel(
        Group(*parts),
        title=Text(f"{standing(incident)} · {words.title(incident)}"),
        title_align="left",
        border_style=colour,
        width=100,
    )


def digest(storm: Storm) -> Panel:
    """A storm's digest as a panel."""
    first, *rest = lines(storm)
    parts = [Text(first, style="bold"), Text(""), *(Text(line) for line in rest)]
    return Panel(
        Group(*parts), title=Text(storm_title(storm)), title_align="left", border_style="yellow", width=100
    )


def _list(heading: str, lines: list[str]) -> list[Text]:
    return [Text(heading, style="bold"), *(Text(f"• {line}") for line in lines)] if lines else []
