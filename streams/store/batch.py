"""What the store reads: the records of its topics, by what they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord
from pydantic import ValidationError

from schemas.case import EvalCase
from schemas.codec import Refused
from schemas.dead_letter import DeadLetter, Refusal
from schemas.identity import Coordinates
from schemas.incident import Incident
from schemas.signal import SIGNAL_RECORD, Recovery, RollingReport, Signal, Standing, WindowStat
from schemas.topics import CASES, DEAD_LETTERS, INCIDENTS, SIGNALS, Topic
from streams.steps.refuse import dead_letter

log = logging.getLogger(__name__)

Record = EvalCase | Signal | Recovery | WindowStat | RollingReport | Standing | Incident | DeadLetter

READERS: dict[Topic, Callable[[bytes], Record]] = {
    CASES: EvalCase.model_validate_json,
    SIGNALS: SIGNAL_RECORD.validate_json,
    INCIDENTS: Incident.model_validate_json,
    DEAD_LETTERS: DeadLetter.model_validate_json,
}
"""How each topic's values are read; what raises ``ValueError`` is a fault of Gleaner's own."""


class Batch(NamedTuple):
    """The values of a batch by what they are."""

    cases: list[EvalCase]
    signals: list[Signal]
    recoveries: list[Recovery]
    windows: list[WindowStat]
    reports: list[RollingReport]
    incidents: list[Incident]
    dead_letters: list[DeadLetter]
    standings: list[Standing]
    """Notify keeps these; the store writes all that is before them."""


def decode(records: Sequence[ConsumerRecord], prefix: str, streams: dict[str, str]) -> tuple[Batch, int]:
    """The batch that ``records`` hold, and how many of them could not be read.

    Those become dead letters with their coordinates; their content is never logged.
    """
    batch = Batch([], [], [], [], [], [], [], [])
    lists: dict[type, list[Any]] = dict(zip(KINDS, batch, strict=True))
    readers = {prefix + topic.name: (topic, read) for topic, read in READERS.items()}
    faults = 0
    for record in records:
        topic, read = readers[record.topic]
        try:
            value = read(record.value or b"")
        except ValueError as error:
            faults += 1
            at = Coordinates(streams.get(topic.name, ""), topic.name, record.partition, record.offset)
            why = _why(error)
            log.error("store: %s[%d]@%d: %s", record.topic, record.partition, record.offset, why)
            refused = Refused(Refusal.INVALID, f"no {topic.value}: {why}")
            value = dead_letter(refused, at, max(record.timestamp, 0), record.value)
        lists[type(value)].append(value)
    return batch, faults


KINDS = (EvalCase, Signal, Recovery, WindowStat, RollingReport, Incident, DeadLetter, Standing)
"""The types of a batch's fields, in their order."""


def _why(error: ValueError) -> str:
    """What is wrong with which field; the values themselves are foreign text, and stay out of the log."""
    if not isinstance(error, ValidationError):
        return type(error).__name__
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['type']}" if field else first["type"]
