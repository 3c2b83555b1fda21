"""Reads of the live rows beside the writer: one state each, an end in time, room for what must be alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sinks.evalstore import StoreOwner
from sinks.evalstore.errors import BadQuery, StoreBusy
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH

COUNT = "SELECT count(*) FROM cases"


def test_a_read_sees_one_state_and_the_next_one_what_was_committed(tmp_path: Path) -> None:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        owner.write([failure(1)], now=MARCH)
        with owner.readers.reading() as con:
            assert con.execute(COUNT).fetchone() == (1,)
            owner.write([failure(2)], now=MARCH)
            assert con.execute(COUNT).fetchone() == (1,), "not half way through"
            assert con.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)
        with owner.readers.reading() as con:
            assert con.execute(COUNT).fetchone() == (2,)


def test_a_read_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        endless = "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range + b.range < 0"
        with pytest.raises(BadQuery, match=r"longer than 0\.1 s"), owner.readers.reading(0.1) as con:
            con.execute(endless).fetchall()
        with owner.readers.reading() as con:
            assert con.execute(COUNT).fetchone() == (0,)


def test_a_checkpoint_waits_for_readers_and_new_ones_for_it(tmp_path: Path) -> None:
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        order: list[str] = []
        alone = threading.Event()

        def checkpoint() -> None:
            with owner.readers.alone():
                order.append("alone")
                alone.set()

        with owner.readers.reading():
            waiting = threading.Thread(target=checkpoint)
            waiting.start()
            assert not alone.wait(0.05)
            order.append("read")
        waiting.join()
        assert order == ["read", "alone"]


def test_a_closed_store_is_read_by_nobody(tmp_path: Path) -> None:
    owner = StoreOwner.open(tmp_path / "store.duckdb")
    owner.close()
    with pytest.raises(StoreBusy), owner.readers.reading():
        pytest.fail("was read")
    owner.close()
