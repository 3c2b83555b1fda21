"""The worker role: ingest and harvest in Faust, and rolling beside them in the same process."""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

import faust
import mode
import uvloop
from aiokafka.errors import KafkaError

from streams import rolling
from streams.batches import give_up
from streams.ending import end_within
from streams.faust_app import faust_app
from streams.harvest import add_harvest
from streams.ingest import add_ingest
from streams.logs import configure
from streams.memory import collect_rarely
from streams.settings import Settings
from streams.topics import ensure_topics

log = logging.getLogger(__name__)

Only = Literal["ingest", "rolling"] | None


class RollingService(mode.Service):
    """Rolling inside a Faust worker: starts with it, and has committed before it ends."""

    mundane_level = "debug"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def on_start(self) -> None:
        self._running = asyncio.get_running_loop().create_task(rolling.run(self.settings, self._stop))
        self._running.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            give_up("rolling", f"ended: {task.exception()!r}")

    async def on_stop(self) -> None:
        self._stop.set()
        if self._running is not None:
            await self._running


class Worker(faust.Worker):
    """Faust's, whose stop has an end."""

    stop_seconds: float

    def _on_sigterm(self) -> None:
        end_within(self.stop_seconds, "worker")
        super()._on_sigterm()

    def _on_sigint(self) -> None:
        end_within(self.stop_seconds, "worker")
        super()._on_sigint()


def run_worker(settings: Settings, only: Only = None) -> None:
    """Run until SIGTERM or SIGINT. ``only`` "ingest" runs ingest and harvest, "rolling" rolling alone."""
    configure(settings)
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        asyncio.run(ensure_topics(settings))
    except (KafkaError, TimeoutError) as error:
        give_up("worker", f"its topics are not there: {error!r}")
    if only == "rolling":
        from streams.roles import run_role

        run_role(rolling.run, settings)
        return
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    app = faust_app(settings)
    add_ingest(app, settings)
    add_harvest(app, settings)
    services = [] if only == "ingest" else [RollingService(settings)]
    worker = Worker(
        app,
        *services,
        loop=loop,
        loglevel="WARNING",
        override_logging=False,
        redirect_stdouts=False,
        quiet=True,
    )
    worker.stop_seconds = settings.stop_seconds
    worker.spinner = None  # it would write terminal codes into the log
    configure(settings)
    collect_rarely()
    log.info("worker: started on %s", settings.brokers)
    worker.execute_from_commandline()
