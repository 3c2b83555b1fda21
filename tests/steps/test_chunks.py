"""What is in flight survives in chunks: written once, read back exactly, deleted when it is passed."""

from __future__ import annotations

from random import Random

import pytest

from schemas.observation import Flag
from streams.steps import chunks
from streams.steps.owner import Owner
from tests.steps.logs import MINUTE, POLICY, Log, feedback, fresh, score, trace


def written(owner: Owner, entries: dict[str, bytes]) -> tuple[set[str], set[str]]:
    """Apply the owner's changes to ``entries``; the chunks that were written and deleted."""
    changes = owner.changes()
    for key, value in changes.items():
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value
    ours = {key: value for key, value in changes.items() if key.startswith(chunks.PREFIX)}
    return (
        {key for key, value in ours.items() if value is not None},
        {key for key, value in ours.items() if value is None},
    )


def restored(entries: dict[str, bytes], owner: Owner) -> Owner:
    again = Owner(0, POLICY, owner.ledger)
    again.restore(dict(entries))
    return again


def absorb(owner: Owner, log: Log) -> None:
    for message in log.messages:
        owner.absorb(message)
    log.messages.clear()


def test_what_is_pending_is_written_once_and_goes_when_it_is_passed() -> None:
    owner, log = fresh(), Log()
    entries: dict[str, bytes] = {}
    absorb(owner, log.rows(trace(0, "a"), trace(1, "b")))
    first, _ = written(owner, entries)
    assert len(first) == 1
    assert written(owner, entries) == (set(), set()), "what has not changed was written again"
    absorb(owner, log.rows(trace(2, "c")))
    second, deleted = written(owner, entries)
    assert (len(second), deleted) == (1, set())
    absorb(owner, log.ended())
    third, deleted = written(owner, entries)
    assert deleted == first | second, "the watermark has passed them"
    assert len(third) == 1, "their conversations are open"
    absorb(owner, log.rows(trace(20 * MINUTE, "z")).ended())
    fourth, deleted = written(owner, entries)
    assert third <= deleted
    assert [key for key in entries if key.startswith(chunks.PREFIX)] == sorted(fourth)


def test_rows_that_come_and_go_between_two_commits_are_never_written() -> None:
    owner, log = fresh(), Log()
    absorb(owner, log.rows(*(trace(n, f"t{n}") for n in range(50))))
    absorb(owner, log.rows(trace(60 * MINUTE, "z")).ended())
    entries: dict[str, bytes] = {}
    new, _ = written(owner, entries)
    (chunk,) = new
    assert b"t7" not in entries[chunk]


def test_a_score_that_is_awaited_keeps_its_chunk_until_it_has_come() -> None:
    owner, log = fresh(), Log()
    entries: dict[str, bytes] = {}
    asked = [trace(n, f"t{n}", flags=Flag.SCORE_REQUESTED.value) for n in range(3)]
    absorb(owner, log.rows(*asked, trace(40 * MINUTE, "y")).ended())
    new, _ = written(owner, entries)
    absorb(owner, log.rows(score("t1", 0.5), score("t2", 0.5)))
    more, deleted = written(owner, entries)
    assert more
    assert not deleted
    owner = restored(entries, owner)
    assert [item.result is not None for item in owner.apps["app"].scores] == [False, True, True]
    absorb(owner, log.rows(score("t0", 0.5)).rows(trace(80 * MINUTE, "z")).ended())
    _, deleted = written(owner, entries)
    assert deleted >= new | more


def test_many_items_are_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ITEMS", 7)
    owner, log, rng = fresh(), Log(), Random(1)
    entries: dict[str, bytes] = {}
    rows = [trace(rng.randrange(MINUTE), f"t{n}", flags=Flag.SCORE_REQUESTED.value) for n in range(100)]
    absorb(owner, log.rows(*rows).rows(feedback(5, "t5"), feedback(2 * MINUTE, "t7")))
    new, _ = written(owner, entries)
    assert len(new) == 15
    again = restored(entries, owner)
    tail = Log().rows(trace(60 * MINUTE, "z")).ended().messages
    for message in tail:
        owner.absorb(message)
        again.absorb(message)
    mine, theirs = owner.take_outputs(), again.take_outputs()
    assert mine.cases == theirs.cases
    assert mine.signals == theirs.signals
    assert len(mine.cases) == 2
    written(again, entries)
    assert [key for key in entries if key.startswith(chunks.PREFIX)], "a hundred scores are awaited"


def test_chunks_are_read_in_the_order_in_which_they_were_written() -> None:
    """An item that changed stands in two chunks: the later one counts, whatever the names' digits."""
    owner, log = fresh(), Log()
    entries: dict[str, bytes] = {}
    for number in range(12):
        absorb(owner, log.rows(trace(number, f"t{number}", conversation="c")))
        written(owner, entries)
    absorb(owner, log.ended())
    written(owner, entries)
    absorb(owner, log.rows(feedback(MINUTE, "t3")).ended())
    written(owner, entries)
    again = restored(dict(sorted(entries.items(), reverse=True)), owner)
    assert again.apps["app"].conversations.outcomes.keys() == {"c:c"}
