"""The sample of the smallest hashes: what it holds, in whatever order, and what of it changes."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.bottom_k import PARTS, SLACK, BottomK
from detectors.cost_reference import FREE, MINUTE_MS, log_cost
from schemas.base import EARLIEST_MS, LATEST_MS, MAX_AMOUNT

ENTRY = st.tuples(
    st.integers(0, 2**40 - 1),
    st.integers(-(2**27), 2**27 - 1),
    st.integers(EARLIEST_MS // MINUTE_MS, LATEST_MS // MINUTE_MS) | st.integers(-(2**35), 2**35 - 1),
)


@settings(deadline=None, max_examples=40)
@given(entries=st.lists(ENTRY, max_size=3 * SLACK, unique_by=lambda entry: entry[0]), order=st.randoms())
def test_it_holds_the_smallest_hashes_in_any_order(
    entries: list[tuple[int, int, int]], order: Random
) -> None:
    sample = BottomK(30)
    shuffled = list(entries)
    order.shuffle(shuffled)
    for entry in shuffled:
        sample.add(*entry)
    assert sample.entries() == sorted(entries)[:30]
    parts = {at: sample.part(at) for at, version in enumerate(sample.versions) if version}
    again = BottomK(30)
    again.restore(sample.limit, parts)
    assert again.entries() == sample.entries()


def test_any_accepted_price_and_time_fits() -> None:
    entries = [
        (key, logged, time // MINUTE_MS)
        for key, (logged, time) in enumerate(
            (logged, time)
            for logged in (FREE, log_cost(5e-324), log_cost(MAX_AMOUNT))
            for time in (EARLIEST_MS, -1, 0, LATEST_MS)
        )
    ]
    sample = BottomK(30)
    for entry in entries:
        sample.add(*entry)
    assert sample.entries() == entries


def test_an_entry_changes_one_part() -> None:
    sample = BottomK(1_000)
    for key in range(500):
        sample.add(key * 7, 0, key)
    before = list(sample.versions)
    sample.add(1_000_003, 5, 5)
    changed = [at for at in range(PARTS) if sample.versions[at] != before[at]]
    assert changed == [500 * PARTS // 1_000], "the eighth of sixteen: half of the sample is there"


def test_it_is_bounded_and_what_cannot_belong_to_it_changes_nothing() -> None:
    sample = BottomK(10)
    for key in range(10_000, 0, -1):
        sample.add(key, 0, 0)
    assert sum(len(sample.part(at)[0]) for at in range(PARTS)) < 10 + SLACK
    before = list(sample.versions)
    sample.add(9_999, 0, 0)
    assert sample.versions == before


def test_two_samples_never_share_a_version() -> None:
    """A sample that begins anew must be written, however few entries it has had."""
    one, other = BottomK(10), BottomK(10)
    one.add(16, 0, 0)
    other.add(16, 0, 0)
    assert one.versions[0] != other.versions[0]
