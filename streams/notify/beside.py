"""What goes on beside the batches, each in a task of its own: a slow Slack holds up no signal."""

from __future__ import annotations

import asyncio
import logging

from sinks.delivery import Delivery
from sinks.slack.charts import Charts
from sinks.slack.desk import Desk
from streams.wall import now_ms

log = logging.getLogger(__name__)

TICK_SECONDS = 0.2
STOP_SECONDS = 5.0
CHART_SECONDS = 0.5
"""Between two calls for charts, so that they take little of what Slack allows a channel."""


async def deliver(delivery: Delivery, stop: asyncio.Event) -> None:
    """Delivery beside the batches: a slow Slack holds up no signal."""
    while not stop.is_set():
        try:
            await delivery.step(now_ms())
        except Exception:
            # Whatever it is, the rows are still owed; the next tick finds them.
            log.exception("notify: delivery failed, goes on")
            await _pause(stop, 2.0)
        await _pause(stop, TICK_SECONDS)


async def answer(desk: Desk | None, stop: asyncio.Event) -> None:
    """Words to people who clicked, beside the delivery: no page waits until Slack has taken them."""
    while desk is not None and not stop.is_set():
        try:
            await desk.answer()
        except Exception:
            log.exception("notify: a click was not answered, goes on")
            await _pause(stop, 2.0)
        await _pause(stop, TICK_SECONDS)


async def draw(charts: Charts | None, delivery: Delivery, stop: asyncio.Event) -> None:
    """Charts beside the delivery, and after it: one step at a time, when nothing else is owed."""
    while not stop.is_set():
        try:
            if charts is not None and not delivery.outbox.rows.due(now_ms()):
                await charts.step(now_ms())
        except Exception:
            # As of the delivery: what is owed stands in the file.
            log.exception("notify: a chart failed, goes on")
            await _pause(stop, 30.0)
        await _pause(stop, CHART_SECONDS)


async def drain(delivery: Delivery) -> None:
    """What is owed goes out before the end, as far as it can in some seconds; the rest stays in the file."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            while delivery.outbox.rows.due(now_ms()):
                await delivery.step(now_ms())
                await asyncio.sleep(TICK_SECONDS)
    except TimeoutError:
        log.warning("notify: %d messages are left for the next start", delivery.outbox.rows.open_count())


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        pass
