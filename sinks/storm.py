"""When many incidents break at once: which get a message of their own, and who speaks for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.effect import Effect, NotifyReason
from schemas.incident import Incident, IncidentState
from schemas.signal import Severity

MINUTE_MS = 60_000


@dataclass(frozen=True)
class StormPolicy:
    """How much news a channel takes. Times in milliseconds, of the clock of people.

    ``own``: so many new incidents within ``within_ms`` have a message of their own in a channel; what is
    beyond, and not a P1, is gathered in one. A storm lasts until none has joined it for ``within_ms``, or all
    of it is over. ``grew_ms``: its growth is told at most this often. ``escalate_ms``: so long a level of
    escalation, once called, is not called again. ``edit_ms``: between two edits of its message.
    """

    own: int = 5
    within_ms: int = 60 * MINUTE_MS
    grew_ms: int = 5 * MINUTE_MS
    escalate_ms: int = 15 * MINUTE_MS
    edit_ms: int = 10_000

    def gathers(self, told: int, waiting: int) -> bool:
        """Whether what waits is gathered: ``told`` within the hour, ``waiting`` now; P1s not counted."""
        return told + waiting > self.own

    def grew(self, count: int, said: int, since_ms: int) -> bool:
        """Whether the thread says so: ``count`` incidents, of which ``said`` were told ``since_ms`` ago.

        At every doubling, so that a storm of 300 calls at most eight times, however it comes.
        """
        return count >= 2 * max(said, 1) and since_ms >= self.grew_ms


@dataclass(frozen=True)
class Storm:
    """What a digest tells: its incidents, the worst first, of which those in ``alone`` have got messages of
    their own since. ``since`` is when it began (epoch ms, clock of people)."""

    id: str
    since: int
    incidents: tuple[Incident, ...]
    alone: frozenset[str] = frozenset()
    revision: int = 1
    level: int = 0
    """The level of escalation that was last called."""

    @property
    def open(self) -> list[Incident]:
        return [one for one in self.incidents if one.state is not IncidentState.RESOLVED]

    @property
    def free(self) -> list[Incident]:
        """Those that are told here, open, and nobody's."""
        here = [one for one in self.open if one.id not in self.alone]
        return [one for one in here if one.state is not IncidentState.ACKED]


NEVER_ALONE = frozenset(
    {
        NotifyReason.RECOVERED, NotifyReason.STEADY, NotifyReason.FLAPPING, NotifyReason.FELL_BACK,
        NotifyReason.ESCALATED,
    }
)  # fmt: skip
"""News for which no incident leaves its digest: the digest shows an end, and calls once for all."""
UNSEEN = frozenset({NotifyReason.CASES, NotifyReason.EVIDENCE, NotifyReason.EXPLAINS, NotifyReason.REFIRED})
"""Changes that a digest's one line an incident doesn't show."""


def leaves(incident: Incident, effect: Effect, *, lasts: bool) -> bool:
    """Whether ``incident`` gets a message of its own for ``effect``.

    A P1 always. The others once the storm is over, with their next news: then somebody has the time to read
    a thread, and the news needs one. What merely fires on is not moved: thirty messages an hour after the
    storm would be the next one.
    """
    if incident.severity is Severity.P1:
        return incident.state is not IncidentState.RESOLVED
    return not lasts and effect.kind.value == "reply" and effect.reason not in NEVER_ALONE


def ranked(incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """The worst first: what is open and nobody's, then what is somebody's, then what is over; the gravest
    of each, those that began first."""
    state = {IncidentState.PENDING: 0, IncidentState.FIRING: 0, IncidentState.ACKED: 1}
    return tuple(
        sorted(
            incidents,
            key=lambda one: (state.get(one.state, 2), one.severity.rank, one.onset, one.app, one.id),
        )
    )


def spokesman(storm: Storm) -> Incident:
    """The worst incident, standing for all of them: the storm's id, state, severity and revision.

    What a receiver that knows single incidents only (a pager, a webhook) opens, acknowledges and closes.
    """
    worst = storm.incidents[0]
    standing = storm.open
    if not standing:
        state = IncidentState.RESOLVED
    elif all(one.state is IncidentState.ACKED for one in standing):
        state = IncidentState.ACKED
    else:
        state = IncidentState.FIRING
    return worst.model_copy(
        update={
            "id": storm.id,
            "state": state,
            "severity": min((one.severity for one in standing or storm.incidents), key=lambda one: one.rank),
            "revision": storm.revision,
            "escalation_level": storm.level,
            "resolved_at": max((one.resolved_at or 0 for one in storm.incidents), default=0)
            if state is IncidentState.RESOLVED
            else None,
            "acked_at": max((one.acked_at or 0 for one in standing), default=0)
            if state is IncidentState.ACKED
            else None,
        }
    )
