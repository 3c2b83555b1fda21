"""Windows merged to as many points as a chart has room for."""

from __future__ import annotations

from collections.abc import Sequence

from sinks.charts.data import Point

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WIDTHS = (
    *(MINUTE_MS * minutes for minutes in (1, 5, 10, 15, 30)),
    *(HOUR_MS * hours for hours in (1, 2, 3, 4, 6, 12)),
    *(DAY_MS * days for days in (1, 2, 7, 14, 28)),
)


def bin_width(points: Sequence[Point], most: int) -> int:
    """The least usual length of time, no shorter than the windows, that makes at most ``most`` points."""
    span = max(point.end for point in points) - min(point.start for point in points)
    least = max(max(point.end - point.start for point in points), span / most)
    return next((width for width in WIDTHS if width >= least), WIDTHS[-1])


def merge(points: Sequence[Point], width: int) -> list[Point]:
    """Sums over ``width`` ms; a bin without units is left out: no data is no value.

    >>> merge([Point(0, 5, 1, 1.0), Point(5, 10, 3, 1.0), Point(10, 15, 0, 0.0)], 10)
    [Point(start=0, end=10, n=4, total=2.0)]
    """
    bins: dict[int, tuple[int, float]] = {}
    for point in sorted(points):
        start = point.start - point.start % width
        n, total = bins.get(start, (0, 0.0))
        bins[start] = n + point.n, total + point.total
    return [Point(start, start + width, n, total) for start, (n, total) in bins.items() if n]
