"""Segments of little traffic are watched together, whatever the batches and restarts."""

from __future__ import annotations

from random import Random

import pytest

from schemas.observation import (
    EVERY_ROUTE,
    Flag,
    Kind,
    ObservationBatch,
    PriceStatus,
    Profile,
    Progress,
    Row,
    Source,
    SourceProgress,
    TraceRow,
)
from schemas.signal import Recovery, Signal, SignalName
from streams.steps.ledger import Ledger, MemoryLedger
from streams.steps.owner import Owner, OwnerPolicy

SOURCE = Source("s", "traces", 0)
START = 1_772_323_200_000
DAY = 86_400_000
Told = Signal | Recovery


def traffic(routes: int, daily: int, days: int, bad_day: int, seed: int = 1, big: int = 0) -> list[TraceRow]:
    """``routes`` of ``daily`` traces; from ``bad_day`` on 1 in 6 has a broken schema, before 1 in 100."""
    random = Random(seed)
    rows = []
    volumes = [daily] * routes + ([big] if big else [])
    for at, many in enumerate(volumes):
        for _ in range(many * days):
            time = START + int(random.random() * days * DAY)
            bad = random.random() < (1 / 6 if time >= START + bad_day * DAY else 0.01)
            flags = Flag.SCHEMA_INVALID.value if bad else 0
            name = f"{random.getrandbits(64):016x}"
            rest = (None, f"u{random.randrange(300)}", flags, None, int(PriceStatus.NO_USAGE))
            row = (time, name, int(Kind.TRACE), 0, 0, 0, at, *rest, None, None, None, 1.0)
            rows.append(TraceRow(*row, *[None] * (len(TraceRow._fields) - len(row))))
    rows.sort()
    return [row._replace(offset=at) for at, row in enumerate(rows)]


def profiles(routes: int) -> list[Profile]:
    return [Profile("prod", name, model="m") for name in [f"r{at}" for at in range(routes)] + ["big"]]


def told(rows: list[TraceRow], routes: int, random: Random | None = None, big: bool = False) -> list[Told]:
    """What an owner says; with ``random`` in batches of any size, made anew of its state now and then."""
    entries: dict[str, bytes] = {}
    memory = MemoryLedger()
    owner = Owner(0, OwnerPolicy(), Ledger(memory))
    known = profiles(routes)
    if not big:
        known = known[:-1]
    said: list[Told] = []
    at = 0
    while at < len(rows):
        end = min(len(rows), at + (random.choice((3, 50, 400, 2_000)) if random else 500))
        part: list[Row] = list(rows[at:end])
        owner.absorb(ObservationBatch("app", [SOURCE], known, part))
        time = rows[end - 1].time
        owner.absorb(Progress(time, {"traces": 1}, [SourceProgress(SOURCE, end, time, False)]))
        at = end
        if random and random.random() < 0.3:
            said += [s for s in owner.take_outputs().signals if isinstance(s, Signal | Recovery)]
            for key, data in owner.changes().items():
                if data is None:
                    entries.pop(key, None)
                else:
                    entries[key] = data
            owner = Owner(0, OwnerPolicy(), Ledger(memory))
            owner.restore(entries)
    owner.finish(rows[-1].time + DAY)
    said += [s for s in owner.take_outputs().signals if isinstance(s, Signal | Recovery)]
    return said


def test_many_small_routes_see_together_what_none_sees_alone() -> None:
    rows = traffic(routes=20, daily=15, days=9, bad_day=7)
    said = [one for one in told(rows, 20) if isinstance(one, Signal)]
    assert {one.route for one in said} == {EVERY_ROUTE}, "no route has 200 conversations"
    first = said[0]
    assert first.signal in (SignalName.BROKEN_OUTPUT, SignalName.COST_PER_SUCCESS)
    assert START + 7 * DAY < first.detected_at < START + 7.5 * DAY
    assert first.cause is None, "all routes alike"


def test_healthy_small_routes_say_nothing() -> None:
    assert told(traffic(routes=20, daily=15, days=9, bad_day=99, seed=2), 20) == []


def test_one_small_route_is_no_pool_and_a_big_one_is_not_in_it() -> None:
    alone = told(traffic(routes=1, daily=90, days=8, bad_day=6, big=600), 1, big=True)
    assert alone
    assert EVERY_ROUTE not in {one.route for one in alone}
    # With two, a fault in the big one alone is not theirs.
    rows = traffic(routes=2, daily=90, days=8, bad_day=99, big=600)
    worse = [
        row._replace(flags=Flag.SCHEMA_INVALID.value)
        if row.profile == 2 and row.time > START + 7 * DAY and row.offset % 4 == 0
        else row
        for row in rows
    ]
    assert {one.route for one in told(worse, 2, big=True)} == {"big"}


@pytest.mark.parametrize("seed", range(4))
def test_batches_and_restarts_change_nothing(seed: int) -> None:
    rows = traffic(routes=12, daily=25, days=9, bad_day=7, seed=10 + seed)
    whole = told(rows, 12)
    assert any(one.route == EVERY_ROUTE for one in whole)
    again = told(rows, 12, Random(seed))
    assert sorted(again, key=lambda one: one.id) == sorted(whole, key=lambda one: one.id)
