"""Tumbling event-time windows of all rates of one segment: how many conversations, with which bits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from schemas.catalog import RATES
from schemas.signal import SignalName, WindowStat


class RateWindows:
    """Counts decided conversations per window ``[start, start + width)`` of their first trace's time.

    Conversations are decided in the order of their first traces, so a window that the watermark has passed
    is complete: it is published once and forgotten. Exact counts under any order, split and restore. Bits
    are kept as they come (few combinations occur), and each rate counts its own at the end. A rate that is
    not ``watched`` is published only where it is above 0: its n is that of the others, and the escalation
    rate is always published, so that there is one.

    >>> windows = RateWindows("app", "prod", "chat", 1000, {SignalName.ESCALATION})
    >>> windows.extend([(200, 0), (900, 1 << 20), (1100, 1)])
    >>> [(stat.signal.value, stat.n, stat.total) for stat in windows.close(1000)]
    [('escalation_rate', 2, 1.0)]
    >>> [(stat.signal.value, stat.n, stat.total) for stat in windows.close(2000)]
    [('escalation_rate', 1, 0.0), ('error_rate', 1, 1.0)]
    """

    __slots__ = ("_open", "of", "watched", "width_ms")

    def __init__(
        self, app: str, environment: str, route: str, width_ms: int, watched: Iterable[SignalName]
    ) -> None:
        self.of = (app, environment, route)
        self.width_ms = width_ms
        self.watched = frozenset(watched)
        self._open: dict[int, Counter[int]] = {}
        """Start to bits to conversations."""

    def extend(self, decided: Iterable[tuple[int, int]]) -> None:
        """Absorb conversations: (time of the first trace, bits)."""
        width = self.width_ms
        for (start, bits), count in Counter([(time - time % width, bits) for time, bits in decided]).items():
            window = self._open.get(start)
            if window is None:
                window = self._open[start] = Counter()
            window[bits] += count

    def close(self, watermark: int) -> list[WindowStat]:
        """The windows that the watermark has passed, by start."""
        last = watermark - self.width_ms
        done = sorted([start for start in self._open if start <= last]) if self._open else []
        return [stat for start in done for stat in self._stats(start, self._open.pop(start))]

    def _stats(self, start: int, window: Counter[int]) -> list[WindowStat]:
        app, environment, route = self.of
        n = window.total()
        stats = []
        for signal, mask in RATES.items():
            total = sum([count for bits, count in window.items() if bits & mask])
            if total or signal in self.watched or signal is SignalName.ESCALATION:
                stats.append(
                    WindowStat(
                        app=app,
                        environment=environment,
                        route=route,
                        signal=signal,
                        start=start,
                        end=start + self.width_ms,
                        n=n,
                        total=float(total),
                    )
                )
        return stats

    def snapshot(self) -> dict[str, Any]:
        return {"open": [[start, list(window.items())] for start, window in self._open.items()]}

    def restore(self, state: dict[str, Any]) -> None:
        self._open = {start: Counter(dict(items)) for start, items in state["open"]}
