"""What the store role does, its one DuckDB thread beside the event loop: write, publish, answer, chores."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import ConsumerRecord

from schemas.calibration import Calibration
from sinks.evalstore import StoreBusy, StoreOwner, Written
from sinks.evalstore.asked import perform
from sinks.evalstore.backup import backups_of, make_backup
from sinks.evalstore.calibration import calibrations
from sinks.evalstore.due import Chore
from sinks.evalstore.errors import BadRequest
from sinks.evalstore.requests import answer, pending, read
from streams.api.serve import ApiServer
from streams.calibrations import CalibrationRun
from streams.settings import Settings
from streams.steps.letter import kept_letter
from streams.store.batch import decode
from streams.store.served import Served
from streams.wall import now_ms

log = logging.getLogger(__name__)

Result = TypeVar("Result")

OWNER_WAIT = 10.0
"""Seconds that the store waits for another owner to let go: a reader that publishes takes less."""
DUE_SECONDS = 20.0
"""Between two looks at what is to be done at night."""
PUBLISH_SHARE = 0.25
"""Publishing takes at most this share of the store's time, however large the store has become: snapshots
of a store that takes long to copy come less often than ``snapshot_seconds``."""


class StoreWork:
    """The role's effects, each run in the DuckDB thread and awaited."""

    def __init__(self, settings: Settings, thread: ThreadPoolExecutor, streams: dict[str, str]) -> None:
        self.settings, self.thread, self.streams = settings, thread, streams
        self.records = self.faults = self.snapshots = 0
        self.written = Written()
        self.published_at = 0.0
        self.publish_took = 0.0
        self._owner: StoreOwner | None = None
        self.api: ApiServer | None = None
        self.looked_at = 0.0
        self._backup: asyncio.Task[None] | None = None
        self.calibrating: CalibrationRun | None = None
        self._calibration: asyncio.Task[None] | None = None

    @property
    def owner(self) -> StoreOwner:
        assert self._owner is not None, "open() comes first"
        return self._owner

    async def open(self) -> None:
        """Take the store and publish a first snapshot, so that readers find one."""
        path, deadline = self.settings.store_file(), time.monotonic() + OWNER_WAIT
        while self._owner is None:
            try:
                self._owner = await self._in_thread(lambda: StoreOwner.open(path))
            except StoreBusy:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        await self._publish()
        await self._in_thread(self.owner.prepare)
        if self.settings.api:
            served = Served(self.owner, self.thread, self.settings.said_of)
            self.api = ApiServer(served, self.settings.api, self.settings.api_keys()).start()
            log.info("store: HTTP API on %s", self.settings.api)
        found = await self._in_thread(self.owner.counts)
        log.info(
            "store: owns %s with %d cases; snapshots every %g s",
            path,
            found.cases,
            self.settings.snapshot_seconds,
        )

    async def handle(self, records: Sequence[ConsumerRecord]) -> None:
        """Write a batch in one transaction; the caller commits its offsets after that."""
        batch, faults = decode(records, self.settings.topic_prefix, self.streams)
        now = now_ms()

        def write() -> Written:
            privacy = self.settings.privacy_of
            letters = [kept_letter(letter, privacy) for letter in batch.dead_letters]
            return self.owner.write(*batch._replace(dead_letters=letters)[:-1], now=now)

        written = await self._in_thread(write)
        if written.forgotten:
            log.info(
                "store: %d values of a batch were forgotten on request, and not stored", written.forgotten
            )
        if written.rejected:
            log.error("store: %d values of a batch cannot be stored, see dead_letters", written.rejected)
        self.records += len(records)
        self.faults += faults
        self.written = self.written.plus(written)

    async def between_batches(self) -> None:
        await self.answer_requests()
        await self.publish_when_due()
        await self.do_what_is_due()
        if self.calibrating is not None and (self._calibration is None or self._calibration.done()):
            # Beside the batches: neither a large store nor a slow broker holds them up.
            self._calibration = asyncio.create_task(self.calibrating.step())

    async def calibrations(self) -> tuple[Calibration, ...]:
        """What reviewers have said of scorers, read beside the writer."""

        def look() -> tuple[Calibration, ...]:
            with self.owner.readers.reading() as con:
                return calibrations(con)

        return await asyncio.to_thread(look)

    async def answer_requests(self) -> None:
        """Do what another process asked for: to forget, to freeze, to keep a verdict or results."""
        for request in pending(self.owner.path):
            reply = await self._in_thread(partial(self._answer, request))
            answer(request, reply)

    def _answer(self, request: Path) -> dict[str, Any]:
        """In the DuckDB thread. What is wrong is the asker's answer; whom it names stays out of the log."""
        try:
            wanted, asked, name = read(request)
            now = now_ms()
            what, done = perform(self.owner, wanted, self.settings.said_of, now, asked=asked, name=name)
        except BadRequest as error:
            return {"error": str(error), "refused": True}
        except ValueError as error:
            log.error("store: a request that cannot be read: %s", type(error).__name__)
            return {"error": "the request cannot be read"}
        except Exception as error:
            log.exception("store: a request failed; what it had begun is finished with the next write")
            return {"error": f"{type(error).__name__}: see the log of `gleaner store`"}
        log.info("store: %s on request: %s", what, ", ".join(f"{n} {name}" for name, n in _numbers(done)))
        return done

    async def publish_when_due(self) -> None:
        if self.owner.unpublished and due(
            time.monotonic() - self.published_at, self.settings.snapshot_seconds, self.publish_took
        ):
            await self._publish()

    async def do_what_is_due(self) -> None:
        """The night's chores. A backup is written beside everything else, from a snapshot."""
        now = time.monotonic()
        if self._backup is not None and self._backup.done():
            self._backup = None
        if now < self.looked_at + DUE_SECONDS or self._backup is not None:
            return
        self.looked_at = now
        at, hour = now_ms(), self.settings.night_hour
        for chore in await self._in_thread(lambda: self.owner.due(at, hour)):
            if chore is Chore.WINDOWS:
                gone = await self._in_thread(lambda: self.owner.drop_windows(self.settings.windows_keep_days))
                log.info("store: deleted %d rows of old windows", gone)
            elif self.settings.backup_keep:
                if self.owner.unpublished:
                    await self._publish()
                self._backup = asyncio.create_task(self._back_up(at))
                continue
            await self._in_thread(partial(self.owner.done, chore, at, hour))

    async def _back_up(self, now: int) -> None:
        """A backup that fails (a full disk) is tried again in an hour; storing goes on."""
        path, failed = self.settings.store_file(), None
        try:
            directory = self.settings.backup_dir or backups_of(path)
            made = await asyncio.to_thread(make_backup, path, directory, now, self.settings.backup_keep)
            log.info("store: backup %s, %d bytes", made.path, made.bytes)
        except Exception as error:
            log.exception("store: no backup was made")
            failed = f"{type(error).__name__}: {error}"
        await self._in_thread(lambda: self.owner.done(Chore.BACKUP, now, self.settings.night_hour, failed))

    async def close(self) -> None:
        """Publish what is unpublished and let go of the store, whatever ended the loop."""
        if self._owner is None:
            return
        try:
            if self.api is not None:
                await asyncio.to_thread(self.api.stop)
            if self._calibration is not None:
                self._calibration.cancel()
            if self._backup is not None:
                await self._backup
            if self.owner.unpublished:
                await self._publish()
        finally:
            await self._in_thread(self.owner.close)
            stored = ", ".join(f"{count} {name}" for name, count in self.written._asdict().items() if count)
            log.info(
                "store: read %d records (%d unreadable), stored %s; %d snapshots",
                self.records,
                self.faults,
                stored or "nothing new",
                self.snapshots,
            )

    async def _publish(self) -> None:
        """A snapshot that fails (a full disk) is tried again when the next is due; storing goes on."""
        began = time.monotonic()
        try:
            await self._in_thread(lambda: self.owner.publish(now_ms()))
            self.snapshots += 1
        except Exception:
            log.exception("store: no snapshot was published, readers keep the former one")
        self.published_at = time.monotonic()
        self.publish_took = self.published_at - began

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self.thread, work)


def _numbers(done: dict[str, Any]) -> list[tuple[str, int]]:
    """What of an answer may stand in a log: counts, no text."""
    return [(name, value) for name, value in done.items() if type(value) is int]


def due(since: float, every: float, took: float) -> bool:
    """Whether to publish again, ``since`` seconds after the last time, which ``took`` that long.

    >>> due(31, 30, 0.5), due(31, 30, 20.0)
    (True, False)
    """
    return since >= max(every, took / PUBLISH_SHARE)
