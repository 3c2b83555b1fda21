"""The monitors of a segment, and what of them is written down when."""

from __future__ import annotations

import zlib
from typing import Any

import orjson

from detectors.baseline import Pin
from detectors.segment import SegmentMonitors

MEMORY = "recent:"
APART = "apart:"


class MonitorState:
    """``hot`` changes with every unit; ``base`` when a baseline is pinned; ``recent`` units come in chunks,
    each written once when it is full; ``apart`` is what changes now and then."""

    def __init__(self, monitors: SegmentMonitors) -> None:
        self.monitors = monitors
        self._written: tuple[Pin | None, ...] | None = None
        """The pins whose baselines are written down."""
        self._apart: dict[str, int] = {}
        """Versions of what is written apart."""

    def changes(self, **more: Any) -> dict[str, bytes | None]:
        """What is to be written down, ``more`` with what is hot; None deletes a part."""
        segment, monitors = self.monitors, self.monitors.monitors
        entries: dict[str, bytes | None] = {"hot": packed({"monitors": segment.snapshot(), **more})}
        for part, data in monitors.remembered().items():
            entries[MEMORY + part] = packed(data)
        apart = monitors.apart()
        for part, (version, data_of) in apart.items():
            if version != self._apart.get(part):
                data = data_of()
                entries[APART + part] = None if data is None else packed(data)
        entries.update([(APART + part, None) for part in self._apart if part not in apart])
        self._apart = {part: version for part, (version, _) in apart.items()}
        pins = monitors.pins
        if self._written is None or any(new is not old for new, old in zip(pins, self._written, strict=True)):
            self._written = pins
            entries["base"] = packed(segment.baselines())
        return entries

    def load(self, entries: dict[str, bytes]) -> dict[str, Any]:
        """Take over what was written; what was hot."""
        hot: dict[str, Any] = unpacked(entries["hot"])
        remembered = {p.removeprefix(MEMORY): unpacked(d) for p, d in entries.items() if p.startswith(MEMORY)}
        apart = {p.removeprefix(APART): unpacked(d) for p, d in entries.items() if p.startswith(APART)}
        base = unpacked(entries["base"])
        self.monitors.restore(base, hot["monitors"], remembered, apart)
        # What was written under other rules is written again, once there is a reason to write.
        same = {name: one.get("rule") for name, one in base.items()} == self.monitors.monitors.rules()
        self._written = self.monitors.monitors.pins if same else None
        self._apart = {part: version for part, (version, _) in self.monitors.monitors.apart().items()}
        return hot


def packed(data: Any) -> bytes:
    """JSON, compressed: digits and repeated names are most of it.

    With a window of 8 KiB: a state is a few kilobytes, and to clear the tables of zlib's default takes
    longer than to compress it (2 to 20 times, by the machine's load).
    """
    deflate = zlib.compressobj(1, zlib.DEFLATED, 13, 6)
    return deflate.compress(orjson.dumps(data)) + deflate.flush()


def unpacked(data: bytes) -> Any:
    return orjson.loads(zlib.decompress(data))
