"""Windows: every unit in exactly one part of one of them, whatever comes late."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.windows import Closed, Windows
from schemas.histogram import merged, unpack
from schemas.signal import SignalName, WindowStat

COST, TOKENS, FAITHFULNESS = SignalName.COST, SignalName.TOKENS, SignalName.FAITHFULNESS
VALUES = st.one_of(st.none(), st.integers(0, 9).map(float))
UNITS = st.lists(st.tuples(st.integers(-5_000, 60_000), st.sampled_from((COST, TOKENS)), VALUES), max_size=60)


def make(width_ms: int = 1_000, keep_ms: int = 10**9, at: int | None = None) -> Windows:
    return Windows(
        ("a", "prod", "r"), {COST: True, TOKENS: True, FAITHFULNESS: False}, Closed(at), width_ms, keep_ms
    )


def close(windows: Windows, upto: int) -> list[WindowStat]:
    """As the owner does: what closes, then the mark moves."""
    stats = windows.close(upto)
    windows.closed.at = upto
    return stats


@given(UNITS, st.integers(1, 20), st.integers(1, 20))
def test_every_unit_is_in_one_part_of_one_window(
    units: list[tuple[int, SignalName, float | None]], closing: int, collecting: int
) -> None:
    windows, published = make(), []
    watermark = -10_000
    for at, (time, signal, value) in enumerate(units):
        assert windows.add(time, signal, value, late=time < watermark, low=value == 0)
        if at % closing == 0:
            watermark = max(watermark, time)
            published += close(windows, watermark)
        if at % collecting == 0:
            published += windows.collect()
    published += close(windows, 10**6) + windows.collect()
    for start, signal in {(time - time % 1_000, signal) for time, signal, _ in units}:
        inside = [value for time, name, value in units if start <= time < start + 1_000 and name is signal]
        measured = [value for value in inside if value is not None]
        parts = [stat for stat in published if (stat.start, stat.signal) == (start, signal)]
        assert sum(part.n for part in parts) == len(measured)
        assert sum(part.total for part in parts) == sum(measured)
        assert sum(part.unmeasured for part in parts) == len(inside) - len(measured)
        assert sum(part.low for part in parts) == measured.count(0.0)
        assert sum(unpack(merged(part.histogram for part in parts)).values()) == len(measured)
        numbers = [part.part for part in parts]
        assert numbers in (list(range(len(parts))), list(range(1, len(parts) + 1)))
    assert {(stat.start, stat.signal) for stat in published} == {
        (time - time % 1_000, signal) for time, signal, _ in units
    }


@given(UNITS)
def test_windows_merge_by_addition(units: list[tuple[int, SignalName, float | None]]) -> None:
    fine, coarse = make(1_000), make(5_000)
    for time, signal, value in units:
        fine.add(time, signal, value)
        coarse.add(time, signal, value)
    narrow = fine.close(10**6)
    for stat in coarse.close(10**6):
        parts = [p for p in narrow if stat.start <= p.start < stat.end and p.signal is stat.signal]
        assert (stat.n, stat.total) == (sum(p.n for p in parts), sum(p.total for p in parts))
        assert list(stat.histogram) == merged(p.histogram for p in parts)


def test_nothing_is_published_before_it_closes_or_twice() -> None:
    windows = make()
    windows.add(100, COST, 1.0)
    assert close(windows, 999) == []
    assert windows.collect() == []
    assert [(stat.start, stat.end, stat.part, stat.n) for stat in close(windows, 1_000)] == [(0, 1_000, 0, 1)]
    assert close(windows, 5_000) == []
    assert windows.collect() == []


def test_one_part_a_commit_and_numbers_of_each_window_and_signal() -> None:
    windows = make(at=10_000)
    for time, signal in ((100, COST), (200, COST), (5_000, COST), (100, TOKENS)):
        windows.add(time, signal, 1.0)
    assert parts_of(windows) == [(0, COST, 1, 2), (0, TOKENS, 1, 1), (5_000, COST, 1, 1)]
    windows.add(300, COST, 1.0)
    assert parts_of(windows) == [(0, COST, 2, 1)]
    assert parts_of(windows) == []


def parts_of(windows: Windows) -> list[tuple[int, SignalName, int, int]]:
    return [(stat.start, stat.signal, stat.part, stat.n) for stat in windows.collect()]


def test_a_unit_older_than_what_is_kept_is_refused() -> None:
    windows = make(keep_ms=2_000, at=6_000)
    assert not windows.add(3_999, COST, 1.0, late=True)
    assert windows.add(4_000, COST, 1.0, late=True)


def test_only_amounts_have_a_histogram() -> None:
    windows = make()
    windows.extend(0, COST, [1.0, 2.0])
    windows.extend(0, FAITHFULNESS, [0.5], low=1)
    cost, faithfulness = windows.close(1_000)
    assert unpack(cost.histogram) == {65_472: 1, 65_536: 1}
    assert (faithfulness.histogram, faithfulness.low) == ((), 1)


def test_state_is_bounded_and_forgets_what_is_closed() -> None:
    """A day of five-minute windows, all with late units, and none of their sums is kept."""
    windows = make(300_000, 24 * 3_600_000, at=24 * 3_600_000)
    empty = len(orjson.dumps(windows.snapshot()))
    for day in (1, 2, 3):
        windows.closed.at = day * 24 * 3_600_000
        for start in range((day - 1) * 288, day * 288):
            assert windows.add(start * 300_000, COST, 1.0, late=True)
        windows.collect()
        assert len(windows.parts()["cost_per_request"]) <= 2 * 288
    assert len(orjson.dumps(windows.snapshot())) == empty
    assert len(orjson.dumps(windows.parts())) < 1_300


def test_windows_of_another_width_go_out_as_they_were() -> None:
    """A changed setting splits no window and loses no unit."""
    old = make(60_000, at=0)
    old.add(100, COST, 1.0)
    old.add(-60_000, COST, 2.0, late=True)
    new = make(1_000, at=0)
    new.restore(orjson.loads(orjson.dumps(old.snapshot())), old.parts())
    assert new.add(200, COST, 4.0)
    published = [(stat.start, stat.end, stat.part, stat.total) for stat in close(new, 1_000)]
    assert published == [(-60_000, 0, 1, 2.0), (0, 60_000, 0, 1.0), (0, 1_000, 0, 4.0)]


@pytest.mark.parametrize(("width", "keep"), [(0, 1), (1, -1)])
def test_refuses_impossible_widths(width: int, keep: int) -> None:
    with pytest.raises(ValueError):
        make(width, keep)
