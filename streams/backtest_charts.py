"""What a backtest shows of each rule in each segment, as charts and as files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from detectors.baseline import HOUR_MS, Pin
from detectors.rules import Rule
from schemas.incident import Incident
from schemas.signal import Signal, SignalName
from sinks.charts.data import Level, Mark, Point, SignalChart, Span
from streams.labels import Label
from streams.steps.owner import Owner

if TYPE_CHECKING:
    from streams.backtest import Backtested

ODD = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_PART = 40


class Watched(NamedTuple):
    """A rule in a segment."""

    app: str
    environment: str
    route: str
    signal: SignalName


class Baselines:
    """Which baselines were in force from when on: looks at an owner now and then, as ``replay`` lets it."""

    def __init__(self) -> None:
        self.rules: dict[Watched, Rule] = {}
        self.pins: dict[Watched, list[tuple[int, Pin | None]]] = {}

    def look(self, owner: Owner, now: int) -> None:
        """Note every baseline that has changed since the last look; ``now`` in epoch ms of event time."""
        for app in owner.apps.values():
            for (environment, route), segment in app.segments.items():
                for signal in SignalName:
                    monitor = segment.monitors.monitor(signal)
                    if monitor is None:
                        continue
                    key = Watched(app.name, environment, route, signal)
                    self.rules[key] = monitor.rule
                    pins = self.pins.setdefault(key, [])
                    if not pins or pins[-1][1] is not monitor.pin:
                        pins.append((now, monitor.pin))

    def levels(self, key: Watched, end: int) -> tuple[list[Level], list[Level]]:
        """The baselines until ``end`` and what is defended, in the signal's own unit."""
        means: list[Level] = []
        defended: list[Level] = []
        rule, pins = self.rules[key], self.pins[key]
        falls = rule.direction == "down"
        for (start, pin), (until, _) in zip(pins, [*pins[1:], (end, None)], strict=True):
            if pin is None or until <= start:
                continue
            means.append(Level(start, until, 1.0 - pin.mean if falls else pin.mean))
            if falls or rule.unit.startswith("share"):
                hours = _by_hour(pin, start, until)
                defended += [h._replace(value=1.0 - h.value) if falls else h for h in hours]
        return means, defended


def _by_hour(pin: Pin, start: int, end: int) -> Iterator[Level]:
    """What a baseline defends from ``start`` to ``end``: all the time the same, or hour by hour."""
    if not pin.hours:
        yield Level(start, end, pin.m0)
        return
    begin = start
    while begin < end:
        stop = min(begin - begin % HOUR_MS + HOUR_MS, end)
        yield Level(begin, stop, pin.hours[begin // HOUR_MS % 24])
        begin = stop


def charts(done: Backtested, baselines: Baselines, labels: Sequence[Label]) -> list[SignalChart]:
    """A chart for each rule and segment that has data, those with an alarm first."""
    points: dict[Watched, list[Point]] = {}
    for w in done.windows:
        key = Watched(w.app, w.environment, w.route, w.signal)
        points.setdefault(key, []).append(Point(w.start, w.end, w.n, w.total))
    alarms: dict[Watched, list[Signal]] = {}
    for alarm, _ in done.alarms:
        alarms.setdefault(Watched(alarm.app, alarm.environment, alarm.route, alarm.signal), []).append(alarm)
    # An event has no value to draw: it is a tick in the charts of its segment.
    keys = [key for key in sorted(baselines.rules) if key in alarms or any(p.n for p in points.get(key, []))]
    keys.sort(key=lambda key: key not in alarms)
    return [_chart(key, baselines, points.get(key, []), alarms.get(key, []), done, labels) for key in keys]


def _chart(
    key: Watched,
    baselines: Baselines,
    points: list[Point],
    alarms: list[Signal],
    done: Backtested,
    labels: Sequence[Label],
) -> SignalChart:
    if not points:
        # Of a signal that is kept in no windows the alarms' own means are known.
        points = [Point(a.onset, a.detected_at + 1, a.n, (a.value or 0.0) * a.n) for a in alarms]
    means, defended = baselines.levels(key, done.last)
    seen = [
        Mark(row.time, _change(row.dimension, row.current))
        for app, row in done.changes
        if app == key.app and row.environment in (None, key.environment)
    ]
    seen += [
        Mark(note.onset, _change(note.cause.dimension, note.cause.current))
        for note, _ in done.alarms
        if note.direction == "changed"
        and note.cause is not None
        and (note.app, note.environment, note.route) == key[:3]
    ]
    return SignalChart(
        rule=baselines.rules[key].name,
        signal=key.signal,
        app=key.app,
        environment=key.environment,
        route=key.route,
        points=tuple(points),
        levels=tuple(means),
        defended=tuple(defended),
        alarms=tuple([alarm.detected_at for alarm in alarms]),
        incidents=tuple([span for i in done.incidents if (span := _incident_span(i, key)) is not None]),
        labels=tuple([Span(label.start, label.end, label.name) for label in labels if label.about(*key)]),
        changes=tuple(sorted(seen)),
    )


def _change(dimension: str, current: str | None) -> str:
    return f"{dimension.replace('_', ' ')} {current}"


def _incident_span(incident: Incident, key: Watched) -> Span | None:
    """From the onset of this rule's member to its last alarm."""
    if (incident.app, incident.environment) != (key.app, key.environment):
        return None
    mine = [m for m in incident.members if (m.route, m.signal) == (key.route, key.signal)]
    if not mine:
        return None
    return Span(min(m.onset for m in mine), max(m.last_at for m in mine), incident.id)


def file_name(chart: SignalChart) -> str:
    """A name for a chart's file without its ending: safe whatever the application calls itself.

    >>> file_name(SignalChart("cost_spike", SignalName.COST, "shop", "prod", "chat"))
    'shop.prod.chat.cost_spike'
    """
    parts = (chart.app, chart.environment, chart.route, chart.rule)
    plain = [ODD.sub("_", part)[:LONGEST_PART] for part in parts]
    if plain == [*parts]:
        return ".".join(parts)
    exact = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:8]
    return ".".join([*plain, exact])


def write_charts(folder: Path, drawn: Sequence[SignalChart]) -> list[Path]:
    """Write each chart as SVG and PNG; the paths of the PNGs. Raises ``OSError`` where that fails."""
    from sinks.charts import png, svg

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for chart in drawn:
        path = folder / f"{file_name(chart)}.png"
        (folder / f"{file_name(chart)}.svg").write_bytes(svg(chart))
        path.write_bytes(png(chart))
        written.append(path)
    return written
