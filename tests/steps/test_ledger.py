"""The ledger: who won an identity, what is known of a trace, which turn of a conversation is the first."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.identity import Coordinates
from schemas.observation import Flag, ObservationBatch, Profile, Row
from streams.steps.ledger import Conversation, Ledger, MemoryLedger, Rebuild
from streams.steps.watermark import Watermark
from tests.steps.logs import T0, TRACES, feedback, trace

HERE, THERE = Coordinates("s", "traces", 0, 1), Coordinates("s", "traces", 1, 1)


def test_the_first_wins_and_says_so_again() -> None:
    ledger = Ledger(MemoryLedger())
    row = trace(5, "t", conversation="c", cost=1.5)
    assert ledger.add_trace("a", row, HERE, Profile("prod", "chat"))
    assert ledger.add_trace("a", row, HERE, Profile())
    assert not ledger.add_trace("a", row, THERE, Profile())
    known = ledger.trace("a", "t")
    assert known is not None
    assert (known.at, known.time, known.environment, known.route) == (HERE, T0 + 5, "prod", "chat")
    assert (known.conversation_id, known.cost, known.price) == ("c", 1.5, 0)
    assert ledger.add("f", HERE)
    assert ledger.add("f", HERE)
    assert not ledger.add("f", THERE)


def test_names_never_meet() -> None:
    """Not over apps, not over kinds, not where an app's name ends like a trace's begins."""
    ledger = Ledger(MemoryLedger())
    assert ledger.add_trace("a", trace(0, "b1"), HERE, Profile())
    assert ledger.trace("ab", "1") is None
    assert ledger.trace("a", "b") is None
    with pytest.raises(AssertionError):
        ledger.conversation("a", "b1")
    assert ledger.trace("1:a", "b1") is None
    assert ledger.add_trace("ab", trace(0, "1"), THERE, Profile())


def test_what_is_not_flushed_is_read_and_what_is_flushed_stays() -> None:
    store = MemoryLedger()
    ledger = Ledger(store)
    ledger.add("one", HERE)
    ledger.flush(7, Watermark(0), {})
    ledger.add("two", HERE)
    assert not ledger.add("one", THERE)
    assert not ledger.add("two", THERE)
    assert ledger.position == 7
    survivor = Ledger(store)
    assert not survivor.add("one", THERE)
    assert survivor.add("two", THERE)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_first_turn_is_that_of_time_whatever_comes_first(order: tuple[int, ...]) -> None:
    turns = [
        trace(0, "x", conversation="c"),
        trace(5, "z", conversation="c", faithfulness=0.5),
        trace(5, "y", conversation="c", flags=Flag.SCORE_REQUESTED.value),
    ]
    ledger = Ledger(MemoryLedger())
    for number in order:
        ledger.note_turn("a", turns[number])
    assert ledger.conversation("a", "c") == Conversation(T0, (T0 + 5, "y"))


def test_folding_a_batch_twice_is_folding_it_once() -> None:
    first = trace(0, "t", conversation="c", offset=1)
    rows: list[Row] = [first, trace(0, "t", offset=2), feedback(1, "t", offset=3)]
    batch = ObservationBatch("a", [TRACES[0]], [Profile()], rows)
    once, twice = MemoryLedger(), MemoryLedger()
    for store, times in ((once, 1), (twice, 2)):
        ledger = Ledger(store)
        for _ in range(times):
            Rebuild(ledger, 0).absorb(batch)
        ledger.flush(1, Watermark(0), {})
    (kept,), (again,) = once.lookups(), twice.lookups()
    assert set(once) == set(twice)
    assert {key: kept[1](key) for key in once} == {key: again[1](key) for key in twice}
    known = Ledger(once).trace("a", "t")
    assert known is not None
    assert known.at.offset == 1


# -- forgetting ----------------------------------------------------------------------------------------

DAY = 86_400_000
HORIZON = 10 * DAY
START = T0 - T0 % HORIZON


def at(day: float) -> int:
    """A time so many days after the beginning of a bucket, as ``trace`` takes it."""
    return START - T0 + int(day * DAY)


def known(ledger: Ledger, *names: str) -> list[str]:
    return [name for name in names if ledger.trace("a", name) is not None]


def claim(ledger: Ledger, name: str, day: float, where: Coordinates = HERE) -> bool:
    """By way of the many, or of the few, which must be the same."""
    row = trace(at(day), name, conversation="c")
    ledger.reach([row])
    if ledger.add_traces("a", [row], [where], [Profile()]):
        return True
    if not ledger.add_trace("a", row, where, Profile()):
        return False
    ledger.note_turn("a", row)
    return True


@pytest.mark.parametrize("flushed", [True, False])
def test_an_identity_is_forgotten_a_horizon_after_the_next_bucket_began(flushed: bool) -> None:
    ledger = Ledger(MemoryLedger(), HORIZON)
    assert claim(ledger, "x", 1)
    assert claim(ledger, "y", 9.9)
    if flushed:
        ledger.flush(1, Watermark(0), {})
    assert claim(ledger, "z", 10)
    ledger.forget(START + 20 * DAY - 1)
    assert known(ledger, "x", "y", "z") == ["x", "y", "z"]
    assert not claim(ledger, "w", 1) or known(ledger, "w"), "late ones are claimed, too"
    ledger.forget(START + 20 * DAY)
    assert known(ledger, "x", "y", "z", "w") == ["z", "w"]
    assert claim(ledger, "x", 20, THERE), "what comes again after that is new"


@pytest.mark.parametrize("crashed", [True, False])
def test_what_is_forgotten_is_deleted_when_it_is_written_down(crashed: bool) -> None:
    """Not before: a state that is older than the deletion must find what it knew."""
    store = MemoryLedger()
    ledger = Ledger(store, HORIZON)
    claim(ledger, "x", 1)
    ledger.flush(1, Watermark(0), {})
    claim(ledger, "z", 11)
    ledger.flush(2, Watermark(0), {})
    ledger.forget(START + 20 * DAY)
    assert known(ledger, "x", "z") == ["z"]
    assert known(Ledger(store, HORIZON), "x", "z") == ["x", "z"]
    if crashed:
        ledger = Ledger(store, HORIZON)
        ledger.forget(START + 20 * DAY)
        assert known(ledger, "x", "z") == ["z"]
    ledger.flush(3, Watermark(0), {})
    assert len(store.lookups()) == 1
    assert known(Ledger(store, HORIZON), "x", "z") == ["z"]


def test_it_does_not_grow_with_the_days() -> None:
    store = MemoryLedger()
    ledger, most = Ledger(store, HORIZON), 0
    for day in range(200):
        assert claim(ledger, f"t{day}", day)
        ledger.add(f"feedback {day}", HERE)
        ledger.forget(START + day * DAY)
        ledger.flush(day, Watermark(0), {})
        assert all(ledger.trace("a", f"t{back}") for back in range(max(day - 10, 0), day))
        most = max(most, len([key for key in store if key[:1] in (b"t", b"i")]))
    assert most == 2 * 20, "two horizons of one trace and one feedback a day"


def test_after_a_month_of_silence_nothing_new_is_forgotten() -> None:
    """Rows are claimed under the watermark of the month before, which then takes one step."""
    ledger = Ledger(MemoryLedger(), HORIZON)
    claim(ledger, "old", 0)
    ledger.add("feedback", HERE)
    ledger.flush(1, Watermark(0), {})
    claim(ledger, "new", 45)
    ledger.forget(START + 45 * DAY)
    assert known(ledger, "old", "new") == ["old", "new"]
    ledger.forget(START + 50 * DAY)
    assert known(ledger, "old", "new") == ["new"]


def test_one_event_of_the_future_forgets_nobody() -> None:
    """One partition may be read months ahead of another, whose events hold the watermark."""
    ledger = Ledger(MemoryLedger(), HORIZON)
    for month in range(6):
        claim(ledger, f"t{month}", 30 * month)
        ledger.forget(START)
    assert known(ledger, *(f"t{month}" for month in range(6))) == [f"t{month}" for month in range(6)]


def test_a_conversation_is_known_for_as_long_as_it_goes_on() -> None:
    """And a trace for no longer, however often it comes again."""
    ledger = Ledger(MemoryLedger(), HORIZON)
    claim(ledger, "x", 1)
    ledger.flush(1, Watermark(0), {})
    claim(ledger, "y", 11)
    assert not claim(ledger, "x", 12, THERE)
    ledger.forget(START + 20 * DAY)
    assert known(ledger, "x", "y") == ["y"]
    assert ledger.conversation("a", "c").first_time == START + DAY
    claim(ledger, "z", 21)
    ledger.forget(START + 30 * DAY)
    assert known(ledger, "y", "z") == ["z"]
    assert ledger.conversation("a", "c").first_time == START + DAY
    ledger.reach([trace(at(31), "other")])
    ledger.add("f", HERE)
    ledger.forget(START + 40 * DAY)
    with pytest.raises(AssertionError):
        ledger.conversation("a", "c")
