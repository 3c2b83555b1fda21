"""What a chart shows, as plain values. Times are epoch ms; values are in the signal's own unit."""

from __future__ import annotations

from typing import NamedTuple

from schemas.signal import SignalName


class Point(NamedTuple):
    """A window of event time, ``[start, end)``: the sum ``total`` over its ``n`` units."""

    start: int
    end: int
    n: int
    total: float


class Level(NamedTuple):
    """A value that stood from ``start`` to ``end``."""

    start: int
    end: int
    value: float


class Span(NamedTuple):
    start: int
    end: int
    name: str = ""


class Mark(NamedTuple):
    """Something that happened at a time, in a few words."""

    time: int
    text: str


class SignalChart(NamedTuple):
    """One rule's signal in one segment over event time.

    ``levels`` are the baselines, ``defended`` what the detector defends where that is a value of the
    signal (scores and rates; amounts are compared by ranks). ``alarms`` are times of detection.
    """

    rule: str
    signal: SignalName
    app: str
    environment: str
    route: str
    points: tuple[Point, ...] = ()
    levels: tuple[Level, ...] = ()
    defended: tuple[Level, ...] = ()
    alarms: tuple[int, ...] = ()
    incidents: tuple[Span, ...] = ()
    labels: tuple[Span, ...] = ()
    changes: tuple[Mark, ...] = ()
