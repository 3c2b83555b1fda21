"""What an alert shows of its signal's recent past: a line of blocks at once, the chart when Slack has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.incident import Incident
from sinks.charts.bins import bin_width, merge
from sinks.charts.data import Point
from sinks.numbers import clock, duration, value

BLOCKS = "▁▂▃▄▅▆▇█"
NOTHING = "·"
MOST = 26
"""Blocks of a line: what fits beside nothing else on a phone."""


@dataclass(frozen=True)
class Picture:
    """``spark`` is a line of text; ``file`` the id of the chart in Slack once it may be shown there, ``alt``
    what the chart shows, in words."""

    spark: str = ""
    file: str = ""
    alt: str = ""
    reach: float | None = None
    """The part of the app's requests on the incident's route; None where it is the only one, or unknown."""


NO_PICTURE = Picture()


def sparkline(points: Sequence[Point], incident: Incident) -> str:
    """The signal's means over its recent windows in block characters, with what they reach from and to.

    A dot stands for no data. Scaled between the least and the greatest mean that is shown, the baseline
    included: it shows the shape of the move, and the numbers beside it the size. Empty where fewer than
    three blocks have data.

    >>> from sinks.samples import SAMPLES
    >>> hours = [Point(h * 3600_000, h * 3600_000 + 3600_000, 1, v) for h, v in enumerate((0.92, 0.9, 0.7))]
    >>> sparkline(hours, SAMPLES["faithfulness"])
    '██▁ by the hour, 1 Jan 00:00 UTC to 03:00 UTC: 0.70 to 0.92'
    """
    if not points:
        return ""
    width = bin_width(points, MOST)
    bins = merge(points, width)
    if len(bins) < 3:
        return ""
    means = {one.start: one.total / one.n for one in bins}
    low, high = min(means.values()), max(means.values())
    bottom = min(low, incident.baseline) if incident.baseline is not None else low
    top = max(high, incident.baseline) if incident.baseline is not None else high
    first, last = bins[0].start, bins[-1].start
    line = "".join(_block(means.get(at), bottom, top) for at in range(first, last + width, width)[-MOST:])
    each = duration(width)
    each = {"1 h": "by the hour", "1 d": "by the day"}.get(each, f"by {each}")
    end = last + width
    reach = f"{value(incident.signal, low, high)} to {value(incident.signal, high, low)}"
    return f"{line} {each}, {clock(first)} to {clock(end, first)}: {reach}"


def _block(mean: float | None, bottom: float, top: float) -> str:
    if mean is None:
        return NOTHING
    share = (mean - bottom) / (top - bottom) if top > bottom else 0.5
    return BLOCKS[min(int(share * len(BLOCKS)), len(BLOCKS) - 1)]
