"""What notify reads: records of its topics as events of the reducer, and their order within a batch."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from aiokafka import ConsumerRecord

from detectors.incident import Deploy, Event, deploy_of
from detectors.incident.group import order as signal_order
from schemas.calibration import Calibrations
from schemas.change import ChangeEvent
from schemas.codec import Refused, split, validate
from schemas.command import Command
from schemas.incident import CasePreview
from schemas.signal import SIGNAL_RECORD, Recovery, RollingReport, Signal, Standing, WindowStat
from schemas.topics import CALIBRATIONS, CASE_PREVIEWS, CHANGES, SIGNALS

log = logging.getLogger(__name__)
DEFAULT_APP = "default"
"""The app of a change that names none, as ingest has it."""


class Undecodable(ValueError):
    """A record of Gleaner's own topics that is none: a bug or a stranger."""


def decode(
    record: ConsumerRecord, topic: str, max_event_bytes: int
) -> Iterator[Event | RollingReport | Standing | Calibrations]:
    """The events of a record of ``topic`` (without prefix); raises :class:`Undecodable`.

    Of the changes, which anybody may write, what is none is ingest's to refuse; here it is nothing.
    """
    value = record.value or b""
    if topic == CHANGES.name:
        yield from _deploys(record, value, max_event_bytes)
        return
    try:
        if topic == SIGNALS.name:
            yield SIGNAL_RECORD.validate_json(value)
        elif topic == CALIBRATIONS.name:
            yield Calibrations.model_validate_json(value)
        else:
            yield (CasePreview if topic == CASE_PREVIEWS.name else Command).model_validate_json(value)
    except ValueError as error:
        raise Undecodable(type(error).__name__) from None


def order(event: Event) -> tuple[int, int, int, str]:
    """Signals in the order of detection; deploys and previews after them; commands last."""
    match event:
        case Signal() | Recovery() | WindowStat():
            return (0, *signal_order(event))
        case Deploy():
            return (1, event.at, 0, event.id)
        case CasePreview():
            return (2, event.time, 0, event.case_id)
        case Command():
            return (3, event.time, 0, event.id)


def _deploys(record: ConsumerRecord, value: bytes, max_event_bytes: int) -> Iterator[Deploy]:
    for element in split(value, max_event_bytes):
        change = None if isinstance(element, Refused) else validate("change", element.value)
        if isinstance(change, ChangeEvent):
            at = record.timestamp if change.timestamp is None else change.timestamp
            if (deploy := deploy_of(change, change.app or DEFAULT_APP, at)) is not None:
                yield deploy
