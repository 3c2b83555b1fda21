"""Detector of cost per request: heavy-tailed, with a daily cycle, and mostly moved by mixes and tails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import log10
from typing import Any

from detectors.baseline import ArmingPolicy, Pin, Stage
from detectors.cost_normal import NOTHING, TAIL_VARIANCE, CostNormal, normal, restored
from detectors.cost_reference import RANK_VARIANCE, CostReference
from detectors.cost_scale import CostScale, log_costs
from detectors.esr import BETS, MixtureESR, rate_bets
from detectors.tilted_esr import TiltedESR
from detectors.unit import NO_PROFILE, Unit


class CostDetector:
    """Two e-SRs on bounded views of a request's cost, averaged, against a frozen reference sample.

    With ``r = ln(cost) - profile(time of day) - tolerance``, on a grid of 0.01 %::

        u    = (requests of the sample below r + half of those equal + 1/2) / (k + 1)     moves with the bulk
        flag = 1 if r is above the sample's 99th percentile else 0                        moves with the tail
        alarm when (M(w(u); m_w + z SE) + M(flag; 0.01 + z sqrt(0.0099/k))) / 2 >= threshold

    ``w`` are the weights of :class:`~detectors.tilted_esr.TiltedESR`, ``m_w`` their means when all is well,
    ties included, less what the sample owes to chance, as far as the mean log cost and the share of free
    requests of the whole reference tell (:class:`~detectors.control_variate.Controls`), SE what is left of
    their standard errors. ``z`` is 2 at the provisional arming (a flat baseline of 200 requests), 1 at the
    second pin.

    At the second pin, where every hour has 30 paid requests, a profile of the day is drawn
    (:class:`~detectors.cost_cycle.Cycle`): each hour's mean, plus z of its standard errors. Where costs have
    so few values, or lie so close together, that the error of an hour's mean would move whole prices past
    each other, there is none, and where the hours differ nevertheless the dearest is defended. Before,
    and without those requests, the tolerance forgives a factor of 1.28, up to 1.65 where less than a day was
    seen. Measured without it, on costs with a daily cycle of ln +- 0.25 at 10,000 requests a day: 30 false
    alarms in 30 first days. Measured with a profile in any case, on two flat prices: pages at the same hours
    of every day (docs/decisions/0038).

    Equal costs share the middle of their ranks: by the upper rank a constant cost is a permanent alarm.

    **Provable:** an average of e-SRs on one past keeps the bound of each. **Heuristic:** the sample, its
    percentile and the profile are estimates; the standard errors stand for the first two. **Misleads**
    when the baseline is flat and the cycle strong (the note says "flat"), on a weekly cycle, or when a
    move of dollars happens above the 99th percentile only and is too rare to raise the flag's rate. In the
    cheap hours of a baseline "as in the dearest hour" it sees a rise late.

    A request of 0 dollars is a real one: it counts in the mean, ranks below all paid ones, and is in no
    logarithm. A request without a price is no unit: the caller leaves it out.
    """

    __slots__ = (
        "_bulk",
        "_gain",
        "_needed",
        "_normal",
        "_policy",
        "_reference",
        "_scale",
        "_tail",
        "_threshold",
        "_top",
        "_weeks",
        "outliers",
        "pin",
    )

    def __init__(self, weeks: float, policy: ArmingPolicy) -> None:
        self._weeks = weeks
        self._policy = policy
        self.repin()

    def repin(self) -> None:
        """Forget what normal was and learn it anew."""
        self.pin: Pin | None = None
        self.outliers: list[int] = []
        """Indices of units whose robust log-z was above 4, until the caller clears it. They make cases;
        they never page."""
        self._reference: CostReference | None = CostReference()
        self._arm(None)

    def _arm(self, found: CostNormal | None) -> None:
        """Take over a baseline, and build what is derived from it and the pin."""
        self._normal = found
        self._scale: CostScale | None = None
        self._bulk: TiltedESR | None = None
        self._tail: MixtureESR | None = None
        pin = self.pin
        if pin is None or found is None:
            return
        self._scale = CostScale(found.profile, found.sample, found.tolerance, found.p99)
        self._bulk = TiltedESR(found.weights, pin.threshold)
        self._tail = MixtureESR(found.flag, TAIL_VARIANCE, rate_bets(found.flag), pin.threshold)
        self._threshold = pin.threshold
        self._needed = 2.0 * BETS * pin.threshold
        self._gain = self._tail.zero_gain()
        self._top = self._gain

    def update(self, time: int, trace_id: str, y: float, segments: int, learn: bool) -> bool:
        """Absorb one request of ``y`` dollars; whether the averaged statistic has reached the threshold."""
        self.outliers.clear()
        return self.run(((time, y, trace_id, NO_PROFILE, None),), 0, 1, segments, learn)[1]

    def run(
        self, units: Sequence[Unit], start: int, stop: int, segments: int, learn: bool
    ) -> tuple[int, bool]:
        """Absorb ``units[start:stop]``, y in dollars, up to the first that fires or pins a baseline.

        Returns how far it came, and whether the last unit absorbed has fired. Appends to ``outliers``.
        """
        reference = self._reference if learn else None
        if reference is not None and not self._cannot_pin(reference, units[stop - 1][0], stop - start):
            stop = start + 1
        part = units[start:stop] if start or stop < len(units) else units
        logs = log_costs(part)
        hit = self._watch(part, logs, start) if self._scale is not None else len(part)
        if reference is not None:
            reference.learn_all(part[:hit], logs[:hit])
            if stop == start + 1 and hit:
                self._pin(reference, segments)
        return (start + hit + 1, True) if hit < len(part) else (stop, False)

    def _watch(self, units: Sequence[Unit], logs: list[int], start: int) -> int:
        """The index of the first of these units that fires, or how many they are."""
        scale, bulk, tail = self._scale, self._bulk, self._tail
        assert scale is not None
        assert bulk is not None
        assert tail is not None
        residuals = scale.residuals(units, logs)
        self.outliers.extend([start + at for at in scale.outliers(residuals)])
        if scale.tolerance:
            residuals = [r - scale.tolerance for r in residuals]
        places, flags = scale.places(residuals)
        done = 0
        for flagged in (*flags, len(places)):
            # The tail's last sum plus all that zeros can add bounds it; exact only where that could alarm.
            while done < flagged:
                hit = done + bulk.run(places[done:flagged], self._needed - self._top)
                tail.skip(min(hit + 1, flagged) - done)
                done = hit + 1
                if hit < flagged and self._statistic() >= self._threshold:
                    return self._cut(start, hit)
            done = flagged
            if flagged < len(places):
                total = bulk.step(places[flagged])
                self._top = tail.step(1.0) + self._gain
                if total + self._top >= self._needed and self._statistic() >= self._threshold:
                    return self._cut(start, flagged)
                done += 1
        return len(places)

    def _cut(self, start: int, hit: int) -> int:
        """Outliers behind the unit that has fired are not absorbed yet."""
        while self.outliers and self.outliers[-1] > start + hit:
            self.outliers.pop()
        return hit

    def side(self) -> int:
        """Which view has moved: ranks (0) or the tail (1)."""
        assert self._bulk is not None
        assert self._tail is not None
        return int(self._tail.leader()[0] > self._bulk.leader()[0])

    def views(self, units: Sequence[Unit], side: int) -> list[float]:
        """Units as ranks in the sample, or as flags of its tail."""
        assert self._scale is not None
        return self._scale.flags(units) if side else self._scale.ranks(units)

    def usual(self, side: int) -> tuple[float, float]:
        """Mean and variance of that view when all is well; asked only once a baseline is pinned."""
        assert self._tail is not None
        assert self.pin is not None
        return (self._tail.m0, TAIL_VARIANCE) if side else (self.pin.m0, RANK_VARIANCE)

    def _statistic(self) -> float:
        return (self._bulk.statistic() + self._tail.statistic()) / 2.0 if self._bulk and self._tail else 0.0

    def _cannot_pin(self, reference: CostReference, last: int, units: int) -> bool:
        """Whether ``units`` more, none later than ``last``, are sure not to pin a new baseline."""
        policy = self._policy
        if self.pin is None:
            return reference.n + units < policy.provisional_units
        if reference.n + units < policy.slow_units:
            return True
        most = reference.pauses.most(reference.first, reference.last, reference.n, last)
        return most < policy.least_span_ms

    def _pin(self, reference: CostReference, segments: int) -> None:
        """Pin a baseline if it is due."""
        policy = self._policy
        stage = Stage.LEARNING if self.pin is None else self.pin.stage
        due = policy.due(stage, reference.n, reference.span_ms)
        if due is None:
            return
        span = reference.span_ms
        found = normal(reference, due is Stage.PINNED, policy.errors(due, segments))
        threshold = policy.threshold(reference.n, span, segments, self._weeks)
        self.pin = Pin(due, reference.mean, found.rank, RANK_VARIANCE, reference.n, span, threshold)
        self._arm(found)
        if due is Stage.PINNED:
            self._reference = None

    def level(self) -> tuple[float, Callable[[int], float] | None]:
        """The mean logarithm when all is well, and what the time of day adds to it."""
        return self._scale.level() if self._scale is not None else (0.0, None)

    def since_reset(self) -> tuple[int, int]:
        """(units since reset, how many of them come before the estimated change)."""
        if self._bulk is None or self._tail is None:
            return 0, 0
        return self._bulk.n, max(self._bulk.leader(), self._tail.leader())[1]

    def note(self) -> str:
        """The baseline in words."""
        if self.pin is None or self._normal is None:
            return "learning"
        return self.pin.note() + self._normal.note()

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

    def rescale(self, budget: float) -> None:
        """The budget is so many times what it was; the statistics start from nothing."""
        if self.pin is not None:
            self.pin = self._policy.rescaled(self.pin, budget)
            self._arm(self._normal)

    def redeclare(self) -> None:
        """An amount has no bound: whatever else its rule said is forgotten."""
        self.repin()

    def baseline(self) -> dict[str, Any]:
        """What changes with the pin alone."""
        return {"pin": self.pin and self.pin[:], **(self._normal.state() if self._normal else NOTHING)}

    @property
    def learning(self) -> Sequence[int]:
        """A number for each part of the sample that is being learned, which rises when it changes; none where
        nothing is learned."""
        return () if self._reference is None else self._reference.sample.versions

    def learned(self, part: int) -> Any:
        """A part of the sample that is being learned."""
        assert self._reference is not None
        return self._reference.sample.part(part)

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit, but for :meth:`learned`."""
        return {
            "reference": self._reference and self._reference.snapshot(),
            "bulk": self._bulk and self._bulk.snapshot(),
            "tail": self._tail and self._tail.snapshot(),
        }

    def restore(
        self, baseline: dict[str, Any], state: dict[str, Any], learned: Mapping[int, Any] | None = None
    ) -> None:
        self.repin()
        pin = baseline["pin"]
        self.pin = Pin(Stage(pin[0]), *pin[1:7]) if pin else None
        self._arm(restored(baseline, self.pin.span_ms, self.pin.m0) if self.pin else None)
        if state["reference"] is None:
            self._reference = None
        elif self._reference is not None:
            self._reference.restore(state["reference"], learned or {})
        if self._bulk is not None and self._tail is not None:
            self._bulk.restore(state["bulk"])
            self._tail.restore(state["tail"])
            self._top = self._tail.statistic() * BETS + self._gain
