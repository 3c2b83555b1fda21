"""How large the state of a segment's windows is, by its traffic."""

from __future__ import annotations

from random import Random

import pytest

from schemas.observation import Kind, TraceRow
from schemas.signal import SignalName
from streams.steps.segment_state import packed
from streams.steps.segment_windows import Horizons, SegmentWindows

MINUTE = 60_000
DECIDED_MS = 10 * MINUTE
WIDTH_MS = 5 * MINUTE
START = 1_772_438_400_000


def state_sizes(per_window: int, hours: int) -> tuple[int, int]:
    """The largest entry of open windows, and of part numbers, as written, over hours of traffic.

    Every trace has all amounts and a score; one in fifty comes an hour late.
    """
    rng = Random(per_window)
    horizons = Horizons.at(None, DECIDED_MS)
    windows = SegmentWindows(("support-bot", "prod", "chat"), horizons, WIDTH_MS, [SignalName.ESCALATION])
    largest, parts = 0, 0
    for step in range(hours * 60):
        watermark = START + step * MINUTE
        rows = sorted(
            TraceRow(
                watermark - rng.randrange(MINUTE),
                f"t{step}-{number}",
                Kind.TRACE.value,
                0,
                0,
                0,
                0,
                None,
                None,
                0,
                0.004 * rng.lognormvariate(0, 0.7),
                0,
                rng.randrange(400, 1_600),
                rng.randrange(40, 240),
                rng.lognormvariate(6.8, 0.5),
                rng.random(),
                rng.lognormvariate(5.5, 0.5),
            )
            for number in range(per_window // 5)
        )
        windows.traces(rows)
        windows.measured(rows)
        windows.rates.extend([(row.time, 0) for row in rows])
        if step % 10 == 0:
            windows.late_trace(rows[0]._replace(time=watermark - 60 * MINUTE))
        windows.close(watermark, DECIDED_MS)
        horizons.move(watermark, DECIDED_MS)
        windows.collect()
        largest = max(largest, len(packed(windows.snapshot())))
        if (numbers := windows.parts()) is not None:
            parts = max(parts, len(packed(numbers)))
    return largest, parts


@pytest.mark.parametrize(("per_window", "most"), [(5, 600), (50, 1_000), (1_000, 1_800), (10_000, 2_500)])
def test_windows_take_little_state(per_window: int, most: int) -> None:
    largest, _ = state_sizes(per_window, 2)
    print(f"{per_window} traces in five minutes: {largest} bytes")
    assert largest < most


def test_what_is_kept_of_closed_windows_has_a_bound() -> None:
    """Two days with a late trace every ten minutes: the numbers of a day are kept, not of two."""
    _, day = state_sizes(5, 26)
    _, two_days = state_sizes(5, 50)
    print(f"numbers of parts: {day} bytes after 26 hours, {two_days} after 50")
    assert two_days <= day * 1.1 < 2_000
