"""What a person asked to be done with an incident."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from schemas.base import WIRE_VERSION, EpochMs, Name, Record

NOTE_LENGTH = 500
"""Characters of the reason that a command may carry."""


class Verb(StrEnum):
    ACK = "ack"
    UNACK = "unack"
    SNOOZE = "snooze"
    """Until ``until``, or until the next deploy with ``until_deploy``: no message but edits."""
    ASSIGN = "assign"
    """To ``assignee``."""
    RESOLVE = "resolve"
    NOT_A_PROBLEM = "not_a_problem"
    """Resolves it as a false positive, and keeps that as a label; also of one that is resolved already. What
    its members fired on, as far as it still stands, is learned as normal."""
    MUTE = "mute"
    """A snooze without an end."""
    UNMUTE = "unmute"


class Command(Record):
    """``verb`` on an incident by ``actor`` at ``time`` (epoch ms).

    ``id`` is the asking's own: a click that is delivered twice, as Slack's are, does its work once. ``until``
    is in epoch ms.
    """

    v: int = WIRE_VERSION
    id: str
    incident_id: str
    verb: Verb
    actor: Name
    time: EpochMs
    until: EpochMs | None = None
    until_deploy: bool = False
    assignee: Name | None = None
    note: str = Field(default="", max_length=NOTE_LENGTH)
    """Why, in the actor's words."""
