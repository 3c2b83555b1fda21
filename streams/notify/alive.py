"""Notify's sign of life: what it asks itself before each call."""

from __future__ import annotations

import asyncio
import logging

from sinks.alive import EVERY_SECONDS, Alive, Ask
from sinks.base import Sink
from sinks.delivery import Delivery
from sinks.slack.client import SlackSink
from streams.health import STALE_SECONDS, silence
from streams.settings import Settings
from streams.wall import now_ms

log = logging.getLogger(__name__)


def asks_of(settings: Settings, delivery: Delivery, sink: Sink) -> list[Ask]:
    """Whether batches are read, whether Slack knows the token, and whether every channel takes messages."""

    async def rounds() -> str:
        seconds = silence(settings, "notify")
        stuck = seconds is None or seconds > STALE_SECONDS
        return f"no batch was read for {STALE_SECONDS:.0f} s" if stuck else ""

    async def channels() -> str:
        return "" if delivery.healthy else f"refused by {', '.join(sorted(delivery.refusing))}"

    return [rounds, *([sink.alive] if isinstance(sink, SlackSink) else []), channels]


async def beating(settings: Settings, delivery: Delivery, sink: Sink, stop: asyncio.Event) -> None:
    """Beats until ``stop``; returns at once where nobody is to be called."""
    if not settings.alive_url:
        return
    alive = Alive(settings.alive_url, *asks_of(settings, delivery, sink))
    while not stop.is_set():
        try:
            await alive.beat(now_ms())
        except Exception:
            log.exception("notify: no heartbeat this time")
        try:
            await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
        except TimeoutError:
            pass
