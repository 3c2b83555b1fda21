"""What one event changes, collected: each change a revision, with what it owes to the readers."""

from __future__ import annotations

from dataclasses import dataclass

from detectors.incident.policy import Policy
from detectors.incident.states import logged
from detectors.incident.timers import escalates
from detectors.incident.told import effect, speaks, told
from detectors.incident.verdict import Verdict
from schemas.effect import Effect, EffectKind, NotifyReason
from schemas.incident import Incident
from schemas.lifecycle import Happening


@dataclass(frozen=True)
class Step:
    """What one event changed: the incidents in their new revision, and what is owed to the outside."""

    verdict: Verdict
    incidents: tuple[Incident, ...] = ()
    effects: tuple[Effect, ...] = ()


class Turn:
    """One event's changes to ``incidents`` (which it writes to), at ``now`` of the clock of people."""

    def __init__(self, incidents: dict[str, Incident], policy: Policy, now: int) -> None:
        self.incidents, self.policy, self.now = incidents, policy, now
        self.changed: dict[str, None] = {}
        self.effects: list[Effect] = []

    def step(self, verdict: Verdict) -> Step:
        return Step(verdict, tuple(self.incidents[one] for one in self.changed), tuple(self.effects))

    def open(self, incident: Incident) -> None:
        self.incidents[incident.id] = incident
        self.changed[incident.id] = None

    def put(
        self,
        incident: Incident,
        at: int,
        reason: NotifyReason,
        reply: NotifyReason | None = None,
        member: str | None = None,
        *,
        urgent: bool = False,
    ) -> Incident:
        """A new revision of ``incident``, changed at ``at`` for ``reason``; ``reply`` is news for its
        thread."""
        after = self._revised(incident, at)
        self.effects += told(after, reason, reply, member, urgent=urgent)
        return after

    def speak(
        self, incident: Incident, at: int, reason: NotifyReason, reply: NotifyReason | None
    ) -> Incident:
        """As :meth:`put`, where this may have ended a silence: then the first message that was held back."""
        if not speaks(incident):
            return self.put(incident, at, reason, reply, urgent=True)
        first = incident.model_copy(update={"posted": True, "unattended_since": self.now})
        after = self._revised(logged(first, self.policy, at, Happening.TOLD), at)
        self.effects.append(effect(after, EffectKind.POST, NotifyReason.FIRST, after.members[0].signal_id))
        return after

    def _revised(self, incident: Incident, at: int) -> Incident:
        after = incident.model_copy(
            update={
                "revision": incident.revision + 1,
                "updated_at": max(incident.updated_at, at),
                "escalates_at": escalates(incident, self.policy),
            }
        )
        self.incidents[after.id] = after
        self.changed[after.id] = None
        return after
