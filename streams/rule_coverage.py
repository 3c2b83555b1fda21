"""What the rules cover in an eval store."""

from __future__ import annotations

from collections.abc import Iterable

from detectors.coverage import DayUnits, Segment
from schemas.signal import SignalName
from sinks.evalstore.volumes import DayVolume

KNOWN = {name.value: name for name in SignalName}


def segments_of(volumes: Iterable[DayVolume]) -> list[Segment]:
    """A store's segments by name; signals of a newer Gleaner are left out."""
    found: dict[tuple[str, str, str], Segment] = {}
    for volume in volumes:
        signal = KNOWN.get(volume.signal)
        if signal is None:
            continue
        key = volume.app, volume.environment, volume.route
        segment = found.setdefault(key, Segment(*key, {}))
        day = DayUnits(volume.n, volume.total, volume.unmeasured, volume.start, volume.end)
        segment.signals.setdefault(signal, []).append(day)
    return [found[key] for key in sorted(found)]
