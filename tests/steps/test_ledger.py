"""The ledger: who won an identity, what is known of a trace, which turn of a conversation is the first."""

from __future__ import annotations

from itertools import permutations

import pytest

from schemas.identity import Coordinates
from schemas.observation import Flag, ObservationBatch, Profile, Row
from streams.steps.ledger import Conversation, Ledger, MemoryLedger
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
    ledger.flush(7)
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
            ledger.fold(batch)
        ledger.flush(1)
    assert {key: once.get(key) for key in once} == {key: twice.get(key) for key in twice}
    known = Ledger(once).trace("a", "t")
    assert known is not None
    assert known.at.offset == 1
