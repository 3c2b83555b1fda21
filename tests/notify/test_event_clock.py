"""How far event time has come, over restarts: what is stored, and how often."""

from __future__ import annotations

from schemas.signal import RollingReport
from streams.event_clock import STORE_MS, EventClock

NOW = 1_772_355_600_000
DAY = 86_400_000


def report(watermark: int) -> RollingReport:
    return RollingReport(partition=0, position=1, watermark=watermark, counters={"bot": {}})


def test_a_clock_that_runs_with_the_wall_is_stored_once_a_minute() -> None:
    clock, stored = EventClock(), 0
    for second in range(601):
        clock.report(report(NOW + second * 1_000), NOW + second * 1_000)
        stored += len(clock.unstored())
    assert stored == 11


def test_a_clock_that_catches_up_loses_less_than_a_minute_to_a_restart() -> None:
    """Ten days of old data in ten seconds, and the process ends after any of its batches."""
    clock = EventClock()
    kept: dict[str, tuple[int, int]] = {}
    for batch in range(1_000):
        at = NOW + batch * 10
        clock.report(report(NOW - 11 * DAY + batch * DAY // 100), at)
        kept |= clock.unstored()
        was, is_now = EventClock(kept).at("bot", at), clock.at("bot", at)
        assert was is not None
        assert is_now is not None
        assert 0 <= is_now - was < STORE_MS
