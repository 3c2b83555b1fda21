"""The end of the demo, for people: the pages, the signals behind them, the cases, and what to try next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from schemas.case import CaseReason
from schemas.incident import Incident
from schemas.signal import SignalName
from sinks.clean import clean, cut
from sinks.evalstore import Connection
from sinks.numbers import significant, value
from sinks.phrases import SIGNALS
from streams.commands.program import program
from streams.demo.chart import Hour, chart
from streams.demo.home import Home
from streams.demo.result import Result
from streams.demo.slack_view import WIDTH, slack_panel
from streams.demo.usual import compared, usual_table
from streams.simulate.shape import Event

CASES_EACH = 2
INCIDENTS = "SELECT app, signal, severity, baseline, value FROM incidents"
"""For the eye: a whole row holds its incident as a document."""
PER_UNIT = """SELECT start_ms - start_ms % 3600000 AS hour, sum(n)::BIGINT, sum(total) FROM windows
    WHERE app = ? AND environment = ? AND route = ? AND signal = ? GROUP BY hour ORDER BY hour"""
PER_SUCCESS = """SELECT start_ms - start_ms % 3600000 AS hour,
        sum(n - total) FILTER (WHERE signal = 'task_failure_rate')::BIGINT AS successes,
        sum(total) FILTER (WHERE signal = 'cost_per_request') AS cost
    FROM windows WHERE app = ? AND environment = ? AND route = ? GROUP BY hour
    HAVING successes > 0 AND cost IS NOT NULL ORDER BY hour"""
TELLING = {
    SignalName.ESCALATION: CaseReason.ESCALATION,
    SignalName.COST: CaseReason.HIGH_COST,
    SignalName.COST_PER_SUCCESS: CaseReason.HIGH_COST,
}
"""The reason of the cases that show what a signal measures; a low score for every other one."""


class Report:
    """Prints to one console, section by section."""

    def __init__(self, console: Console, where: Home, result: Result, store: Connection) -> None:
        self.console, self.where, self.result, self.store = console, where, result, store

    def pages(self, delivered: Sequence[dict[str, Any]], most: int | None = None) -> None:
        """The messages as Slack had them in the end, in the order of the incidents."""
        order = {incident.id: place for place, incident in enumerate(self.result.incidents)}
        bodies = sorted(delivered, key=lambda body: order.get(_incident_of(body), len(order)))
        self._title(f"What Slack received: {len(bodies)} messages, one for each incident")
        for body in bodies[:most]:
            self.console.print(slack_panel(body))

    def signals(self) -> None:
        self._title("The signals behind them, Monday to Friday")
        for place, incident in enumerate(self.result.incidents):
            if place:
                self.console.print()
            self._signal(incident)

    def _signal(self, incident: Incident) -> None:
        """The hours of an incident's signal, on its route."""
        of_success = incident.signal is SignalName.COST_PER_SUCCESS
        rows = self.store.execute(
            PER_SUCCESS if of_success else PER_UNIT,
            [
                incident.app,
                incident.environment,
                incident.route,
                *([] if of_success else [incident.signal.value]),
            ],
        ).fetchall()
        if not rows or incident.baseline is None:
            return
        hours = [Hour(*row) for row in rows]
        name = SIGNALS[incident.signal]
        title = Text(f"{name} of {clean(incident.app, 60)}, route {clean(incident.route, 40)}")
        normal, now = value(incident.signal, incident.baseline), value(incident.signal, incident.value)
        title.append(f"   baseline {normal} ┄   now {now}", style="dim")
        self.console.print(title)
        for line in chart(hours, incident.baseline, incident.onset, incident.signal, WIDTH):
            self.console.print(line)

    def usual(self, events: Sequence[Event]) -> None:
        self._title("What the usual dashboards saw, before and since")
        rows = []
        for incident in self.result.incidents:
            before, since = compared(events, incident.app, incident.route, incident.onset)
            rows.append((clean(incident.app, 30), before, since))
        self.console.print(usual_table(rows))

    def cases(self) -> None:
        """Some of each incident's: why it is a case, what was asked and what was answered."""
        counts = self.result.totals
        self._title(
            f"{counts.cases:,} failing cases, {counts.distinct_cases:,} distinct, {self._replayable()}"
        )
        for incident in self.result.incidents:
            rows = self.store.execute(
                """SELECT case_id, reasons, score, cost_usd, question, answer FROM case_list
                WHERE app = ? AND list_contains(reasons, ?) AND epoch_ms(ts) >= ?
                ORDER BY len(reasons) DESC, score, cost_usd DESC, case_id LIMIT ?""",
                [
                    incident.app,
                    TELLING.get(incident.signal, CaseReason.LOW_SCORE).value,
                    incident.onset,
                    CASES_EACH,
                ],
            ).fetchall()
            for row in rows:
                self._case(incident.app, *row)

    def _case(
        self,
        app: str,
        case_id: str,
        reasons: list[str],
        score: float | None,
        cost: float | None,
        question: str | None,
        answer: str | None,
    ) -> None:
        parts = [clean(app, 30), clean(", ".join(reasons), 60).replace("_", " ")]
        parts += [f"score {score:.2f}"] if score is not None else []
        parts += [f"${significant(cost, 2)}"] if cost is not None else []
        line = Text(" · ".join(parts))
        line.append(f" · {case_id[:8]}", style="dim")
        self.console.print(line)
        for label, text in (("asked", question), ("answered", answer)):
            shown = Text(f"  {label:<9}", style="dim")
            shown.append(cut(clean(text or "", 200), WIDTH - 12), style="default")
            self.console.print(shown, soft_wrap=True)

    def _replayable(self) -> str:
        missing = self.result.totals.not_replayable
        return "all replayable" if not missing else f"{missing:,} not replayable"

    def counts(self) -> None:
        result = self.result
        self._title("Counted at both ends")
        text = Text(
            f"{result.published:,} events published = {result.processed:,} processed"
            f" + {result.dead:,} dead-lettered"
        )
        verdict = ("  ✓", "bold green") if result.complete else ("  ✗ not the same", "bold red")
        text.append(verdict[0], style=verdict[1])
        text.append(f"   {result.seconds:.0f} s", style="dim")
        self.console.print(text)

    def next(self) -> None:
        """Commands to go on with."""
        where = self.where
        gleaner = shlex.quote(program())
        store, slack, events = (
            shlex.quote(str(where.shown / path.name)) for path in (where.store, where.slack, where.events)
        )
        commands = [
            (
                f"{gleaner} cases list --store {store} --reason low_score",
                "what to test the next release with",
            ),
            (f"{gleaner} sql --store {store} '{INCIDENTS}'", "everything is SQL"),
            (f"xdg-open {slack}", "what Slack shows, with buttons and charts"),
            (f"{gleaner} replay {events} --store again.duckdb", "without Kafka"),
        ]
        self._title("Next")
        for command, why in commands:
            line = Text("  " + command, style="cyan")
            line.append(f"   # {why}", style="dim")
            self.console.print(line, soft_wrap=True)

    def _title(self, text: str) -> None:
        self.console.print()
        self.console.print(Rule(Text(text, style="bold"), align="left", style="dim"), width=WIDTH)


def _incident_of(body: dict[str, Any]) -> str:
    return str(body.get("metadata", {}).get("event_payload", {}).get("incident_id", ""))
