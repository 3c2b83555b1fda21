"""``gleaner status --wait``: nothing left is believed only where nothing can be on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from streams import lag
from streams.lag import Look, settle, settled


def at(case_requests: int, cases: int = 0, behind: int = 0) -> Look:
    """A look at which two of the topics had so many records, and the store so many to do."""
    ends = {"case-requests": (case_requests, 0), "cases": (cases,)}
    return Look({"worker": {"case-requests": 0}, "store": {"cases": behind}}, ends)


def looks(*seen: Look) -> Callable[[], Awaitable[Look]]:
    left = list(seen)

    async def look() -> Look:
        return left.pop(0)

    return look


@pytest.mark.parametrize(
    ("before", "now", "is_settled"),
    [
        (at(1, 1), at(1, 1), True),
        (at(0, 0), at(1, 0), False),
        (at(1, 0), at(1, 1), False),
        (at(1, 1, behind=1), at(1, 1), False),
        (at(1, 1), at(1, 1, behind=1), False),
    ],
)
def test_two_looks_agree_that_nothing_moved(before: Look, now: Look, is_settled: bool) -> None:
    assert settled(before, now) is is_settled


async def test_a_case_on_its_way_between_the_roles_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look finds nothing: rolling sent a case request after the worker had been asked."""
    monkeypatch.setattr(lag, "PAUSE_SECONDS", 0.0)
    on_its_way: Sequence[Look] = (at(0), at(1), at(1, 1, behind=1), at(1, 1), at(1, 1))
    assert await settle(looks(*on_its_way), 60) == (at(1, 1), True)


async def test_a_look_that_takes_longer_than_the_time_is_given_up() -> None:
    async def never() -> Look:
        await asyncio.Event().wait()
        raise AssertionError

    assert await settle(never, 0.01) == (None, False)


async def test_the_newest_look_is_told_where_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "PAUSE_SECONDS", 3600.0)
    assert await settle(looks(at(1, 1)), 0.01) == (at(1, 1), False)


async def test_a_timeout_of_the_look_itself_is_no_answer() -> None:
    async def failing() -> Look:
        raise TimeoutError("a fault of the look's own")

    with pytest.raises(TimeoutError, match="own"):
        await settle(failing, 60)
