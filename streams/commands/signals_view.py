"""The rolling figures of segments as a person reads them: a table for each, a column for each span."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.catalog import CATALOG, RATES
from schemas.signal import SignalName
from sinks.evalstore import RollingFigure
from sinks.numbers import percent, value
from streams.commands.case_view import segment

SPANS = {"5m": "5 minutes", "1h": "1 hour", "24h": "24 hours", "7d": "7 days"}
NOTHING = "–"
Say = Callable[[SignalName, RollingFigure], str]
"""A figure in words; empty where there is nothing to say."""


class Line(NamedTuple):
    name: str
    signal: SignalName
    say: Say


def signals_view(figures: Sequence[RollingFigure]) -> RenderableType:
    """A table for each segment, in the order of the figures."""
    parts: list[RenderableType] = []
    for (app, environment, route), group in groupby(figures, key=lambda figure: figure[:3]):
        of_segment = list(group)
        until = max(figure.rolling_end for figure in of_segment)
        heading = f"{segment(app, environment, route)}   until {until[:16].replace('T', ' ')} UTC"
        parts += [Text(""), Text(heading, style="bold"), _table(of_segment)]
    return Group(*parts[1:])


def _table(figures: Sequence[RollingFigure]) -> Table:
    by_place = {(figure.signal, figure.rolling): figure for figure in figures}
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("", no_wrap=True)
    for span in SPANS.values():
        table.add_column(span, justify="right", no_wrap=True)
    for line in _lines({figure.signal for figure in figures}):
        cells = [
            line.say(line.signal, figure) if (figure := by_place.get((line.signal, span))) else ""
            for span in SPANS
        ]
        table.add_row(line.name, *(cell or NOTHING for cell in cells))
        if line.name == CATALOG[SignalName.COST].noun:
            table.add_row("  per success", *(_per_success(by_place, span) or NOTHING for span in SPANS))
    return table


def _per_success(figures: dict[tuple[str, str], RollingFigure], span: str) -> str:
    """Total cost by the decided conversations that did not fail."""
    cost, failures = figures.get((SignalName.COST, span)), figures.get((SignalName.TASK_FAILURE, span))
    if cost is None or failures is None or failures.n - failures.total <= 0:
        return ""
    return value(SignalName.COST_PER_SUCCESS, cost.total / (failures.n - failures.total))


def _lines(signals: set[str]) -> Iterator[Line]:
    """The lines of a segment's table: what its signals say, in the order of their importance."""
    cost, faithfulness = SignalName.COST, SignalName.FAITHFULNESS
    if cost in signals:
        yield Line("requests", cost, lambda _, figure: f"{figure.n + figure.unmeasured:,}")
    if faithfulness in signals:
        yield Line("faithfulness", faithfulness, _mean)
        yield Line("grounded answers", faithfulness, lambda _, figure: _share(figure.low_share, of=1.0))
        yield Line("unscored", faithfulness, lambda _, figure: _share(figure.unmeasured_share))
    for rate in RATES:
        if rate in signals:
            yield Line(CATALOG[rate].noun, rate, _mean)
    if cost in signals:
        yield Line("cost per request", cost, _mean)
        yield Line("  p95", cost, _quantile("p95"))
        yield Line("spend", cost, lambda signal, figure: value(signal, figure.total))
        yield Line("  per hour", cost, lambda signal, figure: value(signal, figure.per_hour))
        yield Line("unpriced", cost, lambda _, figure: _share(figure.unmeasured_share))
    for amount in (SignalName.TOKENS, SignalName.LATENCY, SignalName.TIME_TO_FIRST_TOKEN):
        if amount in signals:
            yield Line(CATALOG[amount].noun, amount, _mean)
            for name in ("p50", "p95", "p99"):
                yield Line(f"  {name}", amount, _quantile(name))


def _mean(signal: SignalName, figure: RollingFigure) -> str:
    return "" if figure.mean is None else f"{value(signal, figure.mean)}  n {figure.n:,}"


def _quantile(name: str) -> Say:
    def say(signal: SignalName, figure: RollingFigure) -> str:
        number = getattr(figure, name)
        return "" if number is None else value(signal, number)

    return say


def _share(share: float | None, of: float | None = None) -> str:
    """A share, or what is left of ``of`` without it."""
    if share is None:
        return ""
    return percent(share if of is None else of - share)
