"""Windows in the store: rolling figures against figures computed from the units themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import duckdb
import pytest
from typer.testing import CliRunner

from schemas.histogram import RELATIVE_ERROR, estimate, lower_edge
from schemas.signal import SignalName, WindowStat
from sinks.evalstore import StoreOwner, open_for_reading, run_query
from sinks.evalstore.migrations import migrate, migrations
from streams.cli import app
from tests.evalstore.samples import MARCH, WIDTH_MS, amounts, make_window

HOUR_MS = 3_600_000
SPANS = {"5m": WIDTH_MS, "1h": HOUR_MS, "24h": 24 * HOUR_MS, "7d": 168 * HOUR_MS}
END = MARCH + 168 * HOUR_MS
ROLLING_AT = "signals_rolling_at(make_timestamptz(?::BIGINT * 1000))"


class Unit(NamedTuple):
    time: int
    value: float | None
    low: bool


def week(seed: int, per_window: int, every: int = 1) -> list[Unit]:
    """A week of amounts up to ``END``, ``per_window`` in every ``every``-th five minutes, some unmeasured."""
    rng = Random(seed)
    return [
        Unit(start + rng.randrange(WIDTH_MS), rng.lognormvariate(6.8, 0.7), rng.random() < 0.1)
        if rng.random() > 0.05
        else Unit(start, None, False)
        for start in range(MARCH, END, WIDTH_MS * every)
        for _ in range(per_window)
    ]


def published(units: list[Unit], signal: SignalName, *, parts: int = 1, **changes: Any) -> list[WindowStat]:
    """The units as windows, each in several parts."""
    windows: dict[tuple[int, int], list[Unit]] = {}
    for number, unit in enumerate(units):
        place = (unit.time - unit.time % WIDTH_MS, number % parts)
        windows.setdefault(place, []).append(unit)
    stats = []
    for (start, part), inside in windows.items():
        values = [unit.value for unit in inside if unit.value is not None]
        changed: dict[str, Any] = {
            "signal": signal,
            "start": start,
            "end": start + WIDTH_MS,
            "n": len(values),
            "unmeasured": len(inside) - len(values),
            "low": sum(unit.low for unit in inside),
            "histogram": amounts(values),
        }
        stats.append(make_window(part, sum(values), **(changed | changes)))
    return stats


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[StoreOwner]:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        yield owner


def ask(owner: StoreOwner, query: str, *values: Any) -> list[dict[str, Any]]:
    cursor = owner._con.execute(query, list(values))
    names = [column[0] for column in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def rank(values: list[float], q: float) -> float:
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def check(row: dict[str, Any], units: list[Unit], span: int) -> None:
    """A row against its units: sums exactly, quantiles within the histogram's bound."""
    values = [unit.value for unit in units if unit.value is not None]
    assert (row["n"], row["unmeasured"]) == (len(values), len(units) - len(values))
    assert row["low"] == sum(unit.low for unit in units)
    assert row["total"] == pytest.approx(sum(values), rel=1e-12)
    assert row["per_hour"] == pytest.approx(sum(values) * HOUR_MS / span, rel=1e-12)
    if not values:
        empty = ("mean", "unmeasured_share", "low_share", "min", "p50", "p95", "p99", "max")
        assert [row[name] for name in empty] == [None] * 8
        return
    assert row["unmeasured_share"] == pytest.approx(1 - len(values) / len(units))
    assert row["mean"] == pytest.approx(sum(values) / len(values))
    assert row["low_share"] == pytest.approx(row["low"] / len(values))
    for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        assert row[name] == pytest.approx(rank(values, q), rel=RELATIVE_ERROR * 1.001), (name, span)
    assert row["min"] <= min(values) <= row["min"] * (1 + 1 / 64)
    assert row["max"] / (1 + 1 / 64) <= max(values) <= row["max"]


def test_rolling_figures_are_those_of_the_units(owner: StoreOwner) -> None:
    units = week(1, 6)
    owner.write(windows=published(units, SignalName.LATENCY, parts=3), now=END)
    rows = ask(
        owner,
        "SELECT *, epoch_ms(rolling_start) AS since, epoch_ms(rolling_end) AS upto FROM signals_rolling",
    )
    assert {row["rolling"] for row in rows} == set(SPANS)
    for row in rows:
        span = SPANS[row["rolling"]]
        assert (row["since"], row["upto"]) == (END - span, END)
        check(row, [unit for unit in units if unit.time >= END - span], span)


def test_rolling_figures_at_a_given_time(owner: StoreOwner) -> None:
    units = week(2, 2, every=4)
    owner.write(windows=published(units, SignalName.COST), now=END)
    at = MARCH + 30 * HOUR_MS
    query = f"SELECT * FROM {ROLLING_AT} ORDER BY rolling"
    rows = ask(owner, query, at)
    assert rows == ask(owner, query, at + WIDTH_MS - 1), "up to the last end of a window"
    assert len(rows) == 4
    for row in rows:
        span = SPANS[row["rolling"]]
        inside = [unit for unit in units if max(at - span, MARCH) <= unit.time < at]
        assert (row["n"] == 0) is (
            row["rolling"] == "5m"
        )  # nothing in the last five minutes: a row all the same
        check(row, inside, span)


def test_one_window_and_its_quantiles(owner: StoreOwner) -> None:
    units = week(3, 40, every=12 * 24)
    owner.write(windows=published(units, SignalName.LATENCY, parts=4), now=END)
    rows = ask(owner, "SELECT * FROM windows ORDER BY start_ms")
    assert len(rows) == 7
    for row in rows:
        assert row["parts"] == 4
        check(row, [unit for unit in units if row["start_ms"] <= unit.time < row["end_ms"]], WIDTH_MS)


def test_a_signal_without_histogram_has_no_quantiles(owner: StoreOwner) -> None:
    owner.write(windows=[make_window(0, 3.5, signal=SignalName.FAITHFULNESS, low=1, histogram=())], now=END)
    for view in ("windows", "signals_rolling"):
        rows = ask(owner, f"SELECT * FROM {view}")
        assert {(row["n"], row["mean"], row["low_share"]) for row in rows} == {(4, 0.875, 0.25)}
        assert {row[name] for row in rows for name in ("min", "p50", "p95", "p99", "max")} == {None}


def test_a_rate_that_nobody_watches_is_of_all_conversations(owner: StoreOwner) -> None:
    """It has windows only where it is above 0; the escalation rate has them all."""
    rates = [
        make_window(
            0, float(at % 2), signal=SignalName.ESCALATION, n=50, unmeasured=0, histogram=(), **window(at)
        )
        for at in range(10)
    ]
    errors = make_window(0, 3.0, signal=SignalName.ERROR, n=50, unmeasured=0, histogram=(), **window(4))
    owner.write(windows=[*rates, errors], now=END)
    query = f"SELECT signal, n, total FROM {ROLLING_AT} WHERE rolling = '1h'"
    rows = ask(owner, query, MARCH + HOUR_MS)
    assert sorted((row["signal"], row["n"], row["total"]) for row in rows) == [
        ("error_rate", 500, 3.0),
        ("escalation_rate", 500, 5.0),
    ]


def window(number: int) -> dict[str, int]:
    return {"start": MARCH + number * WIDTH_MS, "end": MARCH + (number + 1) * WIDTH_MS}


def test_a_segment_in_one_row_for_each_span(owner: StoreOwner) -> None:
    """Spend, volume, shares of what is unscored and unpriced: the figures of signals_rolling by name."""
    latencies = week(5, 3, every=6)
    owner.write(
        windows=[
            *published(latencies, SignalName.LATENCY),
            make_window(0, 2.0, **last_window()),
            make_window(
                0, 3.5, signal=SignalName.FAITHFULNESS, low=1, unmeasured=12, histogram=(), **last_window()
            ),
        ],
        now=END,
    )
    (row,) = ask(owner, "SELECT * FROM segments_rolling WHERE rolling = '1h'")
    assert (row["traces"], row["spend_usd"], row["spend_usd_per_hour"], row["unpriced_share"]) == (
        5,
        2,
        2,
        0.2,
    )
    assert (row["scored"], row["faithfulness"], row["grounded_share"], row["unscored_share"]) == (
        4,
        0.875,
        0.75,
        0.75,
    )
    assert row["p95_cost_usd"] == pytest.approx(0.5, rel=RELATIVE_ERROR * 1.001)
    newest = max(unit.time for unit in latencies) // WIDTH_MS * WIDTH_MS + WIDTH_MS
    assert newest == END - 5 * WIDTH_MS
    inside = [unit.value for unit in latencies if unit.value and newest - HOUR_MS <= unit.time < newest]
    assert row["p95_latency_ms"] == pytest.approx(rank(inside, 0.95), rel=RELATIVE_ERROR * 1.001)
    assert (row["escalation_rate"], row["p95_time_to_first_token_ms"]) == (None, None)


def parts(owner: StoreOwner) -> list[tuple[int, int, float, int]]:
    rows = ask(owner, "SELECT part, n, total, unmeasured FROM window_parts ORDER BY part")
    return [(row["part"], row["n"], row["total"], row["unmeasured"]) for row in rows]


def test_a_part_of_a_window_does_not_replace_the_whole(owner: StoreOwner) -> None:
    """A replay that begins within it knows fewer of its units; repeated as it was, or fuller, it stands."""
    whole = make_window(0, 8.0, n=30, unmeasured=2)
    for partial in (make_window(0, 9.0, n=31, unmeasured=0), make_window(0, 4.0, n=15, unmeasured=16)):
        owner.write(windows=[whole], now=END)
        assert owner.write(windows=[partial], now=END).windows == 0
        assert owner.write(windows=[whole], now=END).windows == 0
        assert parts(owner) == [(0, 30, 8.0, 2)]
        assert ask(owner, "SELECT parts, n FROM windows") == [{"parts": 1, "n": 30}]
    for changed in (make_window(0, 7.0, n=32, unmeasured=0), make_window(0, 9.0, n=31, unmeasured=3)):
        assert owner.write(windows=[changed], now=END).windows == 1
    assert parts(owner) == [(0, 31, 9.0, 3)]


def test_a_later_part_that_was_sent_and_not_written_is_replaced_by_what_was(owner: StoreOwner) -> None:
    """Repeated in commits of other sizes it says less, and the next part the rest: see ``Windows``."""
    owner.write(windows=[make_window(0, 8.0, n=30), make_window(1, 3.0, n=3, unmeasured=0)], now=END)
    again = [make_window(1, 1.0, n=1, unmeasured=0), make_window(2, 2.0, n=2, unmeasured=0)]
    owner.write(windows=again, now=END)
    assert [(part, n) for part, n, _, _ in parts(owner)] == [(0, 30), (1, 1), (2, 2)]


@pytest.mark.parametrize("seed", range(5))
def test_which_part_stands_does_not_depend_on_the_batches(tmp_path: Path, seed: int) -> None:
    rng = Random(seed)
    written = [
        make_window(rng.randrange(2), float(number), n=rng.randrange(4), unmeasured=rng.randrange(3))
        for number in range(30)
    ]
    found = []
    for size in (1, 3, 7, 30):
        with StoreOwner.open(tmp_path / f"{size}.duckdb") as owner:
            for at in range(0, len(written), size):
                owner.write(windows=written[at : at + size], now=END)
            found.append(parts(owner))
    assert found == found[:1] * 4
    first = [one for one in written if one.part == 0]
    most = max(one.n + one.unmeasured for one in first)
    last = [one for one in first if one.n + one.unmeasured == most][-1]
    assert found[0][0] == (0, last.n, last.total, last.unmeasured)


def test_a_replay_from_the_middle_of_a_window_leaves_it_whole(tmp_path: Path) -> None:
    """400 traces ten seconds apart: lines 1 to 300, then 216 to 400, from the middle of the eighth."""
    lines = [
        json.dumps(
            {"trace_id": f"t-{n}", "timestamp": MARCH + n * 10_000, "app": "shop", "latency_ms": 100 + n}
        )
        for n in range(400)
    ]
    store = tmp_path / "store.duckdb"
    query = """SELECT (start_ms - ?) // 300000 AS window, n, total FROM windows
        WHERE signal = 'latency_ms' ORDER BY 1"""
    found = []
    for name, some in (("a", lines[:300]), ("b", lines[215:]), ("a", lines[:300])):
        (tmp_path / name).write_text("\n".join(some) + "\n")
        result = CliRunner().invoke(app, ["replay", str(tmp_path / name), "--store", str(store)])
        assert result.exit_code == 0, result.output
        with open_for_reading(store, END) as con:
            found.append(con.execute(query, [MARCH]).fetchall())
    assert [row[:2] for row in found[0]] == [(window, 30) for window in range(9)]
    assert found[1][:9] == found[0]
    assert [row[:2] for row in found[1]] == [(window, 30) for window in range(13)]
    assert found[2] == found[1]


def last_window() -> dict[str, int]:
    return {"start": END - WIDTH_MS, "end": END}


@pytest.mark.parametrize("bucket", [-131_072, 0, 1, 64, 65_471, 65_472, 65_535, 98_203, 130_000])
def test_a_bucket_means_in_sql_what_it_means_in_python(owner: StoreOwner, bucket: int) -> None:
    (row,) = ask(
        owner, "SELECT bucket_low(b) AS low, bucket_value(b) AS value FROM (SELECT ?::INTEGER AS b)", bucket
    )
    assert (row["low"], row["value"]) == (lower_edge(bucket), estimate(bucket))


# -- a store written by the version before ---------------------------------------------------------------

OLD = """INSERT INTO signal_windows VALUES
    ('shop', 'production', 'chat', 'cost_per_request', {start}, {end}, 4, 3.0, 2, 1, 5),
    ('shop', 'production', 'chat', 'faithfulness', {start}, {end}, 10, 9.0, 0, 0, 0)"""


def old_store(path: Path) -> None:
    """A store as the version before left it: two migrations, windows of an hour with revisions."""
    con = duckdb.connect(str(path), config={"storage_compatibility_version": "v1.5.0"})
    assert migrate(con, migrations()[:2]) == [1, 2]
    con.execute(OLD.format(start=MARCH, end=MARCH + HOUR_MS))
    con.close()


def test_a_store_of_the_version_before_opens_and_reads_right(tmp_path: Path) -> None:
    path = tmp_path / "store.duckdb"
    old_store(path)
    after = {"start": MARCH + HOUR_MS, "end": MARCH + HOUR_MS + WIDTH_MS}
    with StoreOwner.open(path) as owner:
        owner.write(windows=[make_window(0, 2.0, **after)], now=END)
        assert owner.counts().windows == 3
    query = (
        "SELECT signal, n, total, mean, unmeasured, late, parts, p95 IS NULL AS old FROM windows ORDER BY ALL"
    )
    rolling = """SELECT n, total, unmeasured FROM signals_rolling
        WHERE signal = 'cost_per_request' AND rolling = '24h'"""
    with open_for_reading(path, END) as reader:
        assert run_query(reader, query).rows == [
            ("cost_per_request", 4, 2.0, 0.5, 1, 0, 1, False),
            ("cost_per_request", 4, 3.0, 0.75, 2, 1, 1, True),
            ("faithfulness", 10, 9.0, 0.9, 0, 0, 1, True),
        ]
        assert run_query(reader, rolling).rows == [(8, 5.0, 3)]


def test_a_window_that_both_versions_have_written_counts_once(tmp_path: Path) -> None:
    """The version before stored it, and its record was read again after the upgrade."""
    path = tmp_path / "store.duckdb"
    old_store(path)
    hour = {"start": MARCH, "end": MARCH + HOUR_MS, "histogram": ()}
    with StoreOwner.open(path) as owner:
        owner.write(windows=[make_window(0, 3.0, **hour), make_window(1, 0.5, **hour, n=1)], now=END)
        (row,) = ask(owner, "SELECT n, total, parts FROM windows WHERE signal = 'cost_per_request'")
    assert row == {"n": 5, "total": 3.5, "parts": 2}
