"""What is compared: detectors armed on a stream's reference; the shipped ones as they arm in production."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from benchmarks.detectors.streams import Stream
from detectors.baseline import ArmingPolicy, Baseline, Stage
from detectors.cost import CostDetector
from detectors.esr import BETS, MixtureESR, fraction_bets, rate_bets

NEVER = 10**15


class Watcher(Protocol):
    """Armed; ``peak`` and ``first`` start from nothing each time.

    The *setting* is the one number by which a detector is made rarer: a threshold, a factor, or -ln of a
    confidence. ``first`` finds an alarm at every setting up to ``peak``, and none above it.
    """

    def peak(self, start: int, stop: int) -> float:
        """The largest setting at which one of these units of its stream is an alarm."""

    def first(self, start: int, stop: int, setting: float) -> int | None:
        """The first unit from ``start`` on that is an alarm at this setting."""


class Contender(NamedTuple):
    """A detector of the comparison. ``part`` of the streams are enough for it where it is slow; with a
    ``setting`` it is not matched to a run length but taken as it is."""

    name: str
    arm: Callable[[Stream], Watcher]
    part: float = 1.0
    setting: float | None = None


class BoundedWatcher:
    """A score or a rate: the reference's mean plus its margin is defended (see ``Baseline``)."""

    def __init__(self, stream: Stream) -> None:
        reference, policy = stream.reference, ArmingPolicy()
        margin = policy.pinned_errors if reference >= 1_000 else policy.provisional_errors
        arming = ArmingPolicy(provisional_units=reference, provisional_errors=margin, slow_units=NEVER)
        self._ys: list[float] = stream.y.tolist()
        # A week of event time, so that no allowance for unseen hours is added.
        baseline = Baseline(4.0, arming)
        for at in range(reference):
            baseline.learn(at * 7 * 86_400_000 // reference, self._ys[at], 1)
        assert baseline.pin is not None
        self._pin = baseline.pin
        self._bets = rate_bets if stream.family == "rate" else fraction_bets

    def _fresh(self, threshold: float) -> MixtureESR:
        return MixtureESR(self._pin.m0, self._pin.variance, self._bets(self._pin.m0), threshold)

    def peak(self, start: int, stop: int) -> float:
        esr = self._fresh(1e300)
        return max([esr.step(y) for y in self._ys[start:stop]]) / BETS

    def first(self, start: int, stop: int, setting: float) -> int | None:
        hit = self._fresh(setting).run(self._ys[start:stop])
        return start + hit if hit < stop - start else None


class CostWatcher:
    """Cost per request under the shipped policy: pinned after three days, with a profile of the day."""

    def __init__(self, stream: Stream) -> None:
        self._times: list[int] = (stream.at * 1000).astype(int).tolist()
        self._dollars: list[float] = stream.y.tolist()
        learner = CostDetector(4.0, ArmingPolicy(least_threshold=1e300))
        for unit in range(stream.reference):
            learner.update(self._times[unit], f"t{unit}", self._dollars[unit], 1, True)
        assert learner.pin is not None
        assert learner.pin.stage is Stage.PINNED, "the reference is too short for the second pin"
        self._pin = learner.pin
        self._baseline, self._state = learner.baseline(), learner.snapshot()

    def _fresh(self, threshold: float) -> CostDetector:
        detector = CostDetector(4.0, ArmingPolicy())
        pin = self._pin._replace(threshold=threshold)
        state = dict(self._state, reference=None)
        detector.restore(dict(self._baseline, pin=pin), state)
        assert detector.pin is not None
        assert detector.pin.threshold == threshold
        detector.reset()
        return detector

    def peak(self, start: int, stop: int) -> float:
        detector, best = self._fresh(1e200), 0.0
        for unit in range(start, stop):
            detector.update(self._times[unit], "", self._dollars[unit], 1, False)
            best = max(best, detector.evidence())
        return float(10.0**best)

    def first(self, start: int, stop: int, setting: float) -> int | None:
        detector = self._fresh(setting)
        for unit in range(start, stop):
            if detector.update(self._times[unit], "", self._dollars[unit], 1, False):
                return unit
        return None


def shipped(stream: Stream) -> Watcher:
    """What Gleaner would watch this stream with."""
    return CostWatcher(stream) if stream.family == "cost" else BoundedWatcher(stream)
