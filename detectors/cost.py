"""Detector of cost per request: heavy-tailed, with a daily cycle, and mostly moved by mixes and tails."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import exp, inf, log, log10, sqrt
from typing import Any

from detectors.baseline import ArmingPolicy, Pin, Stage, unseen
from detectors.cost_reference import FREE, GRID, MINUTE_MS, CostReference, season
from detectors.esr import BETS, MixtureESR, rank_bets, rate_bets

OUTLIER_Z = 4.0
"""A request stands out if its log cost is more than this many robust deviations above the median."""
LEAST_MAD = 0.1
"""Floor of the robust deviation of log cost, so that an outlier costs at least e^0.4 = 1.5 times the median
even where all requests cost the same."""
FLAT_TOLERANCE = 0.25
"""Rise of ln(cost), a factor of 1.28, that a baseline without a profile of the day forgives: it cannot tell
a daily cycle from a rise. Doubled, 1.65, for a reference that saw one moment, perhaps the cheapest."""
TAIL = 0.99
RANK_VARIANCE = 1.0 / 12.0
TAIL_VARIANCE = TAIL * (1.0 - TAIL)


class CostDetector:
    """Two e-SRs on bounded views of a request's cost, averaged, against a frozen reference sample.

    With ``r = ln(cost) - profile(time of day) - tolerance``, on a grid of 0.01 %::

        u    = (requests of the sample below r + half of those equal + 1/2) / (k + 1)     moves with the bulk
        flag = 1 if r is above the sample's 99th percentile else 0                        moves with the tail
        alarm when (M(u; 0.5 + z/sqrt(12 k)) + M(flag; 0.01 + z sqrt(0.0099/k))) / 2 >= threshold

    ``z`` is 2 at the provisional arming (a flat baseline of 200 requests), 1 at the second pin, which
    draws a profile of the day if every hour has 30 paid requests. Only then is the tolerance 0: a flat
    baseline forgives a factor of 1.28, up to 1.65 if it is shorter than a day. Measured without that, on
    costs with a daily cycle of ln +- 0.25 at 10,000 requests a day: 30 false alarms in 30 first days.

    Equal costs share the middle of their ranks: by the upper rank a constant cost is a permanent alarm.

    **Provable:** an average of e-SRs on one past keeps the bound of each. **Heuristic:** the sample, its
    percentile and the profile are estimates; the standard errors stand for the first two. **Misleads**
    when the baseline is flat and the cycle strong (the note says "flat"), on a weekly cycle, or when a
    move of dollars happens above the 99th percentile only and is too rare to raise the flag's rate.

    A request of 0 dollars is a real one: it counts in the mean, ranks below all paid ones, and is in no
    logarithm. A request without a price is no unit: the caller leaves it out.
    """

    __slots__ = (
        "_bulk",
        "_gain",
        "_limit",
        "_minute",
        "_needed",
        "_policy",
        "_profile",
        "_ref",
        "_reference",
        "_season",
        "_tail",
        "_threshold",
        "_tolerance",
        "_top",
        "_weeks",
        "median",
        "outlier",
        "p99",
        "pin",
    )

    def __init__(self, weeks: float, policy: ArmingPolicy) -> None:
        self._weeks = weeks
        self._policy = policy
        self.repin()

    def repin(self) -> None:
        """Forget what normal was and learn it anew."""
        self.pin: Pin | None = None
        self.outlier = False
        """Whether the last request's robust log-z was above 4. Makes a case; never pages."""
        self._reference: CostReference | None = CostReference()
        self._arm((), [])

    def _arm(self, profile: tuple[float, ...], residuals: list[int]) -> None:
        """Freeze the sample and build what is derived from it and the pin."""
        self._profile = profile
        self._minute: int | None = None
        self._season = 0
        self._ref = residuals
        self._bulk: MixtureESR | None = None
        self._tail: MixtureESR | None = None
        pin, size = self.pin, len(residuals)
        if pin is None:
            return
        errors = self._policy.errors(pin.stage)
        tolerance = FLAT_TOLERANCE * (1.0 + unseen(pin.span_ms))
        self._tolerance = 0 if profile else int(tolerance * GRID)
        flag_m0 = 1.0 - TAIL + errors * sqrt(TAIL_VARIANCE / size)
        self._bulk = MixtureESR(pin.m0, RANK_VARIANCE, rank_bets(pin.m0), pin.threshold)
        self._tail = MixtureESR(flag_m0, TAIL_VARIANCE, rate_bets(flag_m0), pin.threshold)
        self._threshold = pin.threshold
        self._needed = 2.0 * BETS * pin.threshold
        self._gain = self._tail.zero_gain()
        self._top = self._gain
        self.p99 = residuals[int(TAIL * size)]
        paid = residuals[bisect_right(residuals, FREE) :]
        self.median = paid[len(paid) // 2] if paid else FREE
        mad = sorted([abs(r - self.median) for r in paid])[len(paid) // 2] / GRID if paid else 0.0
        least = OUTLIER_Z * max(1.4826 * mad, LEAST_MAD) * GRID
        self._limit = self.median + least if paid else inf

    def update(self, time: int, trace_id: str, y: float, segments: int, learn: bool) -> bool:
        """Absorb one request of ``y`` dollars; whether the averaged statistic has reached the threshold."""
        logged = int(log(y) * GRID) if y > 0.0 else FREE
        bulk = self._bulk
        if bulk is not None:
            ref = self._ref
            r = logged
            if self._profile and r != FREE:
                minute = time // MINUTE_MS
                if minute != self._minute:
                    self._minute = minute
                    self._season = season(self._profile, time)
                r -= self._season
            self.outlier = r > self._limit
            r -= self._tolerance
            left = bisect_left(ref, r)
            size = len(ref)
            right = bisect_right(ref, r, left) if left < size and ref[left] == r else left
            statistic = bulk.step((left + right + 1) / (2 * size + 2))
            tail = self._tail
            assert tail is not None
            if r > self.p99:
                self._top = tail.step(1.0) + self._gain
            else:
                tail.update(0.0)
            # The tail's last sum plus all that zeros can add bounds it; exact only where that could alarm.
            if statistic + self._top >= self._needed and self._statistic() >= self._threshold:
                return True
        if learn and self._reference is not None:
            self._learn(time, trace_id, y, logged, segments)
        return False

    def _statistic(self) -> float:
        return (self._bulk.statistic() + self._tail.statistic()) / 2.0 if self._bulk and self._tail else 0.0

    def _learn(self, time: int, trace_id: str, dollars: float, logged: int, segments: int) -> None:
        reference, policy = self._reference, self._policy
        assert reference is not None
        reference.learn(time, trace_id, dollars, logged)
        if self.pin is not None and reference.span_ms < policy.least_span_ms:
            return
        stage = Stage.LEARNING if self.pin is None else self.pin.stage
        due = policy.due(stage, reference.n, reference.span_ms)
        if due is None:
            return
        profile = reference.profile() if due is Stage.PINNED else ()
        residuals = reference.residuals(profile)
        m0 = 0.5 + policy.errors(due) * sqrt(RANK_VARIANCE / len(residuals))
        threshold = policy.threshold(reference.n, reference.span_ms, segments, self._weeks)
        span = reference.span_ms
        self.pin = Pin(due, reference.mean, m0, RANK_VARIANCE, reference.n, span, threshold)
        self._arm(profile, residuals)
        if due is Stage.PINNED:
            self._reference = None

    def since_reset(self) -> tuple[int, int]:
        """(units since reset, how many of them come before the estimated change)."""
        if self._bulk is None or self._tail is None:
            return 0, 0
        return self._bulk.n, max(self._bulk.leader(), self._tail.leader())[1]

    def note(self) -> str:
        """The baseline in words."""
        if self.pin is None:
            return "learning"
        if self._profile:
            return f"{self.pin.note()}, by hour of the day"
        return f"{self.pin.note()}, flat over the day: forgives {exp(self._tolerance / GRID):.2f} times"

    def evidence(self) -> float:
        """log10 of the averaged statistic."""
        return log10(max(self._statistic(), 1.0))

    def reset(self) -> None:
        """Start from nothing: after an alarm."""
        if self._bulk is not None and self._tail is not None:
            self._bulk.reset()
            self._tail.reset()
            self._top = self._gain

    def forget(self, since: int, units: list[tuple[int, float]]) -> None:
        """Take back what was learned from ``since`` on."""
        if self._reference is not None:
            self._reference.forget(since, units)

    def snapshot(self) -> dict[str, Any]:
        return {
            "pin": self.pin and list(self.pin),
            "profile": list(self._profile),
            "ref": list(self._ref),
            "reference": self._reference and self._reference.snapshot(),
            "bulk": self._bulk and self._bulk.snapshot(),
            "tail": self._tail and self._tail.snapshot(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.repin()
        pin = state["pin"]
        self.pin = Pin(Stage(pin[0]), *pin[1:]) if pin else None
        self._arm(tuple(state["profile"]), list(state["ref"]))
        if state["reference"] is None:
            self._reference = None
        elif self._reference is not None:
            self._reference.restore(state["reference"])
        if self._bulk is not None and self._tail is not None:
            self._bulk.restore(state["bulk"])
            self._tail.restore(state["tail"])
            self._top = self._tail.statistic() * BETS + self._gain
