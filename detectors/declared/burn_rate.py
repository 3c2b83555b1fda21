"""A declared service-level objective: multi-window, multi-burn-rate alerts on its error budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from detectors.declared.buckets import Buckets, Measured
from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.latch import Latch, Turn
from detectors.declared.policy import BUCKET_MS, MINUTE_MS, Slo, Tier
from detectors.declared.say import length, share
from schemas.signal import Severity

LEAST_BAD = 5
"""Bad units that a long window needs: no alarm rests on one or two failures."""
BACK = 0.9
"""An alarm clears when its long window burns at less than this part of its tier's rate."""
GOES_ON_MS = 30 * MINUTE_MS
"""What a graver alarm has hidden is told after it only while this last part of event time burns, too."""


class BurnRate:
    """Watches units that are good (0) or bad (1) against an objective.

    With ``budget = 1 - objective`` the burn rate over a window is ``(bad / n) / budget``: at 1 the budget
    lasts exactly as long as the objective's window. A tier fires where its long *and* its short window burn
    at its rate: the long one says that it matters, the short one that it still goes on. For 30 days::

        14.4 over 1 h and 5 min      2 % of the budget in an hour         the rule's severity
        6    over 6 h and 30 min     5 % in six hours                     the rule's severity
        1    over 3 d and 6 h        10 % in three days                   P3, a ticket

    Source: Beyer et al., "The Site Reliability Workbook" (2018), chapter 5, approach 6.

    Asked when a bucket of five minutes with a unit in it closes. A tier needs ``min_units`` and five bad ones
    in its long window, and to have known the segment for half of it. It fires once; while a graver tier is
    open it is not told. When that has cleared, it is, as soon as the last half hour burns at its rate, too (a
    long window alone remembers what is over). It clears when its long window burns below 0.9 of the rate, and
    is told again after 24 h of not clearing; the alarm is over when every tier that was told has cleared.

    **Nothing is provable** of how often it fires by chance: that depends on how far from the budget the app
    lives, and on how failures cluster. For independent failures the expected number is computed by
    ``detectors.declared.expected``. **Misleads** on low traffic (a few failures are many per cent; hence
    ``min_units``), with an objective that was met by luck, and after a silence: units of before it stay in
    the windows as long as those reach back.

    >>> watch = BurnRate(Slo(0.99), Severity.P2, "answers", "bad")
    >>> day = [(minute * 60_000, 1.0 if minute >= 1_380 else 0.0, f"t{minute}") for minute in range(1_440)]
    >>> watch.add(day[:1_380]), watch.close(1_380 * 60_000)
    (None, [])
    >>> watch.add(day[1_380:])
    >>> [(said.time // 60_000, said.key) for said in watch.close(1_440 * 60_000)]
    [(1405, '6')]
    """

    __slots__ = ("_buckets", "_latches", "_loud", "_opened", "_policy", "_severity", "_units", "_what")

    def __init__(self, policy: Slo, severity: Severity, units: str, what: str) -> None:
        """``units`` are what is counted; ``what`` completes "12 % of 400 requests ..."."""
        self._policy = policy
        self._severity = severity
        self._units = units
        self._what = what
        self._buckets = Buckets(max(tier.long_ms for tier in policy.tiers), fine=0.0)
        self._latches = [Latch() for _ in policy.tiers]
        self._loud = [False] * len(self._latches)
        """Which tiers have been told and have not cleared."""
        self._opened: tuple[str, int] | None = None
        """Key and time of the first alarm since none was loud."""

    def add(self, units: Iterable[Measured]) -> None:
        self._buckets.extend(units)

    def close(self, upto: int) -> list[Said]:
        """No unit before ``upto`` is to come: what the buckets that end there bring."""
        return [
            said
            for end, examples in self._buckets.close(upto)
            if (said := self._ask(end, examples)) is not None
        ]

    def _ask(self, end: int, examples: tuple[str, ...]) -> Said | None:
        found = last = None
        graver = False
        for at, (tier, latch) in enumerate(zip(self._policy.tiers, self._latches, strict=True)):
            turn, loud = self._turn(tier, latch, end), self._loud[at]
            if turn is Turn.CLEARED:
                self._loud[at] = False
                last = tier if loud else last
            elif graver or turn is Turn.QUIET:
                pass
            elif turn is not Turn.HELD if loud else turn is Turn.FIRED or self._goes_on(tier, end):
                found = self._tell(tier, end, examples)
                self._loud[at] = True
                latch.told = end
            graver = graver or self._loud[at]
        if found is not None:
            self._opened = self._opened or (found.key, end)
        elif self._opened is not None and last is not None and not any(self._loud):
            key, opened = self._opened
            self._opened = None
            return self._returned(end, last, key, opened)
        return found

    def _goes_on(self, tier: Tier, end: int) -> bool:
        """Whether every window of ``tier`` burns at its rate, and the last half hour."""
        limit = tier.rate * self._policy.budget
        lengths = (tier.long_ms, tier.short_ms, min(tier.short_ms, GOES_ON_MS))
        return all(one.total >= limit * one.n for one in [self._buckets.window(end, ms) for ms in lengths])

    def _returned(self, end: int, tier: Tier, key: str, opened: int) -> Returned:
        """``tier`` is the one that has cleared last."""
        n, bad = self._buckets.window(end, tier.long_ms)
        budget = self._policy.budget
        return Returned(
            time=end,
            since=end - BUCKET_MS,
            opened=opened,
            value=bad / n if n else 0.0,
            baseline=budget,
            bound=BACK * tier.rate * budget,
            n=n,
            reason=f"{share(bad / n if n else 0.0)} of {n:,} {self._units} {self._what} in the last"
            f" {length(tier.long_ms)}: less than {BACK * tier.rate:.3g} times what the objective allows",
            key=key,
        )

    def _turn(self, tier: Tier, latch: Latch, end: int) -> Turn:
        policy, buckets = self._policy, self._buckets
        long = buckets.window(end, tier.long_ms)
        first = buckets.first
        if long.n < policy.min_units or first is None or end - first < tier.long_ms // 2:
            return Turn.QUIET
        short = buckets.window(end, tier.short_ms)
        limit = tier.rate * policy.budget
        beyond = long.total >= LEAST_BAD and long.total >= limit * long.n and short.total >= limit * short.n
        return latch.ask(end, beyond, long.total < BACK * limit * long.n)

    def _tell(self, tier: Tier, end: int, examples: tuple[str, ...]) -> Finding:
        policy = self._policy
        n, bad = self._buckets.window(end, tier.long_ms)
        now = bad / n
        burn = now / policy.budget
        left = policy.window_ms / burn
        return Finding(
            time=end,
            onset=self._buckets.onset(end, tier.long_ms, 0.5 * tier.rate * policy.budget),
            value=now,
            baseline=policy.budget,
            note=f"objective {share(policy.objective)} over {length(policy.window_ms)}",
            n=n,
            reason=f"{share(now)} of {n:,} {self._units} {self._what} in the last {length(tier.long_ms)},"
            f" {burn:.3g} times the {share(policy.budget)} that the objective allows: at that rate the budget"
            f" of {length(policy.window_ms)} lasts {_roughly(left)}",
            key=f"{tier.rate:g}",
            severity=max(self._severity, Severity.P3, key=lambda one: one.rank) if tier.ticket else None,
            examples=examples,
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "buckets": self._buckets.snapshot(),
            "latches": [latch.snapshot() for latch in self._latches],
            "loud": list(self._loud),
            "opened": self._opened,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._buckets.restore(state["buckets"])
        for latch, told in zip(self._latches, state["latches"], strict=True):
            latch.restore(told)
        self._loud = list(state["loud"])
        self._opened = None if state["opened"] is None else (state["opened"][0], state["opened"][1])


def _roughly(ms: float) -> str:
    """
    >>> _roughly(50 * 3_600_000), _roughly(5 * 86_400_000), _roughly(600_000)
    ('50 hours', '5 days', '10 minutes')
    """
    for size, name in ((86_400_000, "days"), (3_600_000, "hours"), (60_000, "minutes")):
        if ms >= 2.5 * size:
            return f"{ms / size:.2g} {name}"
    return "no time"
