"""Runs one asyncio role as a process: loop, logging, signals, exit status."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from streams.batches import give_up
from streams.ending import end_within
from streams.logs import configure
from streams.memory import collect_rarely
from streams.settings import Settings

log = logging.getLogger(__name__)

Role = Callable[[Settings, asyncio.Event], Coroutine[Any, Any, None]]


def run_role(role: Role, settings: Settings) -> None:
    """Run ``role`` until SIGTERM or SIGINT; an exception ends the process with status 70."""
    configure(settings)
    name = role.__module__.rsplit(".", 1)[-1]

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def told_to_stop() -> None:
            stop.set()
            end_within(settings.stop_seconds, name)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told_to_stop)
        collect_rarely()
        log.info("%s: started on %s", name, settings.brokers)
        await role(settings, stop)
        log.info("%s: stopped", name)

    try:
        uvloop.run(main())
    except Exception as error:
        log.exception("%s: failed", name)
        give_up(name, repr(error))
