"""A signal over the week in block characters: its hours, its baseline, and since when it is worse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.text import Text

from schemas.signal import SignalName
from sinks.numbers import value
from streams.simulate.scenarios import DAY_MS, HOUR_MS

BLOCKS = " ▁▂▃▄▅▆▇█"
ROWS = 5
MARGIN = 8
NIGHT_UNITS = 3
"""An hour with fewer units says nothing, and is drawn as nothing."""


class Hour(NamedTuple):
    """One window: it begins at ``start`` (epoch ms) and has ``n`` units with this ``total``."""

    start: int
    n: int
    total: float


class Column(NamedTuple):
    start: int
    value: float | None


def chart(hours: Sequence[Hour], baseline: float, onset: int, signal: SignalName, width: int) -> list[Text]:
    """The chart's lines, from 0 to the highest column or a little above the baseline."""
    columns = merge(hours, width - MARGIN)
    values = [column.value for column in columns if column.value is not None]
    top = 1.0 if signal is SignalName.FAITHFULNESS else max([*values, 1.2 * baseline]) or 1.0
    label = value(signal, top)
    lines = [_row(columns, row, top, baseline, onset, label) for row in reversed(range(ROWS))]
    return [*lines, _axis(columns, onset, value(signal, 0.0))]


def merge(hours: Sequence[Hour], room: int) -> list[Column]:
    """As few hours to a column as fit into ``room`` columns; hours without a window are columns, too.

    >>> merge([Hour(0, 4, 2.0), Hour(HOUR_MS, 4, 4.0), Hour(2 * HOUR_MS, 1, 1.0)], 2)
    [Column(start=0, value=0.75), Column(start=7200000, value=None)]
    """
    if not hours:
        return []
    first = min(hour.start for hour in hours)
    last = max(hour.start for hour in hours)
    each = -(-((last - first) // HOUR_MS + 1) // room)
    sums: dict[int, tuple[int, float]] = {}
    for hour in hours:
        place = (hour.start - first) // (each * HOUR_MS)
        n, total = sums.get(place, (0, 0.0))
        sums[place] = n + hour.n, total + hour.total
    columns = []
    for place in range((last - first) // (each * HOUR_MS) + 1):
        n, total = sums.get(place, (0, 0.0))
        columns.append(Column(first + place * each * HOUR_MS, total / n if n >= NIGHT_UNITS else None))
    return columns


def _row(columns: Sequence[Column], row: int, top: float, baseline: float, onset: int, label: str) -> Text:
    """One of the chart's rows; row 0 is the lowest."""
    text = Text(f"{label if row == ROWS - 1 else '':>{MARGIN - 2}} ", style="dim")
    normal = min(int(baseline / top * ROWS), ROWS - 1) == row
    for place, column in enumerate(columns):
        after = (place + 1 < len(columns) and columns[place + 1].start > onset) or column.start >= onset
        filled = 0.0 if column.value is None else column.value / top * ROWS - row
        block = BLOCKS[max(0, min(8, round(filled * 8)))]
        if block == " " and normal:
            text.append("┄", style="dim")
        else:
            text.append(block, style="bright_red" if after else "green")
    return text


def _axis(columns: Sequence[Column], onset: int, label: str) -> Text:
    """The days' names where they begin, and a mark under the column of the onset."""
    signs = [" "] * len(columns)
    day = -1
    for place, column in enumerate(columns):
        if column.start // DAY_MS != day:
            day = column.start // DAY_MS
            name = f"{datetime.fromtimestamp(column.start / 1000, UTC):%a}"
            signs[place : place + 4] = list("╵" + name)[: len(signs) - place]
    text = Text(f"{label:>{MARGIN - 2}} ", style="dim")
    text.append("".join(signs), style="dim")
    at = max((place for place, column in enumerate(columns) if column.start <= onset), default=None)
    if at is not None:
        clock = f"{datetime.fromtimestamp(onset / 1000, UTC):%H:%M}"
        right = f"▲ since {clock}"
        mark = right if at + len(right) <= len(columns) else f"since {clock} ▲"
        room = at if mark is right else max(0, at + 1 - len(mark))
        text.append("\n" + " " * (MARGIN - 1 + room) + mark, style="bright_red")
    return text
