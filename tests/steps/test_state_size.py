"""How large the state of a segment is, by its traffic."""

from __future__ import annotations

from random import Random

import pytest

from schemas.identity import Coordinates
from schemas.observation import Flag, Kind, Outcome, Profile, TraceRow
from schemas.signal import SignalName
from streams.steps.inflight import Pending
from streams.steps.monitor_state import packed
from streams.steps.segment_state import SegmentState
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


def segment_sizes(days: float, daily: int) -> dict[str, int]:
    """The latest size of each part of a segment under the five default rules, written every 500 traces.

    The worst of ordinary traffic: every user another, by an id of 36 characters.
    """
    rng = Random(5)
    segment = SegmentState("app", "prod", "chat", Horizons.at(None, DECIDED_MS), WIDTH_MS)
    segment.since = START
    known = [
        Profile("prod", "chat", "p", "m", "m-1", f"support@{n}", "v1", "idx-3", "2026.11") for n in range(3)
    ]
    sizes: dict[str, int] = {}
    many = int(daily * days)
    for first in range(0, many, 500):
        for number in range(first, min(first + 500, many)):
            time, profile = START + int(number * days * 86_400_000 / many), rng.choice(known)
            name, user = f"{rng.getrandbits(144):036x}", f"{rng.getrandbits(144):036x}"
            score = rng.choice([1.0, 1.0, 1.0, 0.5, 2 / 3, 0.75, 0.8, 5 / 7])
            flags = Flag.SCHEMA_INVALID.value if rng.random() < 0.01 else 0
            cost = rng.lognormvariate(-5.0, 0.7)
            numbers = (cost, 0, 500, 100, 900.0, score, 250.0)
            row = TraceRow(time, name, Kind.TRACE.value, 0, number, 0, 0, None, user, flags, *numbers)
            item = Pending(time, name, 1, "app", Coordinates("s", "t", 0, number, 0), row, profile)
            segment.traces.append(item)
            segment.units.append(item)
            segment.measured.append(row)
            bits = Outcome.ESCALATED.value if rng.random() < 0.02 else 0
            segment.decided.append((time, bits, name, profile, user))
        segment.flush(1, DECIDED_MS)
        segment.close_windows(START + int(min(first + 500, many) * days * 86_400_000 / many), DECIDED_MS)
        for part, data in segment.changes().items():
            sizes[part] = len(data) if data is not None else 0
    return sizes


def test_a_segment_takes_at_most_32_kib_and_its_hot_part_4() -> None:
    sizes = segment_sizes(4.0, 6_000)
    hot, whole = sizes["hot"] + sizes["windows"], sum(sizes.values())
    print(f"hot {hot} bytes, baselines {sizes['base']}, all {whole}")
    assert hot <= 4 * 1024
    assert whole <= 32 * 1024


def test_while_costs_are_learned_their_sample_comes_on_top() -> None:
    sizes = segment_sizes(2.0, 3_000)
    hot = sizes["hot"] + sizes["windows"]
    sample = sum(size for part, size in sizes.items() if part.startswith("apart:learned:cost_per_success:"))
    print(f"hot {hot} bytes, sample {sample}, all {sum(sizes.values())}")
    assert hot <= 4 * 1024
    assert sample <= 13.5 * 1024
    assert sum(sizes.values()) - sample <= 32 * 1024
