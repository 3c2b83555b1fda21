"""The detectors are no slower than they were measured to be, beyond the noise of so few streams."""

from __future__ import annotations

import pytest

from benchmarks.detectors.contenders import GUARANTEED, SAFE
from benchmarks.detectors.fleet import fleet
from benchmarks.detectors.protocol import SCENARIOS, delays, null_runs, summary

STREAMS, SEED = 40, 5_000_000
NOISE = 1.25
"""A median of 40 streams is off by a tenth in two of three cases."""
COST_STREAMS, COST_NOISE = 12, 1.5
SETTINGS = {SAFE.name: GUARANTEED}


@pytest.mark.parametrize(
    ("name", "median"),
    [
        ("faithfulness 0.88 -> 0.83", 368),
        ("faithfulness 0.88 -> 0.78", 134),
        ("faithfulness 0.88 -> 0.65", 35),
        ("rate 2 % -> 5%", 425),
        ("rate 2 % -> 10%", 89),
    ],
)
def test_delay_at_the_guaranteed_threshold(name: str, median: float) -> None:
    found = summary(delays(SCENARIOS[name], [SAFE], SETTINGS, STREAMS, SEED)[SAFE.name])
    assert found.median <= NOISE * median
    assert found.missed == 0.0


@pytest.mark.parametrize(("name", "median"), [("cost x1.5", 66), ("cost x3", 12)])
def test_delay_of_costs(name: str, median: float) -> None:
    found = summary(delays(SCENARIOS[name], [SAFE], SETTINGS, COST_STREAMS, SEED)[SAFE.name])
    assert found.median <= COST_NOISE * median
    assert found.missed == 0.0


@pytest.mark.parametrize("name", ["faithfulness 0.88 -> 0.83", "rate 2 % -> 5%"])
def test_null_streams_alarm_less_often_than_the_bound(name: str) -> None:
    nulls = null_runs(SCENARIOS[name], [SAFE], SETTINGS, STREAMS, SEED)[SAFE.name]
    assert nulls.alarmed - 2 * nulls.error <= 0.632, "1 - 1/e within as many units as the threshold says"


def test_a_fleet_keeps_its_budget() -> None:
    done = fleet("rate", 60, 200, 4.0, SEED)
    assert done.pages <= 4, "one page in four weeks is allowed in the mean"
