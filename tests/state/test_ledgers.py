"""The ledger's stores: one contract; and the disk one's slots, which a frozen predecessor cannot block."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.state.rocks import SLOTS, RocksLedger
from streams.steps.ledger import LedgerStore, MemoryLedger


@pytest.fixture(params=["memory", "rocks"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], LedgerStore]:
    return MemoryLedger if request.param == "memory" else lambda: RocksLedger(tmp_path / "ledger")


def get(store: LedgerStore, key: bytes) -> bytes | None:
    return next((found for _, lookup in store.lookups() if (found := lookup(key)) is not None), None)


def test_what_is_written_is_read(make: Callable[[], LedgerStore]) -> None:
    store = make()
    assert store.position() == 0
    assert get(store, b"a") is None
    store.write({7: {b"a": b"1", b"b\x00\xff": b""}}, 5)
    store.write({7: {b"a": b"2"}}, 9)
    assert (get(store, b"a"), get(store, b"b\x00\xff"), get(store, b"c")) == (b"2", b"", None)
    assert store.position() == 9
    store.write({}, 12)
    assert store.position() == 12


def test_buckets_are_asked_the_newest_first_and_dropped_whole(make: Callable[[], LedgerStore]) -> None:
    store = make()
    store.write({-5: {b"a": b"old", b"b": b"old"}, 10: {b"a": b"new"}}, 5)
    assert [bucket for bucket, _ in store.lookups()] == [10, -5]
    assert (get(store, b"a"), get(store, b"b")) == (b"new", b"old")
    store.drop(-5)
    assert [bucket for bucket, _ in store.lookups()] == [10]
    assert (get(store, b"a"), get(store, b"b"), store.position()) == (b"new", None, 5)


def test_it_survives_its_process(tmp_path: Path) -> None:
    first = RocksLedger(tmp_path / "ledger")
    first.write({1: {b"a": b"0"}, 2: {b"a": b"1"}, 3: {b"b": b"2"}}, 5)
    first.drop(1)
    first.close()
    again = RocksLedger(tmp_path / "ledger")
    assert [bucket for bucket, _ in again.lookups()] == [3, 2]
    assert (get(again, b"a"), get(again, b"b"), again.position()) == (b"1", b"2", 5)
    again.close()


def test_a_predecessor_that_still_holds_its_slot_is_no_obstacle(tmp_path: Path) -> None:
    frozen = RocksLedger(tmp_path / "ledger")
    frozen.write({1: {b"a": b"1"}}, 5)
    successor = RocksLedger(tmp_path / "ledger")
    assert (get(successor, b"a"), successor.position()) == (None, 0)
    successor.write({1: {b"b": b"1"}}, 7)
    assert get(frozen, b"b") is None
    frozen.close()
    after = RocksLedger(tmp_path / "ledger")
    assert after.position() == 5, "the first free slot, rebuilt from where it stands"
    after.close()
    successor.close()


def test_too_many_predecessors_are_said(tmp_path: Path) -> None:
    held = [RocksLedger(tmp_path / "ledger") for _ in range(SLOTS)]
    with pytest.raises(RuntimeError, match="all held"):
        RocksLedger(tmp_path / "ledger")
    for store in held:
        store.close()


@pytest.mark.parametrize(("logged", "kept"), [(True, (b"1", 7)), (False, (None, 0))])
def test_a_crash_takes_what_is_not_logged_and_the_position_with_it(
    tmp_path: Path, logged: bool, kept: tuple[bytes | None, int]
) -> None:
    """Then the ledger's missing part is read again; the embedded broker could not give it back."""
    program = (
        "import os, pathlib, sys; from streams.state.rocks import RocksLedger;"
        f"ledger = RocksLedger(pathlib.Path(sys.argv[1]), logged={logged});"
        "ledger.write({1: {b'a': b'1'}}, 7); os._exit(9)"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path / "ledger")], check=False)
    assert died.returncode == 9
    ledger = RocksLedger(tmp_path / "ledger")
    assert (get(ledger, b"a"), ledger.position()) == kept
    ledger.close()


def test_a_crash_leaves_no_position_without_its_identities(tmp_path: Path) -> None:
    """Several memtables of several buckets have been flushed by themselves when it dies."""
    program = (
        "import os, pathlib, sys; from streams.state.rocks import RocksLedger;"
        "ledger = RocksLedger(pathlib.Path(sys.argv[1]));"
        "[ledger.write({n % 2: {b'%d-%d' % (n, i): b'x' * 500 for i in range(300)}}, n + 1)"
        " for n in range(600)]; os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path / "l")], check=False).returncode == 9
    ledger = RocksLedger(tmp_path / "l")
    reached = ledger.position()
    assert 0 < reached < 600, "something was flushed, and something was lost"
    assert all(get(ledger, b"%d-%d" % (n, i)) for n in range(reached) for i in range(300))
    ledger.close()
