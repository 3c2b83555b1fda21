"""How far event time has come: what holds it, what leaves a partition out, and what never moves it."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.observation import Progress, Source, SourceProgress
from streams.steps.watermark import LIVE_MS, QUIET_MS, Watermark

NOW = 1_772_438_400_000
LONG_AGO = NOW - 10 * LIVE_MS
LATENESS = 1_000
A, B, C = Source("s", "traces", 0), Source("s", "traces", 1), Source("s", "feedback", 0)
COUNTS = {"traces": 2, "feedback": 1}

Entry = tuple[Source, int | None, bool]


def report(*entries: Entry, at: int = NOW, counts: dict[str, int] | None = None) -> Progress:
    sources = [SourceProgress(source, 0, newest, at_end) for source, newest, at_end in entries]
    return Progress(at, COUNTS if counts is None else counts, sources)


def after(*reports: Progress) -> int | None:
    watermark = Watermark(LATENESS)
    for each in reports:
        before = watermark.value
        assert watermark.report(each) == (watermark.value != before)
    return watermark.value


T = LONG_AGO


@pytest.mark.parametrize(
    ("why", "entries", "value"),
    [
        (
            "the slowest holds, less the lateness",
            [(A, T + 9, False), (B, T, False), (C, T + 5, False)],
            T - 1_000,
        ),
        ("one at its end is left out", [(A, T, True), (B, T + 7_000, False), (C, T, True)], T + 6_000),
        ("an empty one at its end is left out", [(A, None, True), (B, T, False), (C, None, True)], T - 1_000),
        ("one that has read nothing yet holds all", [(A, None, False), (B, T, False), (C, T, True)], None),
        (
            "with all at their ends everything is complete",
            [(A, T, True), (B, T + 7, True), (C, None, True)],
            T + 7,
        ),
        ("with all empty there is no time", [(A, None, True), (B, None, True), (C, None, True)], None),
        ("nothing before all have reported", [(A, T, False), (B, T, False)], None),
        ("nothing, even from ends, before all have reported", [(A, T, True), (B, T, True)], None),
    ],
)
def test_what_one_report_says(why: str, entries: list[Entry], value: int | None) -> None:
    assert after(report(*entries)) == value, why
    assert after(*(report(entry) for entry in entries)) == value, f"{why}, one by one"


def test_silence_leaves_nobody_out() -> None:
    """A partition that nobody owns says nothing, like one in which nothing happens."""
    reports = [report((A, T, False), (B, T, False), (C, T, False))]
    reports += [report((B, T + n, False), (C, T + n, False), at=NOW + n) for n in range(0, 100_000, 1_000)]
    assert after(*reports) == T - LATENESS


def test_it_never_falls() -> None:
    start = [report((A, T + 5_000, False), (B, T + 5_000, False), (C, None, True))]
    # a new owner knows of no newest time, an old message comes, one at its end goes on
    assert after(*start, report((A, None, False))) == T + 4_000
    assert after(*start, report((A, T, False))) == T + 4_000
    assert after(*start, report((C, T, False))) == T + 4_000


def test_a_partition_that_was_added_is_waited_for() -> None:
    everyone: list[Entry] = [(A, T, False), (B, T, False), (C, T, False)]
    more = {"traces": 3, "feedback": 1}
    reports = [report(*everyone), report((A, T + 9_000, False), (B, T + 9_000, False), counts=more)]
    added = Source("s", "traces", 2)
    assert after(*reports, report((C, T + 9_000, False), counts=more)) == T - LATENESS
    reports.append(report((C, T + 9_000, False), (added, T + 8_000, False), counts=more))
    assert after(*reports) == T + 7_000


def test_a_new_life_of_a_topic_ends_the_old_one() -> None:
    everyone: list[Entry] = [(A, T, False), (B, T, False), (C, T, False)]
    new = [Source("s2", "traces", 0), Source("s2", "traces", 1)]
    reborn: list[Entry] = [(new[0], T + 9_000, False), (new[1], T + 8_000, False), (C, T + 9_000, False)]
    assert after(report(*everyone), report(*reborn)) == T + 7_000


def test_a_topic_that_was_made_again_with_fewer_partitions_waits_for_none_that_has_gone() -> None:
    """Neither partition 1, which was in the middle, nor a number that a worker of before still says."""
    everyone: list[Entry] = [(A, T, False), (B, T, False), (C, T, False)]
    new = Source("s2", "traces", 0)
    fewer = {"traces": 1, "feedback": 1}
    reborn: list[Entry] = [(new, T + 8_000, False), (C, T + 9_000, False)]
    assert after(report(*everyone), report(*reborn, counts=fewer)) == T + 7_000
    before = report((A, T, False), (C, T + 9_000, False))
    assert after(report(*everyone), report(*reborn, counts=fewer), before) == T + 7_000
    later = report((new, T + 12_000, False), (C, T + 12_000, False), counts=fewer)
    assert after(report(*everyone), before, report(*reborn, counts=fewer), before, later) == T + 11_000


def test_a_state_that_still_waits_for_a_life_that_is_over_is_mended() -> None:
    """As those were written that had not ended a life partition by partition."""
    watermark = Watermark(LATENESS)
    watermark.report(report((A, T, False), (B, T, False), (C, T, False)))
    state = watermark.snapshot()
    del state["ended"]
    state["partitions"]["traces"] = 1
    new = Source("s2", "traces", 0)
    state["sources"].append([list(new), T + 5_000, False])
    watermark.restore(orjson.loads(orjson.dumps(state)))
    fewer = {"traces": 1, "feedback": 1}
    assert watermark.report(report((new, T + 8_000, False), (C, T + 9_000, False), counts=fewer))
    assert watermark.value == T + 7_000


def test_a_worker_that_does_not_know_of_an_added_partition_takes_it_from_nobody() -> None:
    added = Source("s", "traces", 2)
    more = {"traces": 3, "feedback": 1}
    everyone: list[Entry] = [(A, T, False), (B, T, False), (added, T, False), (C, T, False)]
    unknowing = report((A, T + 9_000, False), (B, T + 9_000, False), (C, T + 9_000, False))
    assert after(report(*everyone, counts=more), unknowing) == T - LATENESS


def test_quiet_live_traffic_goes_on_with_the_clock() -> None:
    ends: list[Entry] = [(A, NOW - 10_000, True), (B, NOW - 5_000, True), (C, None, True)]
    assert after(report(*ends)) == NOW - 5_000, "nothing newer is known, and may be on its way"
    assert after(report(*ends), report(*ends, at=NOW + 90_000)) == NOW + 90_000 - QUIET_MS - LATENESS


def test_a_silence_of_everybody_is_seen_for_as_long_as_it_lasts() -> None:
    """Live once, live for good: an hour and a day of silence are event time like any other."""
    ends: list[Entry] = [(A, NOW - 10_000, True), (B, None, True), (C, None, True)]
    for later in (LIVE_MS + 1, 3_600_000, 86_400_000):
        assert after(report(*ends), report(*ends, at=NOW + later)) == NOW + later - QUIET_MS - LATENESS


def test_old_traffic_is_never_made_late_by_a_pause() -> None:
    ends: list[Entry] = [(A, NOW - LIVE_MS - 1, True), (B, None, True), (C, None, True)]
    assert after(report(*ends), report(*ends, at=NOW + 10**9)) == NOW - LIVE_MS - 1


def test_one_clock_that_is_ahead_makes_nobody_late() -> None:
    """An application five minutes ahead must not move time on for everybody else, quiet or not."""
    ahead = NOW + 300_000
    for at_end in (True, False):
        entries: list[Entry] = [(A, ahead, at_end), (B, NOW - 9_000, True), (C, None, True)]
        assert after(report(*entries)) == NOW - LATENESS
        assert after(report(*entries), report(*entries, at=ahead + 90_000)) == (
            ahead + 90_000 - LATENESS - QUIET_MS if at_end else ahead - LATENESS
        )


def test_a_trace_that_was_held_back_is_not_late_on_quiet_traffic() -> None:
    """One a minute, published half a minute after its time: event time waits for it."""
    watermark = Watermark(LATENESS)
    for minute in range(1, 30):
        time = NOW + 60_000 * minute
        for waited in (0, 10_000, 20_000, 29_000):
            watermark.report(
                report((A, time - 60_000, True), (B, None, True), (C, None, True), at=time + waited)
            )
        assert watermark.value is not None
        assert watermark.value < time


REPORTS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([A, B, C, A._replace(stream="s2")]),
            st.none() | st.integers(T, T + 50_000),
            st.booleans(),
        ),
        max_size=3,
    ),
    max_size=20,
)


@given(REPORTS, st.integers(0, 20))
def test_restored_anywhere_it_goes_on_alike_and_never_falls(
    reports: Sequence[list[Entry]], where: int
) -> None:
    whole, restored = Watermark(LATENESS), Watermark(LATENESS)
    values = []
    for number, entries in enumerate(reports):
        if number == where:
            state = orjson.loads(orjson.dumps(restored.snapshot()))
            restored = Watermark(LATENESS)
            restored.restore(state)
        message = report(*entries, at=NOW + number)
        assert whole.report(message) == restored.report(message)
        assert whole.value == restored.value
        values.append(whole.value)
    known = [value for value in values if value is not None]
    assert known == sorted(known)
    assert values[: len(values) - len(known)] == [None] * (len(values) - len(known))
