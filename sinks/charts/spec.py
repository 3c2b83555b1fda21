"""A chart in the grammar of Vega-Lite (https://vega.github.io/vega-lite/docs/): data in, a dict out.

Two panels share the axis of event time: the signal's means, and how many units each of them rests on.
Foreign text (names of apps, versions) stands in data and titles, never in an expression.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.catalog import CATALOG, Measure
from schemas.signal import SignalName
from sinks.charts.bins import DAY_MS, HOUR_MS, MINUTE_MS, bin_width, merge
from sinks.charts.data import Level, Point, SignalChart, Span

WIDTH = 440
"""Of the panels. With the axis about 520: on a phone its text is as large as that around it."""
HEIGHT = 200
UNITS_HEIGHT = 44
MOST_POINTS = 110
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
LONGEST, LONGEST_SUBTITLE, LONGEST_CHANGE = 50, 70, 40
"""Characters of a title, of what is below it, of a change."""
TICKS = (
    (MINUTE_MS, "minutes", (1, 2, 5, 15, 30), "%H:%M", 8),
    (HOUR_MS, "hours", (1, 3), "%H:%M", 7),
    (HOUR_MS, "hours", (6, 12), "%-d %b %H:%M", 5),
    (DAY_MS, "day", (1, 2, 4), "%-d %b", 8),
    (7 * DAY_MS, "week", (1, 2), "%-d %b", 8),
    (30 * DAY_MS, "month", (1, 2, 3), "%b %Y", 8),
)
"""Size in ms, name, steps of it, how a tick is written, and for how many of them there is room."""
TOLD = 2
"""Changes told in words, the latest; the others are ticks."""
LINE = 15
"""Height of a line of small text."""
# Okabe and Ito's colours, which all kinds of colour vision tell apart.
COLOURS = {
    "mean": "#0072B2",
    "baseline": "#555555",
    "defended": "#E69F00",
    "alarm": "#000000",
    "incident": "#D55E00",
    "labelled": "#009E73",
    "change": "#CC79A7",
}
WORDS = "#8E4A72"
"""Of the changes' words: their colour, dark enough to read."""
FORMATS = {
    Measure.SCORE: ".2~f",
    Measure.RATE: ".1~%",
    Measure.DOLLARS: "$,.3~r",
    Measure.TOKENS: ",.3~r",
    Measure.MILLISECONDS: ",.3~r",
}
Json = dict[str, Any]


def spec(chart: SignalChart) -> Json:
    """The chart's spec."""
    about = CATALOG[chart.signal]
    units = "successful tasks" if chart.signal is SignalName.COST_PER_SUCCESS else about.units
    width = bin_width(chart.points, MOST_POINTS) if chart.points else HOUR_MS
    points = merge(chart.points, width)
    first, last = _range(chart, points)
    time: Json = {
        "field": "t",
        "type": "temporal",
        "scale": {"type": "utc", "nice": False, "domain": [first, last]},
        "axis": {"title": None, "grid": False, "labelOverlap": True, **_ticks(first, last)},
    }
    bare = time | {"axis": time["axis"] | {"labels": False}}
    value: Json = {
        "field": "v",
        "type": "quantitative",
        "scale": {"zero": about.measure is not Measure.SCORE, "nice": True},
        "axis": {"title": None, "format": FORMATS.get(about.measure, ""), "tickCount": 5},
    }
    middles = [{"t": p.start + width // 2, "v": p.total / p.n, "n": p.n} for p in points]
    layers: list[Json] = []
    shown: list[str] = []

    def layer(name: str, values: list[Json], mark: Json, encoding: Json) -> None:
        if values:
            shown.append(name)
            encoding = encoding | {"color": _colour(name)}
            layers.append({"data": {"values": values}, "mark": mark, "encoding": encoding})

    spanning = {"x": bare, "x2": {"field": "t2"}}
    layer("labelled", _spans(chart.labels, first, last), {"type": "rect", "opacity": 0.22}, spanning)
    layer("incident", _spans(chart.incidents, first, last), {"type": "rect", "opacity": 0.22}, spanning)
    stroke = {"strokeWidth": 1.6, "strokeJoin": "round", "strokeCap": "round"}
    line = {"type": "line", "point": {"size": 9, "filled": True}, **stroke}
    layer("mean", _with_gaps(middles, width), line, {"x": bare, "y": value})
    level = {"x": bare, "x2": {"field": "t2"}, "y": value}
    layer(
        "baseline",
        _levels(chart.levels, first, last),
        {"type": "rule", "strokeDash": [6, 3], **stroke},
        level,
    )
    layer("defended", _levels(chart.defended, first, last), {"type": "rule", **stroke}, level)
    changes = [change for change in chart.changes if first <= change.time <= last]
    ticks = {"type": "rule", "strokeWidth": 1.5, "strokeDash": [2, 2]}
    layer("change", [{"t": change.time} for change in changes], ticks, {"x": bare})
    for at, change in enumerate(changes[-TOLD:]):
        # Above the panel, towards the side where there is room.
        side = "right" if change.time - first > (last - first) / 2 else "left"
        words = {"type": "text", "align": side, "baseline": "bottom", "fontSize": 12, "dy": -2 - LINE * at}
        text = {"t": change.time, "text": _short(change.text, LONGEST_CHANGE)}
        encoding: Json = {"x": bare, "y": {"value": 0}, "text": {"field": "text"}, "color": {"value": WORDS}}
        layers.append({"data": {"values": [text]}, "mark": words, "encoding": encoding})
    triangle = {"type": "point", "shape": "triangle-up", "filled": True, "size": 70, "opacity": 1}
    bottom = {"x": bare, "y": {"value": HEIGHT - 6}}
    layer("alarm", [{"t": at} for at in chart.alarms], triangle, bottom)
    shown.sort(key=[*COLOURS].index)
    for part in layers:
        scale = part["encoding"]["color"].get("scale")
        if scale is not None:
            scale.update(domain=shown, range=[COLOURS[name] for name in shown])
    bars: Json = {
        "data": {"values": [{"t": p.start, "t2": p.end, "n": p.n} for p in points]},
        "mark": {"type": "rect", "color": "#B8C4CE"},
        "encoding": {
            "x": time,
            "x2": {"field": "t2"},
            "y": {"field": "n", "type": "quantitative", "axis": {"title": None, "tickCount": 2}},
            "y2": {"datum": 0},
        },
        "width": WIDTH,
        "height": UNITS_HEIGHT,
        "title": _panel(f"{units} per {_length(width)}, from {_day(first)}, UTC"),
    }
    of = {Measure.SCORE: "mean", Measure.RATE: "share"}.get(about.measure, "mean")
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "background": "white",
        "padding": 12,
        "title": {
            "text": _short(f"{chart.app} · {chart.environment} · {chart.route}", LONGEST),
            "subtitle": _short(f"{chart.rule}: {about.noun}, {of} per {_length(width)}", LONGEST_SUBTITLE),
            "anchor": "start",
            "fontSize": 16,
            "subtitleFontSize": 13,
            "subtitleColor": "#444444",
            "offset": 10,
        },
        "vconcat": [{"width": WIDTH, "height": HEIGHT, "layer": layers}, bars] if layers else [bars],
        "spacing": 10,
        "resolve": {"scale": {"x": "shared"}},
        "config": _config(),
    }


def _config() -> Json:
    return {
        "font": FONT,
        "axis": {"labelFontSize": 12, "labelColor": "#333333", "gridColor": "#E6E6E6", "domainColor": "#999"},
        "legend": {
            "orient": "bottom",
            "direction": "horizontal",
            "columns": 4,
            "title": None,
            "labelFontSize": 12,
            "symbolType": "square",
            "symbolSize": 90,
            "symbolOpacity": 1,
            "symbolStrokeWidth": 0,
        },
        "view": {"stroke": None},
    }


def _colour(name: str) -> Json:
    return {"datum": name, "type": "nominal", "scale": {}, "legend": {}}


def _range(chart: SignalChart, points: list[Point]) -> tuple[int, int]:
    """Of the axis of time: that of the data. What is labelled beyond it is cut off."""
    times = [*chart.alarms, *[p.start for p in points], *[p.end for p in points]]
    return (min(times), max(times)) if times else (0, HOUR_MS)


def _spans(spans: tuple[Span, ...], first: int, last: int) -> list[Json]:
    cut = [(max(span.start, first), min(span.end, last)) for span in spans]
    return [{"t": start, "t2": end} for start, end in cut if start < end]


def _levels(levels: tuple[Level, ...], first: int, last: int) -> list[Json]:
    cut = [(max(level.start, first), min(level.end, last), level.value) for level in levels]
    return [{"t": start, "t2": end, "v": value} for start, end, value in cut if start < end]


def _with_gaps(middles: list[Json], width: int) -> list[Json]:
    """The points with a null where bins are missing: a line over a silence would be a claim."""
    found: list[Json] = []
    for point in middles:
        if found and point["t"] - found[-1]["t"] > width:
            found.append({"t": found[-1]["t"] + width, "v": None})
        found.append(point)
    return found


def _ticks(first: int, last: int) -> Json:
    """A few ticks on whole days, hours or minutes, each with what tells it from the others."""
    for size, name, steps, written, room in TICKS:
        for step in steps:
            if (last - first) / (size * step) <= room:
                return {"tickCount": {"interval": name, "step": step}, "format": written}
    return {"tickCount": 8, "format": "%b %Y"}


def _day(at: int) -> str:
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment.day} {moment:%B %Y}"


def _panel(text: str) -> Json:
    return {
        "text": text,
        "anchor": "start",
        "frame": "group",
        "fontSize": 12,
        "fontWeight": "normal",
        "color": "#444444",
    }


def _length(width: int) -> str:
    """
    >>> _length(HOUR_MS), _length(30 * MINUTE_MS), _length(2 * DAY_MS)
    ('hour', '30 minutes', '2 days')
    """
    for size, name in ((DAY_MS, "day"), (HOUR_MS, "hour"), (MINUTE_MS, "minute")):
        if width % size == 0 and width >= size:
            return name if width == size else f"{width // size} {name}s"
    return f"{width / 1000:g} s"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
