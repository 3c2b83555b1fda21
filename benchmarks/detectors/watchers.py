"""The shipped detectors, armed on a reference as in production, then fed unit by unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from detectors.baseline import ArmingPolicy, Baseline, Stage
from detectors.cost import CostDetector
from detectors.esr import BETS, MixtureESR

NEVER = 10**15


class Watcher(Protocol):
    """Armed; ``peak`` and ``first`` start from nothing each time."""

    def peak(self, start: int, stop: int) -> float:
        """The largest value of the statistic over these units of its stream."""

    def first(self, start: int, stop: int, threshold: float) -> int | None:
        """The first unit from ``start`` on at which the statistic reaches the threshold."""


class BoundedWatcher:
    """A score or a rate: the reference's mean plus its margin is defended (see ``Baseline``)."""

    def __init__(
        self, ys: Sequence[float], reference: int, bets: Callable[[float], tuple[float, float]]
    ) -> None:
        policy = ArmingPolicy()
        margin = policy.pinned_errors if reference >= 1_000 else policy.provisional_errors
        arming = ArmingPolicy(provisional_units=reference, provisional_errors=margin, slow_units=NEVER)
        # A week of event time, so that no allowance for unseen hours is added.
        baseline = Baseline(4.0, arming)
        for at in range(reference):
            baseline.learn(at * 7 * 86_400_000 // reference, ys[at], 1)
        assert baseline.pin is not None
        self._ys, self._pin, self._bets = ys, baseline.pin, bets

    def _fresh(self, threshold: float) -> MixtureESR:
        return MixtureESR(self._pin.m0, self._pin.variance, self._bets(self._pin.m0), threshold)

    def peak(self, start: int, stop: int) -> float:
        esr = self._fresh(1e300)
        return max([esr.step(y) for y in self._ys[start:stop]]) / BETS

    def first(self, start: int, stop: int, threshold: float) -> int | None:
        hit = self._fresh(threshold).run(self._ys[start:stop])
        return start + hit if hit < stop - start else None


class CostWatcher:
    """Cost per request under the shipped policy: pinned after three days, with a profile of the day."""

    def __init__(self, at: Sequence[float], dollars: Sequence[float], reference: int) -> None:
        self._at, self._dollars = at, dollars
        learner = CostDetector(4.0, ArmingPolicy(least_threshold=1e300))
        for unit in range(reference):
            learner.update(int(at[unit] * 1000), f"t{unit}", dollars[unit], 1, True)
        assert learner.pin is not None
        assert learner.pin.stage is Stage.PINNED, "the reference is too short for the second pin"
        self._baseline, self._state = learner.baseline(), learner.snapshot()

    def _fresh(self, threshold: float) -> CostDetector:
        detector = CostDetector(4.0, ArmingPolicy())
        pin = [*self._baseline["pin"][:-1], threshold]
        state = dict(self._state, reference=None)
        detector.restore(dict(self._baseline, pin=pin), state)
        detector.reset()
        return detector

    def peak(self, start: int, stop: int) -> float:
        detector, best = self._fresh(1e200), 0.0
        for unit in range(start, stop):
            detector.update(int(self._at[unit] * 1000), "", self._dollars[unit], 1, False)
            if unit % 8 == 0 or unit == stop - 1:  # the statistic moves little in eight units
                best = max(best, detector.evidence())
        return float(10.0**best)

    def first(self, start: int, stop: int, threshold: float) -> int | None:
        detector = self._fresh(threshold)
        for unit in range(start, stop):
            if detector.update(int(self._at[unit] * 1000), "", self._dollars[unit], 1, False):
                return unit
        return None
