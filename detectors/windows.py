"""Tumbling event-time windows of some signals of one segment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from detectors.sums import Sums
from schemas.signal import SignalName, WindowStat

MINUTE_MS = 60_000
WIDTH_MS = 5 * MINUTE_MS
KEEP_MS = 24 * 60 * MINUTE_MS


class Closed:
    """Up to where windows are closed, epoch ms: one for all windows that close together.

    It follows from the watermark, and changes for every segment at once; so it is no part of a segment's
    state, and whoever restores one sets it.
    """

    __slots__ = ("at",)

    def __init__(self, at: int | None = None) -> None:
        self.at = at


class Windows:
    """Sums of each signal per window ``[start, start + width)``, published once in *parts* that add up.

    Part 0 is what was there when the window closed. A closed window is forgotten, all but its name: units
    that still come for it are collected, and become its next part at the next :meth:`collect`, which the
    owner calls once a commit. Units of a window that ended more than ``keep_ms`` before ``closed`` are
    refused, and the caller counts them.

    **Why parts add up to every unit once, whatever crashes.** Sending parts and writing the state may be two
    steps, with a crash between them (the embedded broker has no transactions). Then everything since the
    last written state is absorbed again, perhaps in commits of other sizes, and other parts come of it: the
    reader keeps the last that it reads of each (window, part). A commit that was not written has sent for a
    closed window at most one part beyond part 0, numbered k, which is the number in the written state. The
    same units come again in the same order, so the repetition also has a part k, with the first of those
    units; it replaces the one that was sent, and what it lacks comes in k + 1. Closing follows from messages
    alone, so a part 0 is repeated as it was. Two parts of a window in one commit, or one sequence of numbers
    for several windows or signals, would break this: a number might be sent that is not sent again.

    Windows merge by addition: sums over n units, no means, and histograms for the signals with one (amounts).
    A unit without a value is ``unmeasured`` and in no sum. Counts are exact under any order of units and any
    restore; float totals, too, up to their last bits where units came in other parts.

    **Memory.** Open windows: what is between ``closed`` and the newest unit, with at most 1,024 buckets
    for each histogram. Of closed ones two integers for each window and signal that late units came for, so
    ``keep_ms / width_ms`` of them at most (288 by default).

    >>> closed = Closed()
    >>> windows = Windows(("app", "prod", "chat"), {SignalName.COST: False}, closed, width_ms=1000)
    >>> windows.extend(0, SignalName.COST, [0.5], unmeasured=1), windows.extend(1000, SignalName.COST, [1.0])
    (True, True)
    >>> [(stat.start, stat.n, stat.total, stat.unmeasured) for stat in windows.close(1000)]
    [(0, 1, 0.5, 1)]
    >>> closed.at = 1000
    >>> windows.add(300, SignalName.COST, 0.25, late=True)
    True
    >>> [(stat.start, stat.part, stat.n, stat.total, stat.late) for stat in windows.collect()]
    [(0, 1, 1, 0.25, 1)]
    """

    __slots__ = (
        "_due",
        "_late",
        "_left",
        "_open",
        "_parts",
        "closed",
        "keep_ms",
        "of",
        "parts_changed",
        "signals",
        "width_ms",
    )

    def __init__(
        self,
        of: tuple[str, str, str],
        signals: Mapping[SignalName, bool],
        closed: Closed,
        width_ms: int = WIDTH_MS,
        keep_ms: int = KEEP_MS,
    ) -> None:
        """``of``: app, environment, route; ``signals``: which have a histogram."""
        if width_ms < 1 or keep_ms < 0:
            raise ValueError(f"width_ms {width_ms} must be at least 1 and keep_ms {keep_ms} at least 0")
        self.of = of
        self.signals = dict(signals)
        self.closed = closed
        self.width_ms = width_ms
        self.keep_ms = keep_ms
        self._open: dict[int, dict[SignalName, Sums]] = {}
        self._late: dict[int, dict[SignalName, Sums]] = {}
        """Units of closed windows since the last :meth:`collect`."""
        self._parts: dict[tuple[int, SignalName], int] = {}
        """The next part of each closed window, where it is above 1."""
        self._left: list[WindowStat] = []
        """Windows of another width, from before a change of it: published as they are."""
        self._due: int | None = None
        """The earliest end of an open window."""
        self.parts_changed = False
        """Whether the numbers of parts have changed since this was last set to False."""

    def extend(
        self,
        start: int,
        signal: SignalName,
        values: Sequence[float],
        unmeasured: int = 0,
        low: int = 0,
        late: int = 0,
    ) -> bool:
        """Add units of the window that begins at ``start`` (see ``Sums.extend``); False if it is gone."""
        end = start + self.width_ms
        closed = self.closed.at
        if closed is None or end > closed:
            windows = self._open
            if self._due is None or end < self._due:
                self._due = end
        elif end > closed - self.keep_ms:
            windows = self._late
        else:
            return False
        window = windows.get(start)
        if window is None:
            window = windows[start] = {}
        sums = window.get(signal)
        if sums is None:
            sums = window[signal] = Sums(self.signals[signal])
        sums.extend(values, unmeasured, low, late)
        return True

    def add(
        self, time: int, signal: SignalName, value: float | None, late: bool = False, low: bool = False
    ) -> bool:
        """Add one unit at ``time``; False if its window is gone. Without a value it is never late or low."""
        start = time - time % self.width_ms
        if value is None:
            return self.extend(start, signal, (), 1)
        return self.extend(start, signal, (value,), 0, int(low), int(late))

    def close(self, upto: int) -> list[WindowStat]:
        """Part 0 of the windows that end at ``upto`` or before, by start. The caller moves ``closed``."""
        left, self._left = self._left, []
        if self._due is None or self._due > upto:
            return left
        last = upto - self.width_ms
        done = sorted([start for start in self._open if start <= last])
        stats = [stat for start in done for stat in self._stats(start, self._open.pop(start))]
        self._due = min(self._open) + self.width_ms if self._open else None
        return left + stats

    def collect(self) -> list[WindowStat]:
        """What has come for closed windows since the last call: one more part of each, by start."""
        if not self._late:
            return []
        late, self._late = self._late, {}
        stats: list[WindowStat] = []
        for start in sorted(late):
            for signal, sums in late[start].items():
                part = self._parts.get((start, signal), 1)
                self._parts[start, signal] = part + 1
                stats.append(self._stat(start, signal, sums, part))
        floor = (self.closed.at or 0) - self.keep_ms - self.width_ms
        self._parts = {place: part for place, part in self._parts.items() if place[0] > floor}
        self.parts_changed = True
        return stats

    def _stats(self, start: int, window: Mapping[SignalName, Sums]) -> list[WindowStat]:
        return [self._stat(start, signal, window[signal], 0) for signal in self.signals if signal in window]

    def _stat(self, start: int, signal: SignalName, sums: Sums, part: int) -> WindowStat:
        app, environment, route = self.of
        return WindowStat(
            app=app,
            environment=environment,
            route=route,
            signal=signal,
            start=start,
            end=start + self.width_ms,
            n=sums.n,
            total=sums.total,
            unmeasured=sums.unmeasured,
            late=sums.late,
            low=sums.low,
            part=part,
            histogram=tuple(sums.packed()),
        )

    def snapshot(self) -> dict[str, Any]:
        """What is open, and what has come late: changes with every unit."""
        return {
            "width": self.width_ms,
            "open": _written(self._open),
            "late": _written(self._late),
            "left": [stat.model_dump() for stat in self._left],
        }

    def parts(self) -> dict[str, list[int]]:
        """The next part of each closed window, by signal: [start, part, windows further, part, …]. Changes
        with late units alone."""
        written: dict[str, list[int]] = {}
        at: dict[SignalName, int] = {}
        for (start, signal), part in sorted(self._parts.items()):
            gap = (start - at[signal]) // self.width_ms if signal in at else start
            written.setdefault(signal.value, []).extend((gap, part))
            at[signal] = start
        return written

    def restore(self, state: dict[str, Any], parts: Mapping[str, Sequence[int]]) -> None:
        """Take over a snapshot. One of another width goes out as it is: its windows are not ours."""
        self._due = None
        self._left = [WindowStat(**stat) for stat in state["left"]]
        self._open, self._late = self._read(state["open"]), self._read(state["late"])
        self._parts = {}
        for name, (start, *numbers) in parts.items():
            for part, gap in zip(numbers[::2], [*numbers[1::2], 0], strict=True):
                self._parts[start, SignalName(name)] = part
                start += gap * state["width"]
        self.parts_changed = False
        if state["width"] != self.width_ms:
            self._leave(state["width"])
        elif self._open:
            self._due = min(self._open) + self.width_ms

    def _leave(self, width_ms: int) -> None:
        mine, self.width_ms = self.width_ms, width_ms
        self._left += self.collect()
        self._left += [stat for start in sorted(self._open) for stat in self._stats(start, self._open[start])]
        self.width_ms, self._open, self._parts, self.parts_changed = mine, {}, {}, True

    def _read(self, written: list[list[Any]]) -> dict[int, dict[SignalName, Sums]]:
        windows: dict[int, dict[SignalName, Sums]] = {}
        for start, *signals in written:
            window = windows[start] = {}
            for name, *state in signals:
                signal = SignalName(name)
                sums = window[signal] = Sums(self.signals[signal])
                sums.restore(state)
        return windows


def _written(windows: Mapping[int, Mapping[SignalName, Sums]]) -> list[list[Any]]:
    return [
        [start, *([str(signal), *sums.state()] for signal, sums in window.items())]
        for start, window in windows.items()
    ]
