"""What one user may use in a day: told at 80, 95 and 100 % of it, once each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.heavy_hitters import HeavyHitters
from detectors.declared.policy import DAY_MS, UserBudget
from detectors.declared.say import dollars, share, tokens
from schemas.observation import TraceRow
from schemas.signal import Cause

CAPACITY = 512
"""Users counted exactly in a day."""


class UserBudgets:
    """Sums of each user's tokens (input and output) or dollars in a UTC day of event time, in one segment.

    A user whose sum reaches a level of the budget is told on that trace, the highest level reached and each
    once a day; the first trace of another day ends the alarm. A trace without a user, or without the figure,
    is not counted. Beyond 512 users a day the sums are those of
    :class:`~detectors.declared.heavy_hitters.HeavyHitters`, and what is held against a level is what the user
    has used *at least*: nobody is told for what others used (provable), and a heavy user may be told late, by
    at most 1/512 of all that was used that day. At most 48 KiB of state.

    **Misleads** where several people share a user_id, or one has many; and for an app with several routes:
    each segment counts its own part.
    """

    __slots__ = ("_day", "_opened", "_policy", "_told", "_used")

    def __init__(self, policy: UserBudget) -> None:
        self._policy = policy
        self._day: int | None = None
        self._opened: tuple[str, int] | None = None
        """User and time of the first alarm of the day."""
        self._start(None)

    def _start(self, day: int | None) -> None:
        self._day = day
        self._opened = None
        self._used = HeavyHitters(CAPACITY)
        self._told: dict[str, int] = {}
        """Levels told today, by user."""

    def add(self, rows: Sequence[TraceRow]) -> list[tuple[int, Said]]:
        """Traces in event-time order: findings, each with its trace's index."""
        found: list[tuple[int, Said]] = []
        spends, first = self._policy.dollars, self._policy.levels[0][0] * self._policy.limit
        for at, row in enumerate(rows):
            user = row[8]
            if user is None:
                continue
            weight = row[10] if spends else float((row[12] or 0) + (row[13] or 0))
            if not weight:
                continue
            day = row[0] // DAY_MS
            if day != self._day:
                if self._opened is not None:
                    found.append((at, self._returned(row[0], *self._opened)))
                self._start(day)
            used = self._used.add(user, weight)
            if used >= first:
                found += [(at, finding) for finding in self._reached(row, user, used)]
        return found

    def _reached(self, row: TraceRow, user: str, used: float) -> list[Finding]:
        policy = self._policy
        reached = sum([used >= level * policy.limit for level, _ in policy.levels])
        if reached <= self._told.get(user, 0):
            return []
        if user not in self._told and len(self._told) >= CAPACITY:
            # Somebody who is counted no longer: there are 512 who have used as much since.
            self._told = {name: levels for name, levels in self._told.items() if name in self._used}
        self._told[user] = reached
        self._opened = self._opened or (user, row[0])
        level, severity = policy.levels[reached - 1]
        say = dollars if policy.dollars else tokens
        return [
            Finding(
                time=row[0],
                onset=row[0],
                value=used / policy.limit,
                baseline=None,
                note="",
                n=0,
                reason=f"user {user} has used {say(used)} since midnight UTC, {share(level)} or more of the"
                f" {say(policy.limit)} for a day",
                key=user,
                severity=severity,
                examples=(row[1],),
                cause=Cause(dimension="user_id", current=user, share=1.0),
            )
        ]

    def _returned(self, time: int, user: str, opened: int) -> Returned:
        midnight = time - time % DAY_MS
        return Returned(
            time=time,
            since=midnight,
            opened=opened,
            value=0.0,
            baseline=1.0,
            bound=None,
            n=0,
            reason="a new day has begun, and with it every user's budget",
            key=user,
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "day": self._day,
            "opened": self._opened,
            "used": self._used.snapshot(),
            "told": dict(self._told),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._start(state["day"])
        if state["opened"] is not None:
            self._opened = (state["opened"][0], state["opened"][1])
        self._used.restore(state["used"])
        self._told = dict(state["told"])
