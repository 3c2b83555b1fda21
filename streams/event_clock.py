"""How far event time has come for each app, as notify knows it: from the reports of the rolling stage.

A report comes with what changed; where nothing comes any more, event time goes on as the wall clock does,
so that silence is seen although nobody reports it.
"""

from __future__ import annotations

from collections.abc import Mapping

from schemas.signal import RollingReport
from streams.steps.watermark import LIVE_MS

STORE_MS = 60_000
"""A clock is written again after this much wall or event time; what a restart loses is less than that."""


class EventClock:
    """Watermarks by app. Times in epoch ms; a watermark never falls.

    >>> clock = EventClock()
    >>> report = RollingReport(partition=0, position=1, watermark=50_000, counters={"a": {}})
    >>> clock.report(report, now=1_000_000)
    >>> clock.at("a", 1_003_000), clock.at("b", 1_003_000)
    (53000, None)
    """

    def __init__(self, stored: Mapping[str, tuple[int, int]] | None = None) -> None:
        self._known = dict(stored or {})
        self._stored = dict(self._known)

    def report(self, report: RollingReport, now: int) -> None:
        """The apps that a partition has counted are as far as its watermark."""
        if report.watermark is None:
            return
        for app in report.counters:
            self._known[app] = (max(report.watermark, self.at(app, now) or report.watermark), now)

    def at(self, app: str, now: int) -> int | None:
        """Event time of ``app`` at wall time ``now``; None where no report has told."""
        known = self._known.get(app)
        return None if known is None else known[0] + max(0, now - known[1])

    def said(self, app: str, now: int) -> int:
        """The event time of what is said of ``app`` at wall time ``now``: that time where its traffic is
        live, or none is known; where old traffic is replayed, how far that has come.

        >>> clock = EventClock({"old": (50_000, 1_000_000), "live": (999_000, 1_000_000)})
        >>> clock.said("old", 1_003_000), clock.said("live", 1_003_000)
        (53000, 1003000)
        """
        at = self.at(app, now)
        return now if at is None or now - at <= LIVE_MS else at

    def all(self, now: int) -> dict[str, int]:
        return {app: watermark + max(0, now - wall) for app, (watermark, wall) in self._known.items()}

    def unstored(self) -> dict[str, tuple[int, int]]:
        """What has moved enough since it was last handed out here to be written again."""
        moved = {
            app: clock
            for app, clock in self._known.items()
            # While old data is caught up with, event time runs days in minutes of wall time.
            if app not in self._stored
            or max(now - then for now, then in zip(clock, self._stored[app], strict=True)) >= STORE_MS
        }
        self._stored |= moved
        return moved
