"""Tumbling event-time windows of one signal in one segment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.signal import SignalName, WindowStat

MINUTE_MS = 60_000
N, TOTAL, UNMEASURED, LATE, REVISION, DIRTY = range(6)


class Windows:
    """Sums per window ``[start, start + width)`` of event time, published when the watermark has passed.

    A unit that comes after its window was published is added all the same: the window is published again
    at the next :meth:`close`, with the next revision. Sums of closed windows are kept for ``keep_ms``
    behind the watermark; a unit older than that is refused, and the caller counts it.

    Windows merge by addition: sums over n units, no means. A unit without a value is ``unmeasured`` and in
    no sum. Exact under snapshot and restore, and under any order of units but for the last bits of the
    float sums.

    >>> windows = Windows("app", "prod", "chat", SignalName.COST, width_ms=1000)
    >>> windows.add(200, 0.5), windows.add(900, None), windows.add(1100, 1.0)
    (True, True, True)
    >>> [(stat.start, stat.n, stat.total, stat.unmeasured) for stat in windows.close(1000)]
    [(0, 1, 0.5, 1)]
    >>> windows.add(300, 0.25, late=True)
    True
    >>> [(stat.n, stat.total, stat.late, stat.revision) for stat in windows.close(1000)]
    [(2, 0.75, 1, 1)]
    """

    __slots__ = ("_at", "_due", "_floor", "_open", "_window", "keep_ms", "of", "signal", "width_ms")

    def __init__(
        self,
        app: str,
        environment: str,
        route: str,
        signal: SignalName,
        width_ms: int = 5 * MINUTE_MS,
        keep_ms: int = 24 * 60 * MINUTE_MS,
    ) -> None:
        if width_ms < 1 or keep_ms < 0:
            raise ValueError(f"width_ms {width_ms} must be at least 1 and keep_ms {keep_ms} at least 0")
        self.of = (app, environment, route)
        self.signal = signal
        self.width_ms = width_ms
        self.keep_ms = keep_ms
        self._open: dict[int, list[Any]] = {}
        """Start to [n, total, unmeasured, late, next revision, unpublished]."""
        self._due: int | None = None
        """The earliest end of a window with something to publish."""
        self._floor: int | None = None
        """Windows that end at or before this are gone."""
        self._at: int | None = None
        self._window: list[Any] = []

    def add(self, time: int, value: float | None, late: bool = False) -> bool:
        """Absorb one unit; False if its window is gone."""
        start = time - time % self.width_ms
        if start == self._at:
            window = self._window
        else:
            found = self._find(start)
            if found is None:
                return False
            window = found
        if value is None:
            window[UNMEASURED] += 1
        else:
            window[N] += 1
            window[TOTAL] += value
            if late:
                window[LATE] += 1
        if not window[DIRTY]:
            window[DIRTY] = True
            end = start + self.width_ms
            if self._due is None or end < self._due:
                self._due = end
        return True

    def extend(self, units: Iterable[tuple[int, float | None]]) -> int:
        """As :meth:`add` for each ``(time, value)``; how many were refused."""
        refused = 0
        start = end = n = unmeasured = 0
        total = 0.0
        window: list[Any] | None = None
        for time, value in units:
            if not start <= time < end:
                if window is not None:
                    self._put(window, start, n, total, unmeasured)
                start = time - time % self.width_ms
                end = start + self.width_ms
                window = self._window if start == self._at else self._find(start)
                n, unmeasured = 0, 0
                total = window[TOTAL] if window is not None else 0.0
            if value is None:
                unmeasured += 1
            else:
                n += 1
                total += value
            if window is None:
                refused += 1
        if window is not None:
            self._put(window, start, n, total, unmeasured)
        return refused

    def _put(self, window: list[Any], start: int, n: int, total: float, unmeasured: int) -> None:
        window[N] += n
        window[TOTAL] = total
        window[UNMEASURED] += unmeasured
        if not window[DIRTY]:
            window[DIRTY] = True
            end = start + self.width_ms
            if self._due is None or end < self._due:
                self._due = end

    def _find(self, start: int) -> list[Any] | None:
        if self._floor is not None and start + self.width_ms <= self._floor:
            return None
        window = self._open.get(start)
        if window is None:
            window = self._open[start] = [0, 0.0, 0, 0, 0, False]
        self._at, self._window = start, window
        return window

    def close(self, watermark: int) -> list[WindowStat]:
        """Windows that the watermark has passed and that have something new, by start."""
        if self._due is None or self._due > watermark:
            return []
        published = []
        due: int | None = None
        for start in sorted(self._open):
            window = self._open[start]
            if not window[DIRTY]:
                continue
            if start + self.width_ms > watermark:
                due = start + self.width_ms
                break
            published.append(self._stat(start, window))
            window[DIRTY] = False
            window[REVISION] += 1
        self._due = due
        self._drop(watermark - self.keep_ms)
        return published

    def _drop(self, floor: int) -> None:
        if self._floor is None or floor > self._floor:
            self._floor = floor
            for start in [start for start in self._open if start + self.width_ms <= floor]:
                del self._open[start]
            self._at = None

    def _stat(self, start: int, window: list[Any]) -> WindowStat:
        app, environment, route = self.of
        return WindowStat(
            app=app,
            environment=environment,
            route=route,
            signal=self.signal,
            start=start,
            end=start + self.width_ms,
            n=window[N],
            total=window[TOTAL],
            unmeasured=window[UNMEASURED],
            late=window[LATE],
            revision=window[REVISION],
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "windows": [[start, *window] for start, window in self._open.items()],
            "due": self._due,
            "floor": self._floor,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._open = {start: window for start, *window in state["windows"]}
        self._due = state["due"]
        self._floor = state["floor"]
        self._at = None
        self._window = []
