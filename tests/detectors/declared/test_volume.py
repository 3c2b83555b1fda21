"""Volume: silence and surges, each in how many buckets; and that healthy traffic keeps the budget."""

from __future__ import annotations

from math import pi, sin
from random import Random

import orjson
import pytest

from detectors.acceptance import Accepted
from detectors.declared.count_law import below, chance, exactly, standing
from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.incomplete_beta import binomial_tail, incomplete_beta
from detectors.declared.policy import BUCKET_MS
from detectors.declared.volume import Volume
from tests.detectors.declared.rows import DAY, HOUR, MINUTE, back, found

OF = ("app", "prod", "chat")


def volume(min_effect: float = 0.25) -> Volume:
    return Volume(OF, 4.0, min_effect)


def poisson(random: Random, mean: float) -> int:
    """By arrivals; exact."""
    count, at = 0, random.expovariate(1.0)
    while at < mean:
        count += 1
        at += random.expovariate(1.0)
    return count


def expected(start: int, mean: float) -> float:
    """A daily cycle, a peak six times the trough."""
    return mean * (1.0 + 0.7 * sin(2 * pi * start / DAY))


def traffic(random: Random, mean: float, start: int, end: int, spread: float = 0.0) -> list[int]:
    """Times of requests: Poisson, or negative binomial with dispersion ``spread``."""
    times: list[int] = []
    for bucket in range(start, end, BUCKET_MS):
        rate = expected(bucket, mean)
        if spread:
            rate = random.gammavariate(1 / spread, rate * spread)
        times += [bucket + at for at in range(poisson(random, rate))]
    return times


def said(watch: Volume, times: list[int], upto: int) -> list[Said]:
    watch.add(times)
    return watch.close(upto, lambda time: 1)


def run(watch: Volume, times: list[int], upto: int) -> list[Finding]:
    return found(said(watch, times, upto))


def learned(random: Random, mean: float, days: int = 8, spread: float = 0.0) -> Volume:
    watch = volume()
    assert run(watch, traffic(random, mean, 0, days * DAY, spread), days * DAY) == []
    assert watch.pin is not None
    return watch


def test_it_is_armed_at_three_days_and_pinned_at_seven() -> None:
    random, watch = Random(1), volume()
    stages = []
    for day in range(9):
        run(watch, traffic(random, 5.0, day * DAY, (day + 1) * DAY), (day + 1) * DAY)
        stages.append(None if watch.pin is None else watch.pin.note())
    # The first bucket is not counted, so a day is full five minutes later.
    assert stages[2] is None
    assert stages[3] == "provisional, 3 days by hour of the day"
    assert stages[7] == stages[8] == "pinned, 7 days by hour of the day"


@pytest.mark.parametrize(("mean", "buckets"), [(100.0, 3), (20.0, 3), (3.0, 9)])
def test_silence_is_seen_by_the_passing_of_time(mean: float, buckets: int) -> None:
    watch, stop = learned(Random(2), mean), 8 * DAY
    alarms = run(watch, [], stop + 6 * HOUR)
    assert [(finding.time - stop) // BUCKET_MS for finding in alarms] == [buckets]
    first = alarms[0]
    assert 0 <= stop - first.onset <= BUCKET_MS
    assert first.value < 0.1 * mean * 12
    assert not first.rises
    assert "no request at all over 15 minutes, normally " in first.reason or mean == 3.0
    assert first.evidence is not None
    assert first.threshold is not None
    assert first.evidence >= first.threshold


@pytest.mark.parametrize(("factor", "most"), [(2.0, 4), (1.4, 12), (0.6, 12)])
def test_surges_and_falls_are_seen(factor: float, most: int) -> None:
    random = Random(4)
    watch, begin = learned(random, 60.0, spread=0.02), 8 * DAY
    alarms = run(watch, traffic(random, 60.0 * factor, begin, begin + 12 * HOUR, 0.02), begin + 12 * HOUR)
    assert 0 < (alarms[0].time - begin) // BUCKET_MS <= most
    assert alarms[0].rises is (factor > 1)
    assert alarms[0].value / alarms[0].baseline == pytest.approx(factor, rel=0.3)  # type: ignore[operator]
    assert len(alarms) == 1, "it is told once"


def test_it_clears_when_traffic_is_back_and_fires_again() -> None:
    random, begin = Random(5), 8 * DAY
    watch = learned(random, 60.0)
    again = begin + 2 * HOUR
    heard = said(watch, traffic(random, 60.0, again, again + 4 * HOUR), again + 6 * HOUR)
    alarms, ends = found(heard), back(heard)
    assert [finding.rises for finding in alarms] == [False, False]
    assert alarms[1].onset == again + 4 * HOUR
    assert [(end.opened, end.time > again) for end in ends] == [(alarms[0].time, True)]
    assert ends[0].value == pytest.approx(ends[0].baseline, rel=0.15)


def office(random: Random, start: int, end: int, factor: float = 1.0) -> list[int]:
    """240 requests an hour by day, 3 by night."""
    return [
        bucket + at
        for bucket in range(start, end, BUCKET_MS)
        for at in range(poisson(random, factor * (20.0 if 8 <= bucket // HOUR % 24 < 20 else 0.25)))
    ]


def by_office(random: Random) -> Volume:
    watch = volume()
    assert said(watch, office(random, 0, 9 * DAY), 9 * DAY) == []
    return watch


@pytest.mark.parametrize(("returns", "after"), [(60, 55 * MINUTE), (44, 280 * MINUTE)])
def test_an_outage_lasts_through_hours_of_little_traffic(returns: int, after: int) -> None:
    """From 14:00 on; 3 requests an hour are normal at night, and none of them are no return."""
    random = Random(1)
    watch, midnight = by_office(random), 9 * DAY
    stop, again = midnight + 14 * HOUR, midnight + returns * HOUR
    heard = said(watch, office(random, midnight, stop), again)
    assert [(one.time - stop) // MINUTE for one in heard] == [15, 15 + 24 * 60][: len(heard)]
    assert back(heard) == []
    (end,) = back(said(watch, office(random, again, again + 12 * HOUR), again + 12 * HOUR))
    assert end.time - again == after


def test_a_return_at_night_waits_for_as_many_as_tell_it() -> None:
    """From 16 expected ones on two standard deviations are less than half of what is expected."""
    random = Random(1)
    watch, evening = by_office(random), 9 * DAY + 20 * HOUR
    stop = evening - 6 * HOUR
    (alarm,) = said(watch, office(random, 9 * DAY, stop), evening)
    (end,) = back(said(watch, office(random, evening, evening + 11 * HOUR), evening + 11 * HOUR))
    assert end.opened == alarm.time
    assert (end.time - evening, end.time - end.since) == (280 * MINUTE, 280 * MINUTE)
    assert end.n == 11
    assert end.value == pytest.approx(11 * 60 / 280), "requests an hour"
    assert end.baseline == pytest.approx(16.19 * 60 / 280, rel=0.01)
    assert end.reason.startswith("11 requests in the last 280 min, normally 16 ")


def test_a_rise_lasts_through_the_night_too() -> None:
    random = Random(2)
    watch, noon = by_office(random), 9 * DAY + 12 * HOUR
    heard = said(watch, office(random, 9 * DAY, noon) + office(random, noon, noon + DAY, 2.0), noon + DAY)
    assert [type(one) for one in heard] == [Finding, Finding][: len(heard)]
    (end,) = back(said(watch, office(random, noon + DAY, noon + DAY + 3 * HOUR), noon + DAY + 3 * HOUR))
    assert end.time == noon + DAY + 50 * MINUTE


def test_it_is_told_again_after_a_day_of_silence_and_sleeps_after_a_week() -> None:
    watch = learned(Random(6), 20.0)
    alarms = run(watch, [], 60 * DAY)
    assert len(alarms) == 7
    heard = said(watch, traffic(Random(7), 90.0, 60 * DAY, 62 * DAY), 62 * DAY)
    assert found(heard) == []
    assert watch.pin is None, "it learns anew when traffic comes again"
    assert run(watch, traffic(Random(7), 90.0, 62 * DAY, 65 * DAY), 65 * DAY) == []
    assert watch.pin is not None


def test_requests_after_a_week_of_silence_end_the_alarm_and_silence_does_not() -> None:
    watch, wakes = learned(Random(6), 20.0), 60 * DAY
    alarms = said(watch, [], wakes)
    assert back(alarms) == []
    # The bucket of the first request is known in part only, and the one after it has none.
    assert said(watch, [wakes + MINUTE], wakes + 2 * BUCKET_MS) == []
    state = orjson.loads(orjson.dumps(watch.snapshot()))
    restored = volume()
    restored.restore(state)
    later = [wakes + 3 * BUCKET_MS + at for at in range(3)]
    for one in (watch, restored):
        (end,) = back(said(one, later, wakes + 9 * BUCKET_MS))
        assert (end.time, end.since) == (wakes + 4 * BUCKET_MS, wakes + 3 * BUCKET_MS)
        assert end.opened == found(alarms)[0].time
        assert (end.value, end.n) == (36.0, 3), "requests an hour"
        assert end.baseline == pytest.approx(240.0, rel=0.8)
        assert end.reason.startswith("3 requests in 5 minutes, after more than 7 d without any")
        assert one.pin is None
    assert watch.snapshot() == restored.snapshot()
    # An alarm that was over when it fell asleep has no second end.
    assert said(watch, [], wakes + 30 * DAY) == []
    assert said(watch, [wakes + 30 * DAY, wakes + 30 * DAY + BUCKET_MS], wakes + 31 * DAY) == []


def test_healthy_traffic_keeps_the_budget() -> None:
    """12 segments of 28 days under one page in four weeks each: 12 would be allowed."""
    alarms = 0
    for seed in range(12):
        random = Random(100 + seed)
        mean, spread = random.choice([(4.0, 0.0), (30.0, 0.02)])
        alarms += len(run(volume(0.0), traffic(random, mean, 0, 28 * DAY, spread), 28 * DAY))
    assert alarms == 0


def test_before_it_is_armed_nothing_fires() -> None:
    random = Random(8)
    assert run(volume(), traffic(random, 50.0, 0, 2 * DAY), 3 * DAY) == []


def test_how_it_is_asked_changes_nothing() -> None:
    random = Random(9)
    times = traffic(random, 10.0, 0, 8 * DAY) + traffic(random, 30.0, 9 * DAY, 10 * DAY)
    times += traffic(random, 10.0, 20 * DAY, 25 * DAY)
    whole = volume()
    at_once = said(whole, times, 26 * DAY)
    assert at_once
    pieces, at, now = volume(), 0, 0
    heard: list[Said] = []
    while now < 26 * DAY:
        now = min(now + random.choice((MINUTE, HOUR, 30 * HOUR)), 26 * DAY)
        end = at
        while end < len(times) and times[end] <= now:
            end += 1
        heard += said(pieces, times[at:end], now)
        at = end
    assert heard == at_once
    assert orjson.dumps(pieces.snapshot()) == orjson.dumps(whole.snapshot())
    assert len(orjson.dumps(whole.snapshot())) < 10_000


def test_the_standing_of_a_count_in_its_own_law_is_uniform() -> None:
    random, standings = Random(10), []
    for at in range(4_000):
        count = poisson(random, random.gammavariate(1 / 0.3, 8.0 * 0.3))
        standings.append(standing(count, 8.0, 0.3, chance("s", at)))
    for tenth in range(10):
        share = sum(tenth / 10 <= one < (tenth + 1) / 10 for one in standings) / len(standings)
        assert share == pytest.approx(0.1, abs=0.02)


def test_a_law_adds_up() -> None:
    for mean, spread in ((0.01, 0.5), (5.0, 1e-4), (300.0, 0.1)):
        total = 0.0
        for count in range(40):
            total += exactly(count, mean, spread)
            assert below(count, mean, spread) == pytest.approx(total, rel=1e-6, abs=1e-12)
    assert below(30_000, 30_000.0, 0.01) == pytest.approx(0.513, abs=0.01)


def test_tails_of_the_binomial() -> None:
    """Against sums of the probabilities themselves."""
    from math import comb

    for n, p, k in ((20, 0.1, 5), (60, 0.01, 3), (300, 0.3, 100)):
        exact = sum(comb(n, at) * p**at * (1 - p) ** (n - at) for at in range(k, n + 1))
        assert binomial_tail(n, p, k) == pytest.approx(exact, rel=1e-9)
    assert incomplete_beta(2.0, 2.0, 0.0) == 0.0
    assert incomplete_beta(2.0, 2.0, 1.0) == 1.0


@pytest.mark.parametrize("restored", [False, True])
def test_what_is_accepted_is_learned_from_the_next_bucket_on(restored: bool) -> None:
    random = Random(11)
    watch, shift = learned(random, 20.0), 8 * DAY
    at = shift + 6 * HOUR + 2 * MINUTE
    doubled = traffic(random, 40.0, shift, 14 * DAY)
    assert run(watch, [time for time in doubled if time < at], shift + 6 * HOUR) != []
    watch.accept(Accepted(at, "a", "dana"))
    if restored:
        again = volume()
        again.restore(orjson.loads(orjson.dumps(watch.snapshot())))
        watch = again
    rest = [time for time in doubled if time >= at]
    (end, *others) = said(watch, rest, 14 * DAY)
    assert isinstance(end, Returned)
    assert (end.time, end.since, end.accepted_by) == (shift + 6 * HOUR + 5 * MINUTE,) * 2 + ("dana",)
    assert others == [], "the new level is no alarm"
    assert watch.pin is not None
    assert watch.pin.days == 3
    assert sum(watch.pin.mean) / 24 == pytest.approx(40.0, rel=0.1)
