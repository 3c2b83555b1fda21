"""The notify role: sole owner of incidents and of their delivery.

Signals, case previews, announced changes and commands go through the pure reducer, and so does the passing
of time; incidents, the ids of what made them and the messages they owe become true in one SQLite
transaction; then the topic ``incidents`` is told, then the offsets are committed. Delivery runs beside it
and drains what is owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer

from schemas.acceptance import Acceptance
from schemas.codec import encode
from schemas.incident import Incident
from schemas.topics import CHANGES, INCIDENTS
from sinks.base import Sink
from sinks.console import ConsoleSink
from sinks.delivery import Delivery
from sinks.outbox import Outbox
from sinks.slack.client import SlackSink
from sinks.storm import StormPolicy
from streams.batches import BatchLoop, consumer, producer
from streams.digests import DigestRun, poster_of
from streams.lag import READS
from streams.notify.alive import beating
from streams.notify.beside import STOP_SECONDS, answer, deliver, drain, draw
from streams.notify.clicks import desk_of, listening
from streams.notify.hops import hops_of
from streams.notify.reduce import Accept, Notify, Publish
from streams.notify.sink import charts_of, sink_of
from streams.settings import Settings
from streams.topics import try_topics
from streams.wall import now_ms


async def run(settings: Settings, stop: asyncio.Event | None = None, sink: Sink | None = None) -> None:
    """Own the incidents until ``stop``; raises ``InUse`` where another process owns them."""
    stop = stop or asyncio.Event()
    outbox = Outbox.open(
        settings.state_dir / "notify.sqlite", storm=StormPolicy(own=settings.incident_messages_an_hour)
    )
    sink = sink or sink_of(settings)
    delivery = Delivery(
        outbox,
        sink,
        ConsoleSink(),
        hops=hops_of(settings),
        fallback_after_ms=round(settings.fallback_after_minutes * 60_000),
    )
    sender = producer(settings)
    charts = charts_of(settings, outbox, sink, delivery.paces)
    try:
        await sender.start()
        await try_topics(settings, (*READS["notify"], INCIDENTS))
        notify = Notify(settings, outbox, _publisher(settings, sender), _acceptor(settings, sender))
        desk = None
        if settings.slack_clicks and isinstance(sink, SlackSink):
            desk = desk_of(settings, outbox, sender, sink)
        outbox.forget(now_ms())
        await notify.publish_owed()
        reader = consumer(settings, "notify", *READS["notify"])
        loop = BatchLoop("notify", settings, reader, notify.handle, idle=notify.tick)
        delivery.recover(now_ms())
        delivering = asyncio.create_task(deliver(delivery, stop))
        answering = asyncio.create_task(answer(desk, stop))
        drawing = asyncio.create_task(draw(charts, delivery, stop))
        digesting = asyncio.create_task(
            DigestRun(settings, outbox, poster_of(settings, sink), now_ms).run(stop)
        )
        living = asyncio.create_task(beating(settings, delivery, sink, stop))
        stopping = asyncio.create_task(_stop(stop, loop))
        try:
            async with listening(settings, desk):
                await loop.run()
        finally:
            stop.set()
            await stopping
            # A call that is cut short here leaves its row "sending": the next start looks for it first.
            beside = (delivering, answering, drawing, digesting, living)
            await asyncio.wait(beside, timeout=STOP_SECONDS)
            for task in beside:
                task.cancel()
        notify.release()
        await notify.publish_owed()
        await drain(delivery)
    finally:
        await sender.stop()
        await sink.close()
        await delivery.chain.close()
        outbox.close()


def _publisher(settings: Settings, sender: AIOKafkaProducer) -> Publish:
    topic = settings.topic(INCIDENTS)

    async def publish(incidents: Sequence[Incident]) -> None:
        sent = [await sender.send(topic, encode(one), key=one.id.encode()) for one in incidents]
        await asyncio.gather(*sent)

    return publish


def _acceptor(settings: Settings, sender: AIOKafkaProducer) -> Accept:
    topic = settings.topic(CHANGES)

    async def accept(acceptances: Sequence[Acceptance]) -> None:
        sent = [await sender.send(topic, encode(one), key=(one.app or "").encode()) for one in acceptances]
        await asyncio.gather(*sent)

    return accept


async def _stop(stop: asyncio.Event, loop: BatchLoop) -> None:
    await stop.wait()
    loop.stop()
