"""What a sink of alerts is, and the outcomes that it answers with instead of raising."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from schemas.effect import EffectKind, NotifyReason
from schemas.incident import Incident
from sinks.storm import Storm


class Degrade(IntEnum):
    """How much of a message is left out because the receiver refused the whole of it."""

    FULL = 0
    NO_CASES = 1
    TEXT_ONLY = 2


@dataclass(frozen=True)
class Ref:
    """Where a message stands: the receiver's own ids."""

    channel: str
    ts: str


@dataclass(frozen=True)
class Message:
    """What is to be said, before any receiver's format.

    ``outbox_id`` is what a lost message is found again by; an edit carries its first message's, so that
    the message keeps it. ``member`` is the signal id of the member that a reply is about.
    """

    outbox_id: str
    kind: EffectKind
    reason: NotifyReason
    incident: Incident
    member: str | None = None
    degrade: Degrade = Degrade.FULL
    detail: str = ""
    """Where it was told meanwhile, for the reason ``fell_back``."""
    channel: str = ""
    """Where a first message goes; empty: wherever the receiver would put it."""
    storm: Storm | None = None
    """The incidents that this message lists; ``incident`` then speaks for them, under the storm's id."""


@dataclass(frozen=True)
class Delivered:
    ref: Ref


@dataclass(frozen=True)
class RetryAfter:
    """The receiver asks for a pause, in seconds; the message wasn't taken, and this is no attempt."""

    seconds: float


@dataclass(frozen=True)
class NotSent:
    """It can't have arrived: the connection never stood."""

    why: str


@dataclass(frozen=True)
class Unknown:
    """It may have arrived: look before sending again.

    ``strange`` marks an answer that isn't in our table; twice of those is a refusal.
    """

    why: str
    strange: bool = False


@dataclass(frozen=True)
class Degradable:
    """The receiver refuses this form of the message; a simpler one may pass."""

    why: str


@dataclass(frozen=True)
class Rejected:
    """No form of the message will be taken until somebody changes a setting."""

    why: str


@dataclass(frozen=True)
class LostRoot:
    """The message to be edited or replied to is gone."""

    why: str


Outcome = Delivered | RetryAfter | NotSent | Unknown | Degradable | Rejected | LostRoot


@dataclass(frozen=True)
class Absent:
    """The receiver was asked, and doesn't show the message: not there, or not visible yet."""


@dataclass(frozen=True)
class Blind:
    """The receiver can't be asked, so a message may be sent twice rather than never."""

    why: str


Found = Delivered | Absent | Blind | RetryAfter | NotSent | Unknown


class Sink(Protocol):
    """A receiver of alerts. No method raises for what the receiver or the network does."""

    @property
    def name(self) -> str:
        """The receiver in the notification log, such as ``slack:C0123``."""
        ...

    def where(self, incident: Incident) -> str:
        """The channel that a first message of ``incident`` would go to now."""
        ...

    async def post(self, message: Message) -> Outcome: ...

    async def edit(self, message: Message, ref: Ref) -> Outcome: ...

    async def reply(self, message: Message, root: Ref) -> Outcome: ...

    async def find(self, outbox_id: str, since: int, root: Ref | None, channel: str = "") -> Found:
        """The message with this ``outbox_id`` sent at or after ``since`` (epoch ms), in ``root``'s thread."""
        ...

    async def close(self) -> None: ...
