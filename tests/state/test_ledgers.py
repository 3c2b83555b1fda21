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


def test_what_is_written_is_read(make: Callable[[], LedgerStore]) -> None:
    store = make()
    assert store.position() == 0
    assert store.get(b"a") is None
    store.write({b"a": b"1", b"b\x00\xff": b""}, 5)
    store.write({b"a": b"2"}, 9)
    assert (store.get(b"a"), store.get(b"b\x00\xff"), store.get(b"c")) == (b"2", b"", None)
    assert store.position() == 9
    store.write({}, 12)
    assert store.position() == 12


def test_it_survives_its_process(tmp_path: Path) -> None:
    first = RocksLedger(tmp_path / "ledger")
    first.write({b"a": b"1"}, 5)
    first.close()
    again = RocksLedger(tmp_path / "ledger")
    assert (again.get(b"a"), again.position()) == (b"1", 5)
    again.close()


def test_a_predecessor_that_still_holds_its_slot_is_no_obstacle(tmp_path: Path) -> None:
    frozen = RocksLedger(tmp_path / "ledger")
    frozen.write({b"a": b"1"}, 5)
    successor = RocksLedger(tmp_path / "ledger")
    assert (successor.get(b"a"), successor.position()) == (None, 0)
    successor.write({b"b": b"1"}, 7)
    assert frozen.get(b"b") is None
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
        "ledger.write({b'a': b'1'}, 7); os._exit(9)"
    )
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path / "ledger")], check=False)
    assert died.returncode == 9
    ledger = RocksLedger(tmp_path / "ledger")
    assert (ledger.get(b"a"), ledger.position()) == kept
    ledger.close()
