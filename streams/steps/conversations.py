"""The open conversations of one app: opened by their first trace, decided ten minutes of event time later."""

from __future__ import annotations

from collections import deque
from functools import partial

from schemas.observation import Profile, TraceRow
from streams.steps.chunks import ChunkLog
from streams.steps.inflight import Escalation, OpenConversation
from streams.steps.ledger import Ledger

_open_conversation = partial(tuple.__new__, OpenConversation)
"""As ``OpenConversation(…)``, past its constructor, which is a function in Python: for the many."""


class Conversations:
    """Those whose outcome is not decided yet, in the order of their first traces.

    A trace without a conversation is its own. Its key is only made where somebody asks: few do.
    """

    def __init__(self, app: str, chunks: ChunkLog) -> None:
        self._app, self._opened, self._handed = app, chunks.conversations, chunks.escalations
        self._named: dict[str, OpenConversation] = {}
        """By conversation id, those that have one."""
        self.due: deque[OpenConversation] = deque()
        self.escalated: dict[str, int] = {}
        """Key to first time of those that have been handed to a person."""
        self.decided: int | None = None
        """Those that began at this time or before are decided."""

    def open(self, name: str | None, row: TraceRow, profile: Profile) -> None:
        """``name`` is the conversation id, None for a trace that is its own conversation."""
        conversation = _open_conversation((self._app, name, row[0], row[1], profile, row[8]))
        if name is not None:
            self._named[name] = conversation
        self.due.append(conversation)
        self._opened.append(conversation)

    def join(self, row: TraceRow, profile: Profile, ledger: Ledger, decided_ms: int) -> bool:
        """Open the trace's conversation, or join it; True if this is the turn that is scored for it."""
        name = row[7]
        assert name is not None
        first_time, scored_turn = ledger.conversation(self._app, name)
        if name not in self._named and first_time + decided_ms >= row[0]:
            self.open(name, row, profile)
        return scored_turn == (row[0], row[1])

    def escalate(self, name: str | None, trace_id: str, time: int) -> None:
        """A trace's conversation has been handed to a person; one that is decided already stays as it is."""
        if name is None:
            key = "t:" + trace_id
            if self.decided is not None and time <= self.decided:
                return
        else:
            key = "c:" + name
            if name not in self._named:
                return
            time = self._named[name].first_time
        if key not in self.escalated:
            self.escalated[key] = time
            self._handed.append(Escalation(self._app, key, time))

    def take_due(self, upto: int) -> list[tuple[OpenConversation, bool]]:
        """Those that began at ``upto`` or before, with their outcome; they are open no longer."""
        due, escalated, named = self.due, self.escalated, self._named
        self.decided = upto
        taken = []
        while due and due[0][2] <= upto:
            conversation = due.popleft()
            name = conversation[1]
            if name is not None:
                del named[name]
            handed = False
            if escalated:
                key = "t:" + conversation[3] if name is None else "c:" + name
                handed = escalated.pop(key, None) is not None
            taken.append((conversation, handed))
        return taken

    def forget_escalations(self, upto: int) -> None:
        """Those of late traces, whose conversations were never opened: nobody takes them."""
        if self.escalated:
            self.escalated = {key: time for key, time in self.escalated.items() if time > upto}

    def restore(self, conversation: OpenConversation) -> None:
        if conversation.name is not None:
            self._named[conversation.name] = conversation
        self.due.append(conversation)
