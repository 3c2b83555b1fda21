"""What reviewers say of scorers, from the store to whoever quotes it: on the topic ``calibrations``.

The store's owner reads it from its own tables and publishes it whole when it has changed, and once an hour,
so that a reader that has lost its file knows it again. Alerts never wait for it, and never read the store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from aiokafka.errors import KafkaError

from schemas.calibration import Calibration, Calibrations
from streams.wall import now_ms

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
"""Between two looks: so old a quoted figure may be."""
SHARE = 0.01
"""Of the time at most, however large the store has become: looks then come less often."""
AGAIN_SECONDS = 3_600.0

Figures = tuple[Calibration, ...]


class CalibrationRun:
    """Publishes what ``read`` finds by ``send``; ``clock`` in seconds, ``wall`` in epoch ms."""

    def __init__(
        self,
        read: Callable[[], Awaitable[Figures]],
        send: Callable[[Calibrations], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = now_ms,
    ) -> None:
        self.read, self.send, self.clock, self.wall = read, send, clock, wall
        self.next_look = self.sent_at = float("-inf")
        self.sent: Figures | None = None

    async def step(self) -> None:
        """Looks, if it is time to, and publishes what is new. A failure waits for the next look."""
        began = self.clock()
        if began < self.next_look:
            return
        self.next_look = began + EVERY_SECONDS
        try:
            found = await self.read()
            now = self.clock()
            self.next_look = now + max(EVERY_SECONDS, (now - began) / SHARE)
            if found != self.sent or now - self.sent_at >= AGAIN_SECONDS:
                await self.send(Calibrations(at=self.wall(), figures=found))
                self.sent, self.sent_at = found, now
        except KafkaError as error:
            log.warning("store: calibrations were not published (%s): later", type(error).__name__)
        except Exception:
            log.exception("store: calibrations were not read: later; storing goes on")
