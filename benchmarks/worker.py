"""The child process of one case: ``python -m benchmarks.worker CASE SETTINGS``, settings as JSON.

It speaks the protocol of ``meter`` and runs until SIGTERM or SIGKILL.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys

import faust
import uvloop

from benchmarks import bare, stages
from benchmarks.meter import Meter
from benchmarks.plan import FAUST, INGEST, RAW, ROLLING
from streams.memory import collect_rarely
from streams.settings import Settings


def run_app(app: faust.App, loop: asyncio.AbstractEventLoop) -> None:
    """Run a Faust app as ``gleaner worker`` does."""
    worker = faust.Worker(
        app, loop=loop, loglevel="WARNING", override_logging=False, redirect_stdouts=False, quiet=True
    )
    worker.spinner = None
    worker.execute_from_commandline()


def main(case: str, overrides: str) -> None:
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    settings = Settings(**json.loads(overrides))
    meter = Meter()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    meter.listen()
    if case in (INGEST, ROLLING):
        collect_rarely()  # as Gleaner's roles do; the bare loops are as anybody would write them
    if case == RAW:
        loop.run_until_complete(bare.raw_aiokafka(settings, meter))
    elif case == ROLLING:
        loop.run_until_complete(stages.rolling(settings, meter))
    elif case in (FAUST, INGEST):
        run_app((bare.bare_faust if case == FAUST else stages.ingest)(settings, meter), loop)
    else:
        raise SystemExit(f"no such case: {case}")


if __name__ == "__main__":
    main(*sys.argv[1:])
