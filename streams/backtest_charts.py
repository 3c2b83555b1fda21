"""What a backtest shows of each rule in each segment, as charts and as files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from detectors.baseline import HOUR_MS, Pin
from detectors.cost_per_success import requests_each
from detectors.rules import Rule
from detectors.said import OF_FAILURES
from schemas.catalog import Measure
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


class InForce(NamedTuple):
    """A rule's baseline; ``failures`` is that of the other side of cost per success, else None."""

    pin: Pin | None
    failures: Pin | None

    def mean(self, falls: bool) -> float | None:
        """What is normal, in the signal's own unit."""
        if self.pin is None:
            return None
        if self.failures is not None:
            share = min(self.failures.mean, 0.999)
            return self.pin.mean * requests_each(self.pin, self.failures) / (1.0 - share)
        return 1.0 - self.pin.mean if falls else self.pin.mean


class Baselines:
    """Which baselines were in force from when on: looks at an owner now and then, as ``replay`` lets it."""

    def __init__(self) -> None:
        self.rules: dict[Watched, Rule] = {}
        self.pins: dict[Watched, list[tuple[int, InForce]]] = {}

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
                    other = segment.monitors.monitors.get(f"{signal.value}:{OF_FAILURES}")
                    now_in_force = InForce(monitor.pin, None if other is None else other.pin)
                    if not pins or any(a is not b for a, b in zip(pins[-1][1], now_in_force, strict=True)):
                        pins.append((now, now_in_force))

    def levels(self, key: Watched, end: int) -> tuple[list[Level], list[Level]]:
        """The baselines until ``end`` and what is defended, in the signal's own unit."""
        means: list[Level] = []
        defended: list[Level] = []
        rule, pins = self.rules[key], self.pins[key]
        falls = rule.direction == "down"
        for (start, in_force), until in zip(pins, [*[start for start, _ in pins[1:]], end], strict=True):
            pin, mean = in_force.pin, in_force.mean(falls)
            if pin is None or mean is None or until <= start:
                continue
            if key.signal is SignalName.COST_PER_SUCCESS and in_force.failures is None:
                continue  # costs are known before anything is known of failures
            means.append(Level(start, until, mean))
            if rule.measure in (Measure.SCORE, Measure.RATE):
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
    for key in baselines.rules:
        if key.signal is SignalName.COST_PER_SUCCESS:
            costs = points.get(key._replace(signal=SignalName.COST), [])
            points[key] = _per_success(costs, points.get(key._replace(signal=SignalName.TASK_FAILURE), []))
    alarms: dict[Watched, list[Signal]] = {}
    for alarm, _ in done.alarms:
        key = Watched(alarm.app, alarm.environment, alarm.route, alarm.signal)
        rule = baselines.rules.get(key)
        if rule is None or rule.name == alarm.rule:  # others of its signal are declared, and have no baseline
            alarms.setdefault(key, []).append(alarm)
    # An event has no value to draw: it is a tick in the charts of its segment.
    keys = [key for key in sorted(baselines.rules) if key in alarms or any(p.n for p in points.get(key, []))]
    keys.sort(key=lambda key: key not in alarms)
    return [_chart(key, baselines, points.get(key, []), alarms.get(key, []), done, labels) for key in keys]


def _per_success(costs: Sequence[Point], tasks: Sequence[Point]) -> list[Point]:
    """Costs over successes: a task's failures are the total of its window."""
    successes = {(task.start, task.end): round(task.n - task.total) for task in tasks}
    return [cost._replace(n=successes.get((cost.start, cost.end), 0)) for cost in costs]


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
