"""Files of streams that have ended are removed, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from streams.state.base import Output
from streams.state.ended import name_of, remove_ended
from streams.state.rocks import RocksLedger
from streams.state.sqlite import SqliteState


async def nowhere(outputs: Sequence[Output]) -> None:
    pass


def ledger(folder: Path, topic: str, stream: str) -> RocksLedger:
    made = RocksLedger(folder / "ledger" / name_of(topic, stream, 0))
    made.write({1: {b"a": b"1"}, 2: {b"b": b"1"}}, 5)
    return made


def state(folder: Path, topic: str, stream: str) -> SqliteState:
    made = SqliteState(folder / "rolling" / f"{name_of(topic, stream, 0)}.sqlite", nowhere)
    asyncio.run(made.open())
    asyncio.run(made.commit(5, {"a": b"1"}, []))
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for part in ("ledger", "rolling") for path in (folder / part).iterdir())


def test_only_the_same_topics_other_streams_are_removed(tmp_path: Path) -> None:
    for topic, stream in [
        ("observations", "old"),
        ("observations", "now"),
        ("observations", "now-a"),
        ("blue.observations", "old"),
        ("observations.eu", "old"),
    ]:
        ledger(tmp_path, topic, stream).close()
        asyncio.run(state(tmp_path, topic, stream).close())
    (tmp_path / "ledger" / "old-0").mkdir()
    (tmp_path / "rolling" / "notes.txt").touch()
    removed = remove_ended(tmp_path, "observations", "now")
    gone = [f"observations@{one}-0{end}" for end in ("", ".sqlite") for one in ("now-a", "old")]
    assert removed == gone
    assert names(tmp_path) == sorted(
        [
            "notes.txt",
            "old-0",
            *(
                f"{one}{end}"
                for one in ("observations@now-0", "blue.observations@old-0", "observations.eu@old-0")
                for end in ("", ".sqlite")
            ),
        ]
    )
    assert remove_ended(tmp_path, "observations", "now") == []


def test_what_a_process_holds_stays_until_it_has_ended(tmp_path: Path) -> None:
    held, open_file = ledger(tmp_path, "observations", "old"), state(tmp_path, "observations", "old")
    assert remove_ended(tmp_path, "observations", "now") == []
    assert dict(held.lookups())[1](b"a") == b"1"
    asyncio.run(open_file.commit(9, {"a": b"2"}, []))
    held.close()
    asyncio.run(open_file.close())
    assert remove_ended(tmp_path, "observations", "now") == [
        "observations@old-0",
        "observations@old-0.sqlite",
    ]
    assert names(tmp_path) == []


def test_a_first_start_has_nothing_to_remove(tmp_path: Path) -> None:
    assert remove_ended(tmp_path / "none", "observations", "now") == []
