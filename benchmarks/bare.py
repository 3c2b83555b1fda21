"""The loops to compare with: they validate every event, as a careful user would, and do nothing else.

They use Gleaner's own consumer settings, uvloop and the very same model, so that what differs is what
Gleaner does with an event. A message of one event is validated from its bytes, which is pydantic's
fastest way; an array is read by orjson and validated element by element, because one bad element must
not cost the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterable

import faust
import orjson

from benchmarks.meter import Meter
from schemas.topics import TRACES
from schemas.trace import TraceEvent
from streams.batches import consumer
from streams.faust_app import faust_app
from streams.settings import Settings


def validate(message: bytes) -> int:
    """Validate a message; returns its number of events."""
    if message.startswith(b"["):
        elements = orjson.loads(message)
        for element in elements:
            TraceEvent.model_validate(element)
        return len(elements)
    TraceEvent.model_validate_json(message)
    return 1


async def raw_aiokafka(settings: Settings, meter: Meter) -> None:
    """aiokafka ``getmany``, and nothing else. Offsets are committed by aiokafka's own timer."""
    reader = consumer(settings, "bare", TRACES, enable_auto_commit=True)
    await reader.start()
    while True:
        batches = await reader.getmany(timeout_ms=500, max_records=500)
        events = 0
        for records in batches.values():
            for record in records:
                events += validate(record.value)
        meter.add(events)


def bare_faust(settings: Settings, meter: Meter) -> faust.App:
    """A Faust agent as the tutorial writes it: Faust acknowledges what the loop's body leaves."""
    app = faust_app(settings)
    traces = app.topic(settings.topic(TRACES), value_type=bytes, value_serializer="raw")

    @app.agent(traces, name="bare")
    async def bare(stream: AsyncIterable[bytes]) -> None:
        async for message in stream:
            meter.add(validate(message))

    return app
