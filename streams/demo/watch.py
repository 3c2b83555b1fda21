"""What comes out of the roles, read from their topics like any other consumer would."""

from __future__ import annotations

import time
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, ConsumerRecord

from schemas.incident import Incident, IncidentState
from schemas.signal import SIGNAL_RECORD, RollingReport
from schemas.topics import CASES, DEAD_LETTERS, INCIDENTS, SIGNALS
from streams.batches import consumer
from streams.settings import Settings

ACCEPTED = ("traces", "feedback", "changes", "duplicates")
"""The counters of the rolling stage that together are the events that it has processed."""


class Seen(NamedTuple):
    """``processed`` by the rolling stage's own counters; ``at`` is its event time; ``cases`` are distinct."""

    processed: int
    dead: int
    cases: int
    at: int | None


class Watch:
    """Follows the topics that the roles write, from their beginning; belongs to no group."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.incidents: dict[str, Incident] = {}
        self.moved = time.monotonic()
        """When something new was last read."""
        self._reports: dict[int, RollingReport] = {}
        self._cases: set[bytes | None] = set()
        self._dead: set[bytes | None] = set()

    async def run(self) -> None:
        reader: AIOKafkaConsumer = consumer(
            self.settings, "demo", SIGNALS, CASES, DEAD_LETTERS, INCIDENTS, group_id=None
        )
        await reader.start()
        try:
            while True:
                for records in (await reader.getmany(timeout_ms=200)).values():
                    for record in records:
                        self._take(record)
                    self.moved = time.monotonic()
        finally:
            await reader.stop()

    def _take(self, record: ConsumerRecord) -> None:
        topic = record.topic.removeprefix(self.settings.topic_prefix)
        if topic == SIGNALS.name:
            signal = SIGNAL_RECORD.validate_json(record.value or b"")
            if isinstance(signal, RollingReport):
                self._reports[signal.partition] = signal
        elif topic == INCIDENTS.name:
            incident = Incident.model_validate_json(record.value or b"")
            known = self.incidents.get(incident.id)
            if known is None or known.revision < incident.revision:
                self.incidents[incident.id] = incident
        else:
            (self._cases if topic == CASES.name else self._dead).add(record.key)

    def seen(self) -> Seen:
        counters = [counter for report in self._reports.values() for counter in report.counters.values()]
        processed = sum(counter.get(name, 0) for counter in counters for name in ACCEPTED)
        times = [report.watermark for report in self._reports.values() if report.watermark is not None]
        return Seen(processed, len(self._dead), len(self._cases), max(times, default=None))

    def fired(self) -> list[Incident]:
        """The incidents so far, by their first detection."""
        return sorted(self.incidents.values(), key=lambda incident: (incident.detected_at, incident.id))

    def owed(self) -> int | None:
        """First messages that the incidents owe; None while one still waits for further members."""
        if any(one.state is IncidentState.PENDING for one in self.incidents.values()):
            return None
        return sum(one.posted for one in self.incidents.values())

    def quiet(self) -> float:
        """Seconds since something came out."""
        return time.monotonic() - self.moved
