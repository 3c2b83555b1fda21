"""Windows: every unit in exactly one of them, whatever comes late, and the last revision is the truth."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.windows import Windows
from schemas.signal import SignalName, WindowStat

UNITS = st.lists(
    st.tuples(st.integers(-5_000, 60_000), st.one_of(st.none(), st.integers(0, 9).map(float))), max_size=60
)


def make(width_ms: int = 1_000, keep_ms: int = 10**9) -> Windows:
    return Windows("a", "prod", "r", SignalName.COST, width_ms, keep_ms)


def latest(published: list[WindowStat]) -> dict[int, WindowStat]:
    return {stat.start: stat for stat in published}


@given(UNITS, st.integers(1, 20))
def test_every_unit_is_in_the_last_revision_of_one_window(
    units: list[tuple[int, float | None]], every: int
) -> None:
    windows, published = make(), []
    watermark = -10_000
    for at, (time, value) in enumerate(units):
        assert windows.add(time, value, late=time < watermark)
        if at % every == 0:
            watermark = max(watermark, time)
            published += windows.close(watermark)
    published += windows.close(10**6)
    final = latest(published)
    for start in {time - time % 1_000 for time, _ in units}:
        inside = [value for time, value in units if start <= time < start + 1_000]
        measured = [value for value in inside if value is not None]
        stat = final[start]
        assert (stat.n, stat.total, stat.unmeasured) == (
            len(measured),
            sum(measured),
            len(inside) - len(measured),
        )
    for start in final:
        revisions = [stat.revision for stat in published if stat.start == start]
        assert revisions == list(range(len(revisions)))


@given(UNITS)
def test_windows_merge_by_addition(units: list[tuple[int, float | None]]) -> None:
    fine, coarse = make(1_000), make(5_000)
    for time, value in units:
        fine.add(time, value)
        coarse.add(time, value)
    for stat in coarse.close(10**6):
        parts = [part for part in make_all(units) if stat.start <= part.start < stat.end]
        assert (stat.n, stat.total) == (sum(p.n for p in parts), sum(p.total for p in parts))


def make_all(units: list[tuple[int, float | None]]) -> list[WindowStat]:
    windows = make()
    for time, value in units:
        windows.add(time, value)
    return windows.close(10**6)


def test_nothing_is_published_before_the_watermark_or_twice() -> None:
    windows = make()
    windows.add(100, 1.0)
    assert windows.close(999) == []
    assert len(windows.close(1_000)) == 1
    assert windows.close(5_000) == []


def test_a_unit_older_than_what_is_kept_is_refused() -> None:
    windows = make(keep_ms=2_000)
    windows.add(100, 1.0)
    windows.add(5_000, 1.0)
    windows.close(6_000)
    assert not windows.add(200, 1.0, late=True)
    assert windows.add(4_500, 1.0, late=True)


@pytest.mark.parametrize(("width", "keep"), [(0, 1), (1, -1)])
def test_refuses_impossible_widths(width: int, keep: int) -> None:
    with pytest.raises(ValueError):
        make(width, keep)
