"""An application whose clock is ahead: its own events wait for their time, and nobody else's come late."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.observation import Progress, Source, SourceProgress
from streams.steps.ingest import IngestPolicy, Record, ingest
from streams.steps.pack import decode
from streams.steps.prices import Prices
from streams.steps.watermark import QUIET_MS, SKEW_MS
from tests.steps.logs import POLICY, absorbed

NOW = 1_772_438_400_000
SOURCES = [Source("s", "traces", partition) for partition in range(2)]
SECONDS = 240


class Live:
    """Two partitions of live traffic, flushed once a second as it comes."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.newest: dict[Source, int] = {}
        self._offset = 0

    def second(self, now: int, *events: tuple[str, int, int]) -> None:
        """``events`` are (app, event time, the record's own time), one of each in each partition."""
        self._offset += 1
        records = []
        for number, (app, time, stamped) in enumerate(events):
            for source in SOURCES:
                name = f"{app}-{source.partition}-{self._offset}-{number}"
                value = json.dumps({"trace_id": name, "timestamp": time, "app": app}).encode()
                offset = 10 * self._offset + number
                records.append(Record("s", "traces", source.partition, offset, stamped, value))
        done = ingest(records, IngestPolicy(), Prices(), now)
        for source, newest in done.newest.items():
            self.newest[source] = max(newest, self.newest.get(source, newest))
        self.messages += [decode(message) for _, message in done.observations]
        entries = [
            SourceProgress(source, 10 * self._offset, self.newest.get(source), not events)
            for source in SOURCES
        ]
        self.messages.append(Progress(now, {"traces": len(SOURCES)}, entries))

    def counters(self) -> dict[str, dict[str, int]]:
        return absorbed(self.messages, POLICY).counters


AHEAD = [
    pytest.param(240_000, 0, id="within five minutes"),
    pytest.param(3_600_000, 0, id="an hour, set to five minutes"),
    pytest.param(240_000, 240_000, id="its records are stamped by the same clock"),
    pytest.param(3_600_000, 3_600_000, id="an hour, and its records, too"),
]


@pytest.mark.parametrize(("ahead", "stamped"), AHEAD)
@pytest.mark.parametrize("steady", [False, True], ids=["once", "steady"])
def test_nobody_elses_traces_come_late(ahead: int, stamped: int, steady: bool) -> None:
    """Traces of ``good`` are three seconds old when they are published, as those that carry the time at
    which their request began."""
    live = Live()
    for second in range(SECONDS):
        now = NOW + 1_000 * second
        events = [("good", now - 3_000, now)]
        if second == 100 or (steady and second >= 100):
            events.insert(0, ("bad", now + ahead, now + stamped))
        live.second(now, *events)
    live.second(NOW + 1_000 * SECONDS + 2 * 3_600_000)
    counters = live.counters()
    assert counters["good"] == {"traces": 2 * SECONDS}
    assert counters["bad"] == {"traces": 2 * (SECONDS - 100 if steady else 1)}


def test_alone_it_is_a_minute_behind_and_never_stands_still() -> None:
    live = Live()
    for second in range(SECONDS):
        now = NOW + 1_000 * second
        live.second(now, ("bad", now + 60_000, now))
        assert set(live.newest.values()) == {now - QUIET_MS}


def test_clocks_that_differ_a_little_hold_nothing_back() -> None:
    live = Live()
    live.second(NOW, ("shop", NOW + SKEW_MS, NOW))
    assert set(live.newest.values()) == {NOW}
    live.second(NOW + 500, ("shop", NOW + 400, NOW + 10_000))
    assert set(live.newest.values()) == {NOW + 400}, "an older trace is taken at its word"


def test_the_past_is_taken_at_its_word() -> None:
    """Last month's events, published now."""
    live = Live()
    live.second(NOW, ("shop", NOW - 30 * 86_400_000, NOW))
    assert set(live.newest.values()) == {NOW - 30 * 86_400_000}
