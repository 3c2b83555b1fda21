"""Gleaner's two stages, as its roles run them; an event counts when a crash could not lose it any more."""

from __future__ import annotations

import asyncio

import faust

from benchmarks.meter import Meter
from streams.faust_app import faust_app
from streams.ingest import Ingest, add_ingest
from streams.rolling import Rolling
from streams.settings import Settings


def ingest(settings: Settings, meter: Meter) -> faust.App:
    """``gleaner worker --only ingest``, without harvest: counts a flush when it has been acknowledged."""
    app = faust_app(settings)
    step = add_ingest(app, settings)
    _count_flushes(step, meter)
    return app


def _count_flushes(step: Ingest, meter: Meter) -> None:
    flush = step.batcher.flush

    async def counted() -> None:
        await flush()
        meter.reach(step.accepted + step.refused, refused=step.refused)

    step.batcher.flush = counted  # type: ignore[method-assign]


class CountedRolling(Rolling):
    """``gleaner worker --only rolling``: counts traces when they have been committed."""

    def __init__(self, settings: Settings, meter: Meter) -> None:
        super().__init__(settings)
        self._meter = meter

    async def _commit_due(self) -> None:
        await super()._commit_due()
        owned = self.partitions.values()
        if all(partition.idle for partition in owned):
            counters = [app.counters for partition in owned for app in partition.owner.apps.values()]
            notes = {name: sum(c.get(name, 0) for c in counters) for name in ("traces", "late", "duplicates")}
            self._meter.reach(notes["traces"], **notes)


async def rolling(settings: Settings, meter: Meter) -> None:
    await CountedRolling(settings, meter).run(asyncio.Event())
