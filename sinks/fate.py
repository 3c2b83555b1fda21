"""What becomes of an outbox row after an outcome: pure, so that every fault can be tested as a value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from schemas.effect import EffectKind, NotifyReason
from sinks.base import (
    Absent,
    Blind,
    Degradable,
    Degrade,
    Delivered,
    Found,
    LostRoot,
    NotSent,
    Outcome,
    Ref,
    Rejected,
    RetryAfter,
    Unknown,
)

LOOK_AGAIN_MS = 3_000
"""Between the two looks for a message that may have arrived: history may show it late."""
LOOKS = 2
BACKOFF_MS = 1_000
MAX_BACKOFF_MS = 60_000
REFUSED_MS = 30_000
"""Until a refusal is asked about again, doubling up to …"""
MAX_REFUSED_MS = 900_000
REFUSED_FOR_MS = 86_400_000
"""So long a refused message is kept for the receiver: a token may be renewed, a channel opened again."""


NO_CALL = frozenset(
    {NotifyReason.RECOVERED, NotifyReason.STEADY, NotifyReason.FLAPPING, NotifyReason.FELL_BACK}
)
"""News for which nobody is called where Slack doesn't take them: no pager should ring for an end."""


class RowState(StrEnum):
    """``SENDING`` is written before the call: found after a crash, it means "may have arrived"."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DEAD = "dead"
    GATHERED = "gathered"
    """Of a first message: a storm's digest tells it instead."""


@dataclass(frozen=True)
class Row:
    """One post, edit or reply that is owed. Times in epoch ms; ``attempts`` counts calls that were no 429."""

    id: str
    incident_id: str
    kind: EffectKind
    reason: NotifyReason
    revision: int
    member: str | None
    state: RowState
    created_at: int
    not_before: int
    first_sent_at: int | None = None
    attempts: int = 0
    looks: int = 0
    degrade: Degrade = Degrade.FULL
    fell_back: bool = False
    error: str = ""
    channel: str = ""
    """Of a first message: where it is to go, decided when it is first due."""

    @property
    def waiting(self) -> bool:
        """Nothing has been sent of it, so what is sent will show the newest state."""
        return self.state is RowState.PENDING


@dataclass(frozen=True)
class Next:
    """The row's next state and the earliest time to act on it; ``ref`` where it was delivered.

    ``pause_until`` stops the whole channel; ``attempted`` says whether the call counts; ``refused`` that it
    is to be told elsewhere at once, although the receiver will be asked again.
    """

    state: RowState
    not_before: int
    why: str
    ref: Ref | None = None
    degrade: Degrade = Degrade.FULL
    looks: int = 0
    attempted: bool = True
    pause_until: int = 0
    lost_root: bool = False
    refused: bool = False


def after_call(row: Row, outcome: Outcome, now: int) -> Next:
    """What becomes of ``row`` after it was sent with ``outcome``."""
    match outcome:
        case Delivered(ref):
            return Next(RowState.SENT, now, "delivered", ref, row.degrade)
        case RetryAfter(seconds):
            until = now + round(max(seconds, 0.0) * 1000)
            return Next(
                RowState.PENDING,
                until,
                "rate_limited",
                degrade=row.degrade,
                attempted=False,
                pause_until=until,
            )
        case NotSent(why):
            return Next(RowState.PENDING, now + backoff(row), why, degrade=row.degrade)
        case Unknown(why, strange) if strange and row.attempts >= 1:
            return refused(row, why, now)
        case Unknown(why, _) if row.kind is EffectKind.EDIT:
            # The same edit twice is one edit.
            return Next(RowState.PENDING, now + backoff(row), why, degrade=row.degrade)
        case Unknown(why, _):
            return Next(RowState.SENDING, now, why, degrade=row.degrade)
        case Degradable(why) if row.degrade < Degrade.TEXT_ONLY:
            return Next(RowState.PENDING, now, why, degrade=Degrade(row.degrade + 1))
        case LostRoot(why):
            return Next(RowState.DEAD, now, why, degrade=row.degrade, lost_root=True)
        case Rejected(why):
            return refused(row, why, now)
        case Degradable(why):
            return Next(RowState.DEAD, now, why, degrade=row.degrade)


def after_look(row: Row, found: Found, now: int) -> Next:
    """What becomes of a row that may have arrived, after the receiver was asked for it."""
    match found:
        case Delivered(ref):
            return Next(RowState.SENT, now, "found", ref, row.degrade, attempted=False)
        case Absent() if row.looks + 1 < LOOKS:
            return Next(
                RowState.SENDING, now + LOOK_AGAIN_MS, "not_visible", degrade=row.degrade,
                looks=row.looks + 1, attempted=False,
            )  # fmt: skip
        case Absent():
            wait = backoff(row) if row.attempts > 1 else 0
            return Next(RowState.PENDING, now + wait, "not_there", degrade=row.degrade, attempted=False)
        case Blind(why):
            wait = backoff(row) if row.attempts > 1 else 0
            return Next(RowState.PENDING, now + wait, why, degrade=row.degrade, attempted=False)
        case RetryAfter(seconds):
            until = now + round(max(seconds, 0.0) * 1000)
            return Next(
                RowState.SENDING, until, "rate_limited", degrade=row.degrade, looks=row.looks, attempted=False
            )
        case NotSent(why) | Unknown(why, _):
            return Next(
                RowState.SENDING,
                now + backoff(row),
                why,
                degrade=row.degrade,
                looks=row.looks,
                attempted=False,
            )


def refused(row: Row, why: str, now: int) -> Next:
    """Somebody has to change a setting, and may: asked again for a day, while others are told."""
    if now - row.created_at >= REFUSED_FOR_MS:
        return Next(RowState.DEAD, now, why, degrade=row.degrade)
    wait = backoff(row, REFUSED_MS, MAX_REFUSED_MS)
    return Next(RowState.PENDING, now + wait, why, degrade=row.degrade, refused=True)


def backoff(row: Row, first: int = BACKOFF_MS, longest: int = MAX_BACKOFF_MS) -> int:
    """Milliseconds until the next attempt: doubling up to ``longest``, spread by the row's id."""
    base = min(longest, first << min(row.attempts, 16))
    spread = hashlib.blake2b(f"{row.id}:{row.attempts}".encode(), digest_size=2).digest()
    return base // 2 + base * int.from_bytes(spread) // (2 * 65536)
