"""Collects a Faust stream's events, makes their effect durable, then acknowledges them in order.

Faust acknowledges what an agent's body leaves, exceptions included; so agents iterate ``noack()``
streams, hand every event to a batcher and let nothing out. The timer is a plain asyncio task: Faust's
own timers stop at SIGTERM, and the worker would then wait for ever for the last partial batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from streams.batches import give_up

log = logging.getLogger(__name__)

Durable = Callable[[Sequence[Any]], Awaitable[None]]
PAUSES = (0.2, 0.4, 0.8, 1.6)
"""Seconds between the attempts at a flush; after the last one the process exits, nothing acknowledged."""


class Batcher:
    """``durable`` gets the events of one flush in their order, and returns when their effect would
    survive a crash. Flushes are one at a time: the next one begins when the last is acknowledged.
    """

    def __init__(self, role: str, size: int, seconds: float, durable: Durable) -> None:
        self.role, self.size, self.seconds, self.durable = role, size, seconds, durable
        self._buffer: list[Any] = []
        self._flushing: list[Any] = []
        self._lock = asyncio.Lock()
        self._oldest = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the timer, once there is a running loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        """Stop the timer: after the stream has been emptied, when nothing is held any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def add(self, event: Any) -> None:
        """Take an event; waits while a full batch is flushed, which is the agent's back-pressure."""
        if not self._buffer:
            self._oldest = time.monotonic()
        self._buffer.append(event)
        if len(self._buffer) >= self.size:
            await self.flush()

    def holds(self, partition: Any) -> bool:
        """Whether an event of this partition is taken and not yet acknowledged."""
        return any(event.message.tp == partition for event in (*self._buffer, *self._flushing))

    async def flush(self) -> None:
        async with self._lock:  # swapping inside the lock keeps the order of offsets
            batch, self._buffer = self._buffer, []
            if not batch:
                return
            self._flushing = batch
            await self._durably(batch)
            for event in batch:
                event.ack()  # as the stream's own ack, past its sensors, which nobody reads
            self._flushing = []

    async def _durably(self, events: list[Any]) -> None:
        for pause in (*PAUSES, None):
            try:
                await self.durable(events)
                return
            except Exception:
                log.exception("%s: a flush of %d events failed", self.role, len(events))
                if pause is None:
                    give_up(self.role, f"a flush failed {len(PAUSES) + 1} times")
                await asyncio.sleep(pause)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self.seconds / 2)
            if self._buffer and time.monotonic() - self._oldest >= self.seconds:
                await self.flush()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Without its timer a worker would sit on a partial batch in silence.
        if not task.cancelled():
            give_up(self.role, f"the flush timer ended: {task.exception()!r}")


async def started(start: Awaitable[None], role: str) -> None:
    """Await what an agent needs before its first event; no exception may leave an agent's body."""
    try:
        await start
    except Exception as error:
        log.exception("%s: cannot start", role)
        give_up(role, f"cannot start: {error!r}")
