"""What a person asked to be done with an incident."""

from __future__ import annotations

from enum import StrEnum

from schemas.base import WIRE_VERSION, Record


class Verb(StrEnum):
    ACK = "ack"


class Command(Record):
    """``verb`` on an incident by ``actor`` at ``time`` (epoch ms).

    ``id`` is the asking's own: a click that is delivered twice, as Slack's are, does its work once.
    """

    v: int = WIRE_VERSION
    id: str
    incident_id: str
    verb: Verb
    actor: str
    time: int
