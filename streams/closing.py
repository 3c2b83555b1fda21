"""Two corrections of aiokafka 0.14: a consumer's stop comes to its end, and is nobody's cancellation.

``GroupCoordinator.fetch_committed_offsets`` tries again until it succeeds, also once the consumer is closing,
when no coordinator is looked for any more. Faust asks for these offsets as it stops in the moment after a
rebalance: such a worker stayed for ever, told to stop, and kept its partitions.

``Fetcher.close`` cancels what is under way and awaits it. A fetch that pauses after a failure, or that looks
for its position after a rebalance, ends by ``CancelledError``, which goes out through
``AIOKafkaConsumer.stop`` and cancels whoever stops the consumer: a role ended with a traceback.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import KafkaError


async def _fetch_committed_offsets(self: Any, partitions: Any) -> Any:
    """As aiokafka's own, but raises the error, and tries no more, once the coordinator is closing."""
    while partitions:
        await self.ensure_coordinator_known()
        try:
            return await self._do_fetch_commit_offsets(partitions)
        except KafkaError as error:
            if not error.retriable or self._closing.done():
                raise
            await asyncio.sleep(self._retry_backoff_ms / 1000)
    return {}


async def _close(self: Any) -> None:
    """``Fetcher.close``, which ends by a cancellation only where it is cancelled itself."""
    under_way = {self._fetch_task, *self._pending_tasks}
    for task in under_way:
        task.cancel()
    await asyncio.wait(under_way)
    self._pending_tasks.clear()
    await ORIGINAL_CLOSE(self)


ORIGINAL_CLOSE = Fetcher.close
ORIGINAL_OFFSETS = GroupCoordinator.fetch_committed_offsets


def correct_closing() -> None:
    """Before a consumer is made; a second time changes nothing."""
    Fetcher.close = _close
    GroupCoordinator.fetch_committed_offsets = _fetch_committed_offsets
