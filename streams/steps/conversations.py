"""The open conversations of one app: opened by their first trace, decided ten minutes of event time later."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from schemas.catalog import RATE_BITS
from schemas.observation import Flag, Outcome, Profile, TraceRow
from streams.steps.chunks import ChunkLog
from streams.steps.inflight import ConversationOutcome, OpenConversation
from streams.steps.ledger import Ledger

if TYPE_CHECKING:
    from streams.steps.segment_state import SegmentState

UNPRICED, UNSUCCESSFUL = Outcome.UNPRICED.value, Outcome.UNSUCCESSFUL.value
SUCCEEDED, FAILED = Flag.SUCCEEDED.value, Flag.FAILED.value
FAILING = Flag.ERROR.value | Flag.SCHEMA_INVALID.value | Outcome.ESCALATED.value
"""What makes a task fail of which nobody says that it has succeeded."""
SAID_LATER = RATE_BITS | SUCCEEDED
_open_conversation = partial(tuple.__new__, OpenConversation)
"""As ``OpenConversation(…)``, past its constructor, which is a function in Python: for the many."""


class Conversations:
    """Those whose outcome is not decided yet, in the order of their first traces.

    A trace without a conversation is its own. Its key is only made where somebody asks: few do.
    """

    def __init__(self, app: str, chunks: ChunkLog) -> None:
        self._app, self._opened, self._changed = app, chunks.conversations, chunks.outcomes
        self._named: dict[str, OpenConversation] = {}
        """By conversation id, those that have one."""
        self.due: deque[OpenConversation] = deque()
        self.outcomes: dict[str, tuple[int, int]] = {}
        """Key to first time and bits of those of which there is something to say: few."""
        self.decided: int | None = None
        """Those that began at this time or before are decided."""

    def open(self, name: str | None, row: TraceRow, profile: Profile) -> None:
        """``name`` is the conversation id, None for a trace that is its own conversation."""
        conversation = _open_conversation(
            (self._app, name, row[0], row[1], profile, row[8], bool(row[9] & SUCCEEDED))
        )
        if name is not None:
            self._named[name] = conversation
        self.due.append(conversation)
        self._opened.append(conversation)
        bits = row[9] & RATE_BITS if row[10] is not None else row[9] & RATE_BITS | UNPRICED
        if bits:
            self.note(name, row[1], row[0], bits)

    def join(self, row: TraceRow, profile: Profile, ledger: Ledger, decided_ms: int) -> bool:
        """Open the trace's conversation, or join it; True if this is the turn that is scored for it."""
        name = row[7]
        assert name is not None
        first_time, scored_turn = ledger.conversation(self._app, name)
        known = self._named.get(name)
        if known is None:
            if first_time + decided_ms >= row[0]:
                self.open(name, row, profile)
        elif known.first_time + decided_ms >= row[0]:  # else it is due, and will be decided as it was
            bits = row[9] & SAID_LATER if row[10] is not None else row[9] & SAID_LATER | UNPRICED
            if bits:
                self.note(name, row[1], row[0], bits)
        return scored_turn == (row[0], row[1])

    def note(self, name: str | None, trace_id: str, time: int, bits: int) -> None:
        """Something of a trace's conversation; what is said of a decided one changes nothing."""
        if name is None:
            key = "t:" + trace_id
            if self.decided is not None and time <= self.decided:
                return
        else:
            key = "c:" + name
            if name not in self._named:
                return
            time = self._named[name].first_time
        known = self.outcomes.get(key, (time, 0))[1]
        if bits | known != known:
            self.outcomes[key] = time, bits | known
            self._changed.append(ConversationOutcome(self._app, key, time, bits))

    def hand_over(self, upto: int, segments: Mapping[tuple[str, str], SegmentState]) -> None:
        """Those that began at ``upto`` or before are decided, each for its segment: open no longer."""
        due, outcomes, named = self.due, self.outcomes, self._named
        self.decided = upto
        while due and due[0][2] <= upto:
            _, name, first, trace_id, profile, user, succeeded = due.popleft()
            if name is not None:
                del named[name]
            bits = 0
            if outcomes:
                key = "t:" + trace_id if name is None else "c:" + name
                if key in outcomes:
                    bits = outcomes.pop(key)[1]
                    if bits & FAILED or (bits & FAILING and not succeeded and not bits & SUCCEEDED):
                        bits |= UNSUCCESSFUL
            segment = segments[profile[0], profile[1]]
            segment.decided.append((first, bits, trace_id, profile, user))
            segment.touched = True

    def forget_outcomes(self, upto: int) -> None:
        """Those of late traces, whose conversations were never opened: nobody takes them."""
        if self.outcomes:
            self.outcomes = {key: known for key, known in self.outcomes.items() if known[0] > upto}

    def restore_outcome(self, outcome: ConversationOutcome) -> None:
        known = self.outcomes.get(outcome.key, (0, 0))[1]
        self.outcomes[outcome.key] = outcome.first_time, known | outcome.bits

    def restore(self, conversation: OpenConversation) -> None:
        if conversation.name is not None:
            self._named[conversation.name] = conversation
        self.due.append(conversation)
