"""The largest values that are accepted leave a state that can be written, read and gone on with."""

from __future__ import annotations

import orjson
import pytest

from schemas.base import EARLIEST_MS, LATEST_MS, MAX_AMOUNT
from schemas.codec import encode
from schemas.observation import Progress, Source, SourceProgress
from schemas.signal import WindowStat
from streams.steps.ingest import Flushed, IngestPolicy, Record, ingest
from streams.steps.ledger import Ledger, MemoryLedger
from streams.steps.owner import Owner, OwnerPolicy
from streams.steps.pack import decode
from streams.steps.prices import Prices

T = 1_772_323_200_000
SOURCE = Source("s", "traces", 0)


def read(first: int, many: int, **fields: object) -> Flushed:
    records = [
        Record(
            "s",
            "traces",
            0,
            at,
            T,
            orjson.dumps({"trace_id": f"t{at}", "timestamp": T + 1_000 * at, **fields}),
        )
        for at in range(first, first + many)
    ]
    return ingest(records, IngestPolicy(), Prices())


def feed(owner: Owner, flushed: Flushed, upto: int) -> None:
    for _, message in flushed.observations:
        owner.absorb(decode(message))
    at = T + 1_000 * upto
    owner.absorb(Progress(at, {"traces": 1}, [SourceProgress(SOURCE, upto, at, False)]))


@pytest.mark.parametrize("field", ["cost_usd", "latency_ms", "time_to_first_token_ms"])
def test_what_is_larger_is_refused_and_named(field: str) -> None:
    flushed = read(0, 1, **{field: 1e308})
    (letter,) = flushed.dead_letters
    assert letter.field == field
    assert "less than or equal to" in letter.message


def test_the_largest_can_be_summed_written_and_restored() -> None:
    largest = {
        "cost_usd": MAX_AMOUNT,
        "latency_ms": MAX_AMOUNT,
        "time_to_first_token_ms": MAX_AMOUNT,
        "input_tokens": 2**53,
        "output_tokens": 2**53,
        "scores": {"faithfulness": 1.0},
    }
    owner = Owner(0, OwnerPolicy(), Ledger(MemoryLedger()))
    feed(owner, read(0, 1_200, **largest), 1_300)
    signals = owner.take_outputs().signals
    windows = [signal for signal in signals if isinstance(signal, WindowStat)]
    assert windows
    for window in windows:
        assert WindowStat.model_validate_json(encode(window)) == window
    entries = {key: data for key, data in owner.changes().items() if data is not None}
    again = Owner(0, OwnerPolicy(), Ledger(MemoryLedger()))
    again.restore(entries)
    for one in (owner, again):
        feed(one, read(1_300, 1_200, **largest), 3_500)
    assert [encode(s) for s in again.take_outputs().signals] == [
        encode(s) for s in owner.take_outputs().signals
    ]
    assert again.changes().keys() == owner.changes().keys()


@pytest.mark.parametrize("time", [EARLIEST_MS, -1, LATEST_MS])
def test_any_accepted_time_is_learned_from(time: int) -> None:
    """In files: live, a broker's clock bounds it. The year 9999 is a usual word for "no date"."""
    events = [(f"t{at}", time if at == 3 else T + 1_000 * at) for at in range(6)]
    records = [
        Record(
            "s",
            "traces",
            0,
            at,
            when,
            orjson.dumps({"trace_id": name, "timestamp": when, "cost_usd": 0.01, "latency_ms": 5}),
        )
        for at, (name, when) in enumerate(events)
    ]
    owner = Owner(0, OwnerPolicy(), Ledger(MemoryLedger(), OwnerPolicy().join_horizon_ms))
    for _, message in ingest(records, IngestPolicy(), Prices()).observations:
        owner.absorb(decode(message))
    owner.finish(max(when for _, when in events))
    (app,) = owner.apps.values()
    assert app.counters["traces"] == 6
    (segment,) = app.segments.values()
    monitor = segment.monitors.monitors.get("cost_per_success")
    assert monitor is not None
    assert monitor.track.n == 6
    again = Owner(0, OwnerPolicy(), Ledger(MemoryLedger(), OwnerPolicy().join_horizon_ms))
    again.restore({key: data for key, data in owner.changes().items() if data is not None})
    assert again.apps["default"].segments.keys() == app.segments.keys()
