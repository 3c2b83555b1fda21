"""How the detectors of a segment stand, as the record that is published: read off, changing nothing."""

from __future__ import annotations

from math import log10

from detectors.baseline import Stage
from detectors.monitor import Monitor
from detectors.monitors import Monitors
from schemas.signal import Standing, Watched


def standing(app: str, environment: str, route: str, monitors: Monitors, at: int) -> Standing:
    """The standing at event time ``at`` (epoch ms), in the signals' own units."""
    watched = tuple([_watched(name, monitor) for name, monitor in monitors.items()])
    return Standing(app=app, environment=environment, route=route, at=at, watched=watched)


def _watched(name: str, monitor: Monitor) -> Watched:
    rule, pin = monitor.rule, monitor.pin
    _, _, side = name.partition(":")
    if pin is None:
        return Watched(rule=rule.name, signal=rule.signal, side=side, stage="learning", seen=monitor.track.n)
    falls = rule.direction == "down"
    many, dropped_at, dropped = monitor.dropped
    return Watched(
        rule=rule.name,
        signal=rule.signal,
        side=side,
        stage="pinned" if pin.stage is Stage.PINNED else "provisional",
        seen=monitor.track.n,
        baseline=1.0 - pin.mean if falls else pin.mean,
        baseline_n=pin.n,
        evidence=round(monitor.detector.evidence(), 3),
        threshold=round(log10(pin.threshold), 3),
        open=monitor.open,
        waiting=monitor.waiting,
        dropped=many,
        dropped_at=dropped_at if many else None,
        dropped_value=(1.0 - dropped if falls else dropped) if many else None,
    )
