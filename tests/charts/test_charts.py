"""Charts: what is drawn, that nothing foreign becomes markup, and that the bytes are always the same."""

from __future__ import annotations

import struct
import subprocess
import sys
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.signal import SignalName
from sinks.charts import Level, Mark, Point, SignalChart, Span, png, svg
from sinks.charts.bins import HOUR_MS, WIDTHS, bin_width, merge
from sinks.charts.spec import COLOURS, MOST_POINTS, spec

START = 1_772_438_400_000
HOURS = tuple(
    Point(START + at * HOUR_MS, START + (at + 1) * HOUR_MS, 40, 40 * (0.9 if at < 20 else 0.6))
    for at in range(30)
    if at != 7
)
CHART = SignalChart(
    "faithfulness_drop",
    SignalName.FAITHFULNESS,
    "support-bot",
    "production",
    "chat",
    HOURS,
    (Level(START + 5 * HOUR_MS, START + 99 * HOUR_MS, 0.9),),
    (Level(START + 5 * HOUR_MS, START + 99 * HOUR_MS, 0.87),),
    (START + 21 * HOUR_MS,),
    (Span(START + 20 * HOUR_MS, START + 25 * HOUR_MS),),
    (Span(START - HOUR_MS, START - 1), Span(START + 19 * HOUR_MS, START + 99 * HOUR_MS, "known")),
    (Mark(START + 20 * HOUR_MS, "served model B"),),
)


def layers(chart: SignalChart) -> dict[str, list[dict[str, Any]]]:
    drawn = spec(chart)["vconcat"][0]["layer"]
    named = {part["encoding"]["color"].get("datum"): part["data"]["values"] for part in drawn}
    named.pop(None, None)
    return named


def test_everything_that_is_known_is_a_layer_in_the_legends_order() -> None:
    assert set(layers(CHART)) == set(COLOURS)
    scale = spec(CHART)["vconcat"][0]["layer"][0]["encoding"]["color"]["scale"]
    assert scale == {"domain": [*COLOURS], "range": [*COLOURS.values()]}
    assert set(layers(CHART._replace(alarms=(), incidents=(), labels=()))) == {
        "mean",
        "baseline",
        "defended",
        "change",
    }


def test_a_silence_breaks_the_line_and_nothing_lies_beyond_the_data() -> None:
    drawn = layers(CHART)
    means = {(point["t"] - START) // HOUR_MS: point["v"] for point in drawn["mean"]}
    assert means[7] is None
    assert means[6] == pytest.approx(0.9)
    assert means[29] == pytest.approx(0.6)
    last = START + 30 * HOUR_MS
    assert drawn["labelled"] == [{"t": START + 19 * HOUR_MS, "t2": last}]
    assert [line["t2"] for line in drawn["baseline"]] == [last]


@pytest.mark.parametrize("signal", list(SignalName))
def test_every_signal_can_be_drawn(signal: SignalName) -> None:
    text = "".join(ElementTree.fromstring(svg(CHART._replace(signal=signal))).itertext())
    for said in ("support-bot · production · chat", "faithfulness_drop", "served model B", "defended"):
        assert said in text


@pytest.mark.parametrize("hours", [1, 8, 30, 80, 300, 24 * 50, 24 * 200, 24 * 900])
def test_an_axis_of_any_length_has_a_few_different_ticks(hours: int) -> None:
    points = [Point(START + at * HOUR_MS, START + (at + 1) * HOUR_MS, 4, 2.0) for at in range(hours)]
    image = ElementTree.fromstring(svg(SignalChart(*CHART[:5], tuple(points))))
    axes = [part for part in image.iter() if "X-axis" in (part.get("aria-label") or "")]
    ticks = [[text for text in axis.itertext() if text.strip()] for axis in axes]
    assert 2 <= len(ticks[-1]) <= 10
    assert len(set(ticks[-1])) == len(ticks[-1])


@pytest.mark.parametrize("chart", [CHART._replace(points=()), SignalChart(*CHART[:5])])
def test_little_or_nothing_can_be_drawn(chart: SignalChart) -> None:
    assert ElementTree.fromstring(svg(chart)).tag.endswith("svg")


def test_the_same_chart_is_the_same_bytes_in_another_process() -> None:
    program = (
        "import sys; from tests.charts.test_charts import CHART; from sinks.charts import png, svg;"
        "sys.stdout.buffer.write(svg(CHART) + png(CHART))"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert svg(CHART) + png(CHART) == other
    width, height = struct.unpack(">II", png(CHART)[16:24])
    assert 900 < width < 1_150
    assert height < width


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), min_size=1, max_size=80))
def test_foreign_text_is_text(foreign: str) -> None:
    hostile = f"<script>alert(1)</script>{foreign}' + datum.x"
    chart = CHART._replace(app=foreign, rule=hostile, changes=(Mark(START + HOUR_MS, hostile),))
    image = ElementTree.fromstring(svg(chart))
    assert not [element for element in image.iter() if "script" in element.tag or "image" in element.tag]


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 9)), min_size=1, max_size=50, unique_by=lambda p: p[0]
    )
)
def test_bins_keep_every_unit_and_are_few(hours: list[tuple[int, int]]) -> None:
    points = [Point(at * HOUR_MS, (at + 1) * HOUR_MS, n, n * 0.5) for at, n in hours]
    width = bin_width(points, MOST_POINTS)
    bins = merge(points, width)
    assert width in WIDTHS
    assert len(bins) <= MOST_POINTS + 1
    assert sum(point.n for point in bins) == sum(n for _, n in hours)
    assert sum(point.total for point in bins) == sum(n * 0.5 for _, n in hours)
    assert all(one.end <= other.start for one, other in pairwise(bins))
