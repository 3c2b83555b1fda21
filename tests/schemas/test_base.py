"""Times on the wire: what is one, what is none, and that one written is one read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import EARLIEST_MS, LATEST_MS, SECONDS, parse_event_time, parse_time, rfc3339

NOON = 1_772_452_800_000


@pytest.mark.parametrize(
    ("value", "time"),
    [
        (NOON, NOON),
        (float(NOON), NOON),
        ("2026-03-02T12:00:00Z", NOON),
        ("2026-03-02 12:00:00+00:00", NOON),
        ("2026-03-02T13:30:00+01:30", NOON),
        ("2026-03-02T07:00:00-05:00", NOON),
        ("2026-03-02T12:00:00.1239999Z", NOON + 123),
        ("1969-12-31T23:59:59.9995Z", -1),
        (0, 0),
        (EARLIEST_MS, EARLIEST_MS),
        (LATEST_MS, LATEST_MS),
        ("0001-01-01T00:00:00Z", EARLIEST_MS),
        ("9999-12-31T23:59:59.999Z", LATEST_MS),
    ],
)
def test_what_is_a_time(value: Any, time: int) -> None:
    assert parse_time(value) == time


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        float("nan"),
        float("inf"),
        EARLIEST_MS - 1,
        LATEST_MS + 1,
        10**400,
        [],
        {},
        "",
        "now",
        "1772452800000",
        "2026-03-02",
        "2026-03-02T12:00:00",
        "2026-03-02T12:00",
        "2026-02-30T12:00:00Z",
        "2026-03-02T25:00:00Z",
        "12:00:00Z",
    ],
)
def test_what_is_none(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^(is no time|has no zone|is outside)"):
        parse_time(value)


@pytest.mark.parametrize(
    "value", [1_772_787_164, 1_772_787_164.0, 1_772_787_164.25, *(SECONDS[0], SECONDS[1] - 1)]
)
def test_seconds_are_no_time_of_an_event(value: float) -> None:
    with pytest.raises(ValueError, match="seconds: give milliseconds"):
        parse_event_time(value)


@pytest.mark.parametrize(
    "value", [0, 5, -1, 86_400_000, SECONDS[0] - 1, SECONDS[1], NOON, "1970-02-01T00:00:00Z"]
)
def test_other_times_are_as_they_were(value: Any) -> None:
    assert parse_event_time(value) == parse_time(value)


@given(st.integers(EARLIEST_MS, LATEST_MS))
def test_what_is_written_is_read(time: int) -> None:
    assert parse_time(rfc3339(time)) == time
    assert rfc3339(time).endswith("Z")
