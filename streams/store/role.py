"""The store role: cases, incidents, signals and dead letters into DuckDB, snapshots for its readers.

Sole owner of the store's file. DuckDB runs in one thread of its own, so that heartbeats go on while it
writes; offsets are committed after its transaction, and a batch that comes twice changes nothing.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from schemas.calibration import Calibrations
from schemas.codec import encode
from schemas.topics import CALIBRATIONS
from streams.batches import BatchLoop, consumer, producer
from streams.calibrations import CalibrationRun
from streams.settings import Settings
from streams.store.batch import READERS
from streams.store.work import StoreWork
from streams.topics import ensure_topics, topic_lives


async def run(settings: Settings, stop: asyncio.Event | None = None) -> None:
    """Store what the topics bring until ``stop``; publishes a last snapshot before it returns.

    Raises ``StoreBusy`` where another process keeps owning the file.
    """
    await ensure_topics(settings, (*READERS, CALIBRATIONS))
    lives = await topic_lives(settings, READERS)
    streams = {topic.name: life.stream for topic, life in zip(READERS, lives.values(), strict=True)}
    sender = producer(settings)

    async def tell(found: Calibrations) -> None:
        await sender.send_and_wait(settings.topic(CALIBRATIONS), encode(found), key=b"all")

    with ThreadPoolExecutor(1, "duckdb") as thread:
        work = StoreWork(settings, thread, streams)
        work.calibrating = CalibrationRun(work.calibrations, tell)
        try:
            await sender.start()
            await work.open()
            reader = consumer(settings, "store", *READERS)
            loop = BatchLoop("store", settings, reader, work.handle, idle=work.between_batches)
            stopping = asyncio.create_task(_stop_when(stop, loop)) if stop is not None else None
            try:
                await loop.run()
            finally:
                if stopping is not None:
                    stopping.cancel()
        finally:
            await work.close()
            await sender.stop()


async def _stop_when(stop: asyncio.Event, loop: BatchLoop) -> None:
    await stop.wait()
    loop.stop()
