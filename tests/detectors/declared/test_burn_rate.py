"""Burn rates: which tier fires where, once, and that an app within its objective is left alone."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import orjson
import pytest

from detectors.declared.burn_rate import BurnRate
from detectors.declared.finding import Finding, Said
from detectors.declared.policy import Slo
from schemas.signal import Severity
from tests.detectors.declared.rows import DAY, HOUR, MINUTE, back, failures, found

Units = list[tuple[int, float, str]]


def watch(policy: Slo | None = None) -> BurnRate:
    return BurnRate(policy or Slo(0.99), Severity.P2, "requests", "failed")


def said(units: Units, policy: Slo | None = None, upto: int = 40 * DAY) -> list[Said]:
    burn = watch(policy)
    burn.add(units)
    return burn.close(upto)


def run(units: Units, policy: Slo | None = None) -> list[Finding]:
    return found(said(units, policy))


def even(share_in: int, start: int, end: int, every: int = 10_000) -> Units:
    """Every ``share_in``-th unit is bad; 0: none."""
    return [
        (time, 1.0 if share_in and at % share_in == 0 else 0.0, f"t{time}")
        for at, time in enumerate(range(start, end, every))
    ]


@pytest.mark.parametrize(
    ("share_in", "tier", "after"),
    [
        (1, "14.4", 10 * MINUTE),  # all fail: 14.4 % of the last hour after 9 minutes
        (5, "14.4", 45 * MINUTE),
        (10, "6", 4 * HOUR),  # 10 %: 14.4 % is never reached; 6 % of six hours is
        (50, "1", 36 * HOUR),  # twice the budget: a ticket
    ],
)
def test_each_tier_fires_where_both_windows_burn(share_in: int, tier: str, after: int) -> None:
    begin = 4 * DAY
    units = even(0, 0, begin) + even(share_in, begin, begin + 3 * DAY)
    first = run(units)[0]
    assert first.key == tier
    assert first.time - begin == pytest.approx(after, abs=20 * MINUTE)
    assert first.time % (5 * MINUTE) == 0
    assert first.severity is (Severity.P3 if tier == "1" else None)
    assert abs(first.onset - begin) <= 5 * MINUTE
    assert first.baseline == pytest.approx(0.01)
    assert all(trace_id.startswith("t") for trace_id in first.examples)


def test_one_incident_is_one_alarm_a_tier_and_day() -> None:
    """A tenth fails for ten hours: one page, no ticket beside it, nothing while it lasts."""
    begin = 4 * DAY
    units = even(0, 0, begin) + even(10, begin, begin + 10 * HOUR) + even(0, begin + 10 * HOUR, begin + DAY)
    heard = said(units)
    assert [finding.key for finding in found(heard)] == ["6"]
    assert [(end.key, end.opened) for end in back(heard)] == [("6", heard[0].time)]
    assert back(heard)[0].value < 0.9 * 0.06


def test_what_a_graver_tier_has_hidden_is_told_when_that_clears() -> None:
    """30 % fail for two hours, then 8 % for twenty: page level all along, so there is no end between."""
    begin = 4 * DAY
    after = begin + 2 * HOUR
    units = even(0, 0, begin) + [
        (at, float(n % 10 < 3), "a") for n, at in enumerate(range(begin, after, 10_000))
    ]
    over = after + 20 * HOUR
    units += [(at, float(n % 25 < 2), "b") for n, at in enumerate(range(after, over, 10_000))]
    units += even(0, over, over + 8 * HOUR)
    heard = said(units)
    first, second = found(heard)
    assert [first.key, second.key] == ["14.4", "6"]
    assert (first.time - begin, second.time - after) == (30 * MINUTE, 50 * MINUTE)
    assert second.severity is None, "as the rule's own"
    (end,) = back(heard)
    assert (end.key, end.opened) == ("14.4", first.time), "one alarm, one end"
    assert over < end.time <= over + 3 * HOUR
    assert "in the last 6 h: less than 5.4 times" in end.reason
    assert end.bound == pytest.approx(0.054)


def test_what_is_over_is_not_told_because_a_long_window_remembers_it() -> None:
    """Everything fails for half an hour: two lesser tiers are beyond for hours and days after it."""
    begin = 4 * DAY
    over = begin + 30 * MINUTE
    heard = said(even(0, 0, begin) + even(1, begin, over) + even(0, over, over + 3 * DAY))
    assert [one.key for one in heard] == ["14.4", "14.4"]
    (end,) = back(heard)
    assert end.time - over <= HOUR
    # Where it begins anew while they are beyond, they are told.
    later = over + 3 * HOUR
    again = even(0, 0, begin) + even(1, begin, over) + even(0, over, later) + even(10, later, later + HOUR)
    assert [one.key for one in said(again, upto=later + HOUR)] == ["14.4", "14.4", "6"]


def test_what_is_hidden_survives_a_restart_and_any_split() -> None:
    begin = 4 * DAY
    after = begin + 2 * HOUR
    units = even(0, 0, begin) + even(3, begin, after) + even(12, after, after + 9 * HOUR)
    whole = said(units, upto=after + 9 * HOUR)
    assert [one.key for one in whole] == ["14.4", "6"]
    heard: list[Said] = []
    burn = watch()
    burn.add(units)
    for upto in range(begin, after + 9 * HOUR + 1, 25 * MINUTE):
        heard += burn.close(upto)
        state = orjson.loads(orjson.dumps(burn.snapshot()))
        burn = watch()
        burn.restore(state)
    assert heard + burn.close(after + 9 * HOUR) == whole


def test_it_fires_again_after_it_cleared_and_after_a_day() -> None:
    begin, outage = 4 * DAY, 30 * MINUTE
    twice = even(0, 0, begin) + even(1, begin, begin + outage)
    twice += even(0, begin + outage, begin + 4 * HOUR) + even(1, begin + 4 * HOUR, begin + 4 * HOUR + outage)
    assert [finding.key for finding in run(twice)].count("14.4") == 2
    lasting = run(even(0, 0, begin) + even(2, begin, begin + 50 * HOUR))
    pages = [finding.time for finding in lasting if finding.key == "14.4"]
    assert [after - before for before, after in pairwise(pages)] == [DAY, DAY]


def test_within_the_objective_nothing_fires() -> None:
    """Independent failures at a third of the budget, a unit every half minute: thirty days."""
    for seed in range(3):
        assert run(failures(Random(seed), 0.0033, 0, 30 * DAY, 30_000)) == []


def test_low_traffic_is_not_asked() -> None:
    """Two requests an hour, one of three fails: no window has its units."""
    assert run(failures(Random(1), 0.3, 0, 20 * DAY, 30 * MINUTE), Slo(0.99, min_units=1_000)) == []


def test_no_alarm_rests_on_fewer_than_five_failures() -> None:
    units = even(0, 0, 2 * HOUR, 30_000)
    units[-4:] = [(time, 1.0, name) for time, _, name in units[-4:]]
    assert run(units, Slo(0.999)) == []
    units[-5:] = [(time, 1.0, name) for time, _, name in units[-5:]]
    assert [finding.key for finding in run(units, Slo(0.999))] == ["14.4"]


def test_silence_neither_fires_nor_clears() -> None:
    begin = 4 * DAY
    burn = watch()
    burn.add(even(0, 0, begin) + even(1, begin, begin + HOUR))
    assert [one.key for one in burn.close(begin + HOUR)] == ["14.4"]
    for later in range(1, 48):
        assert burn.close(begin + HOUR + later * HOUR) == []


def test_its_state_is_bounded() -> None:
    burn = watch()
    burn.add(failures(Random(2), 0.01, 0, 10 * DAY, 3_000))
    burn.close(10 * DAY)
    state = orjson.dumps(burn.snapshot())
    assert 8_000 < len(state) < 14 * 1024
    burn.add(failures(Random(2), 0.01, 10 * DAY, 20 * DAY, 3_000))
    burn.close(20 * DAY)
    assert len(orjson.dumps(burn.snapshot())) < 14 * 1024


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"objective": 0.3}, "objective"),
        ({"objective": 1.0}, "objective"),
        ({"objective": 0.9, "window_ms": DAY}, "window"),
        ({"objective": 0.9, "min_units": 0}, "min_units"),
        ({"objective": 0.9, "above": 0.0}, "above"),
    ],
)
def test_a_policy_is_checked(policy: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Slo(**policy)  # type: ignore[arg-type]
