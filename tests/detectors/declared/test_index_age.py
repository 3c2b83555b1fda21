"""The heartbeat of an index: when it fires, what resets it, and that it fires once."""

from __future__ import annotations

import pytest

from detectors.declared.index_age import IndexAge
from detectors.declared.policy import MaxAge
from tests.detectors.declared.rows import DAY, HOUR, MINUTE, PROFILE, back, found, trace


def times(age: IndexAge, upto: int) -> list[int]:
    return [finding.time for finding in age.close(upto)]


def test_it_fires_once_when_event_time_passes_its_limit() -> None:
    age = IndexAge(MaxAge(DAY))
    assert times(age, 90 * DAY) == [], "before the first update nothing is known"
    age.changed(91 * DAY, "index_version", "v1")
    assert times(age, 92 * DAY - 1) == []
    assert times(age, 92 * DAY) == [92 * DAY]
    assert times(age, 99 * DAY) == []


def test_an_update_resets_it_whoever_tells() -> None:
    age = IndexAge(MaxAge(DAY))
    first, second = PROFILE._replace(index_version="v1"), PROFILE._replace(index_version="v2")
    age.add([trace(0), trace(5 * HOUR)], [first, first])
    age.add([trace(20 * HOUR), trace(21 * HOUR), trace(30 * HOUR)], [first, second, first])
    assert times(age, 45 * HOUR - 1) == []
    age.changed(44 * HOUR, "index_updated", "2026-03-04")
    assert times(age, 68 * HOUR - 1) == []
    assert times(age, 68 * HOUR) == [68 * HOUR]
    age.changed(70 * HOUR, "prompt_version", "v9")
    assert times(age, 500 * HOUR) == []


def test_an_update_that_comes_too_late_does_not_hide_that_it_was_late() -> None:
    """Asked once, long after: told for the time at which it was too old."""
    age = IndexAge(MaxAge(DAY))
    age.changed(0, "index_version", "v1")
    age.changed(DAY + 1, "index_version", "v2")
    age.changed(2 * DAY + 1, "index_version", "v3")
    said = age.close(3 * DAY)
    assert [finding.time for finding in found(said)] == [DAY], "an update at the very limit is in time"
    assert [(end.opened, end.time) for end in back(said)] == [(DAY, DAY + 1)]


def test_a_version_that_comes_back_is_no_update() -> None:
    age = IndexAge(MaxAge(HOUR))
    old, new = PROFILE._replace(index_version="v1"), PROFILE._replace(index_version="v2")
    age.add([trace(0), trace(10 * MINUTE), trace(50 * MINUTE)], [old, new, old])
    assert times(age, 2 * HOUR) == [70 * MINUTE]


def test_a_policy_is_checked() -> None:
    with pytest.raises(ValueError, match="max_age"):
        MaxAge(1)
