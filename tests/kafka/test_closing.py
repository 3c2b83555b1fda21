"""A consumer stops in whatever moment it is told to, and its stop is nobody's cancellation.

Where a test of aiokafka's own way fails, it has been corrected there, and that part of ``streams.closing``
can go.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams.closing import ORIGINAL_CLOSE, ORIGINAL_OFFSETS, correct_closing


@pytest.fixture(autouse=True)
def corrected() -> None:
    correct_closing()


async def pausing() -> Any:
    """A fetcher with fetches that pause after a failure, as ``Fetcher.close`` finds it."""
    tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(3)]
    await asyncio.sleep(0)
    return SimpleNamespace(
        _fetch_task=tasks[0], _fetch_waiters=set(), _pending_tasks=set(tasks[1:]), _closed=False
    )


async def test_a_fetch_that_pauses_is_cancelled_alone() -> None:
    fetcher = await pausing()
    tasks = [fetcher._fetch_task, *fetcher._pending_tasks]
    await Fetcher.close(fetcher)
    assert fetcher._closed
    assert all(task.cancelled() for task in tasks)


async def test_who_is_cancelled_while_it_closes_is_cancelled() -> None:
    stopping = asyncio.create_task(Fetcher.close(await pausing()))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping


async def test_aiokafkas_own_close_cancels_its_caller() -> None:
    fetcher = await pausing()
    with pytest.raises(asyncio.CancelledError):
        await ORIGINAL_CLOSE(fetcher)
    for task in fetcher._pending_tasks:
        task.cancel()


class Coordinator:
    """Of a consumer: no broker answers for the first ``failures`` times that it is asked for offsets."""

    _retry_backoff_ms = 1

    def __init__(self, failures: int) -> None:
        self.failures, self.asked = failures, 0
        self._closing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def ensure_coordinator_known(self) -> None:
        """Returns at once where it is closing, as the real one does."""

    async def _do_fetch_commit_offsets(self, partitions: list[int]) -> dict[int, int]:
        self.asked += 1
        if self.asked <= self.failures:
            raise GroupCoordinatorNotAvailableError
        return dict.fromkeys(partitions, 7)


async def test_offsets_are_asked_for_again_until_they_are_there() -> None:
    coordinator = Coordinator(failures=3)
    assert await GroupCoordinator.fetch_committed_offsets(coordinator, [1, 2]) == {1: 7, 2: 7}
    assert await GroupCoordinator.fetch_committed_offsets(coordinator, []) == {}
    assert coordinator.asked == 4


async def test_offsets_are_not_asked_for_again_by_who_is_closing() -> None:
    coordinator = Coordinator(failures=1_000_000)
    coordinator._closing.set_result(None)
    with pytest.raises(GroupCoordinatorNotAvailableError):
        await GroupCoordinator.fetch_committed_offsets(coordinator, [1])
    assert coordinator.asked == 1


async def test_aiokafkas_own_way_asks_for_ever() -> None:
    coordinator = Coordinator(failures=1_000_000)
    coordinator._closing.set_result(None)
    asking = asyncio.create_task(ORIGINAL_OFFSETS(coordinator, [1]))
    while coordinator.asked < 20:  # noqa: ASYNC110 - it counts, and tells nobody
        await asyncio.sleep(0.001)
    assert not asking.done()
    asking.cancel()
