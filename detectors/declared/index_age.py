"""A heartbeat of the index: it is to be updated at least once in a declared time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.policy import HOUR_MS, MaxAge
from detectors.declared.say import length
from schemas.base import rfc3339
from schemas.observation import Profile, TraceRow

DIMENSIONS = frozenset({"index_version", "index_updated"})
"""Change events of these dimensions are updates."""
KNOWN = 64
"""Index versions remembered: the latest."""


class IndexAge:
    """Fires when event time passes ``max_age`` since the last update of the index; again after another one.

    An update is a change event of the dimension ``index_version`` or ``index_updated``, or the first trace
    with an ``index_version`` not seen before (of the last 64: a version that comes back is none). Before the
    first update nothing is known, and nothing fires. A fact, not a statistic: it is never wrong about what it
    was told, and it fires at ``last update + max_age`` exactly, whatever traffic there is.

    **Misleads** where an index is updated under the same version and nobody sends a change event: it is then
    as old as its version. A trace's version is first *seen* when it is first used, which is later than it
    was built.

    >>> age = IndexAge(MaxAge(HOUR_MS))
    >>> age.updated(0, "v1"), age.close(HOUR_MS - 1), [finding.time for finding in age.close(2 * HOUR_MS)]
    (None, [], [3600000])
    >>> age.close(9 * HOUR_MS)
    []
    """

    __slots__ = ("_due", "_known", "_policy", "_told", "last")

    def __init__(self, policy: MaxAge) -> None:
        self._policy = policy
        self.last: int | None = None
        """Event time of the last update, ms."""
        self._told = False
        self._known: list[str] = []
        self._due: list[Said] = []

    def add(self, rows: Sequence[TraceRow], profiles: Sequence[Profile]) -> None:
        """Traces in event-time order, each with its profile."""
        versions = {profile.index_version for profile in {id(one): one for one in profiles}.values()}
        if versions <= {None, *self._known}:
            return
        for row, profile in zip(rows, profiles, strict=True):
            version = profile.index_version
            if version is not None and version not in self._known:
                self._known = [*self._known[1 - KNOWN :], version]
                self.updated(row[0], version)

    def changed(self, time: int, dimension: str, current: str) -> None:
        """A change that somebody announced."""
        if dimension not in DIMENSIONS:
            return
        if dimension == "index_version" and current not in self._known:
            self._known = [*self._known[1 - KNOWN :], current]
        self.updated(time, current)

    def updated(self, time: int, version: str) -> None:
        """The index was updated at this event time; what it was too old for before, :meth:`close` tells."""
        self._due += self._overdue(time - 1)
        if self.last is not None and time <= self.last:
            return
        if self.last is not None and self._told:
            self._due.append(self._returned(time, self.last, version))
        self.last = time
        self._told = False

    def _returned(self, time: int, last: int, version: str) -> Returned:
        limit = self._policy.age_ms / HOUR_MS
        return Returned(
            time=time,
            since=time,
            opened=last + self._policy.age_ms,
            value=0.0,
            baseline=limit,
            bound=limit,
            n=1,
            reason=f"the index was updated to {version or 'a new state'}",
        )

    def close(self, upto: int) -> list[Said]:
        """Everything up to ``upto`` has been said: whether the index has become too old by then."""
        due, self._due = self._due, []
        return due + self._overdue(upto)

    def _overdue(self, now: int) -> list[Said]:
        if self.last is None or self._told or now < self.last + self._policy.age_ms:
            return []
        self._told = True
        allowed = length(self._policy.age_ms)
        return [
            Finding(
                time=self.last + self._policy.age_ms,
                onset=self.last + self._policy.age_ms,
                value=self._policy.age_ms / HOUR_MS,
                baseline=None,
                note="",
                n=0,
                reason=f"no update of the index since {rfc3339(self.last)}: it is older than the {allowed}"
                " that it may be",
            )
        ]

    def snapshot(self) -> dict[str, Any]:
        return {
            "last": self.last,
            "told": self._told,
            "known": list(self._known),
            "due": [[isinstance(said, Finding), [*said]] for said in self._due],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.last, self._told = state["last"], state["told"]
        self._known = list(state["known"])
        self._due = [
            Finding(*fields)._replace(examples=()) if found else Returned(*fields)
            for found, fields in state["due"]
        ]
