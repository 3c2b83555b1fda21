"""Detector of a signal whose units lie in [0, 1]: a score's badness, or a rate's 0 and 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from detectors.baseline import HOUR_MS, ArmingPolicy, Baseline, Pin, Stage
from detectors.esr import MixtureESR
from detectors.unit import Unit

Bets = Callable[[float], tuple[float, float]]


class BoundedDetector:
    """A baseline that learns, and the e-SR that watches units against it once it is pinned.

    Guarantee and limits are those of :class:`~detectors.esr.MixtureESR` and
    :class:`~detectors.baseline.Baseline`; together: exact if the healthy mean is at most the pinned
    ``m0``, which is likely (measured) and not certain. A unit is watched before it is learned from, so
    the baseline never knows the unit that it is compared to.
    """

    __slots__ = ("_baseline", "_bets", "_esr", "_frozen", "pin")

    def __init__(
        self,
        bets: Bets,
        weeks: float,
        policy: ArmingPolicy,
        tolerance: float = 0.0,
        bound: float | None = None,
    ) -> None:
        self._bets = bets
        self._baseline = Baseline(weeks, policy, tolerance, bound)
        self._build()

    _esr: MixtureESR | None
    pin: Pin | None
    outliers: Final[list[int]] = []
    """None: a single bad answer is a case by its own score, not by its place among others."""

    def update(self, time: int, trace_id: str, y: float, segments: int, learn: bool) -> bool:
        """Absorb one unit; whether the statistic has reached the threshold."""
        esr = self._esr
        if esr is not None and self.pin is not None and esr.update(self.pin.against(time, y)):
            return True
        if learn and not self._frozen and self._baseline.learn(time, y, segments):
            self._build()
        return False

    def run(
        self, units: Sequence[Unit], start: int, stop: int, segments: int, learn: bool
    ) -> tuple[int, bool]:
        """As :meth:`update` for ``units[start:stop]``, up to the first that fires or pins a baseline.

        Returns how far it came, and whether the last unit absorbed has fired.
        """
        esr, baseline = self._esr, self._baseline
        learn = learn and not self._frozen
        if learn and not baseline.cannot_pin(units[stop - 1][0], stop - start):
            time, y, trace_id, _, _ = units[start]
            return start + 1, self.update(time, trace_id, y, segments, True)
        hit = stop - start if esr is None else esr.run(self._against(units[start:stop]))
        end = start + hit
        if learn:
            baseline.learn_all(units[start:end])
        return (end + 1, True) if end < stop else (end, False)

    def _against(self, units: Sequence[Unit]) -> list[float]:
        """Each unit as it stands to its hour (see ``Pin.against``)."""
        pin = self.pin
        if pin is None or not pin.hours:
            return [unit[1] for unit in units]
        shifts = [pin.m0 - hour for hour in pin.hours]
        return [unit[1] + shifts[unit[0] // HOUR_MS % 24] for unit in units]

    def _build(self) -> None:
        pin = self._baseline.pin
        self.pin = pin
        self._frozen = pin is not None and pin.stage is Stage.PINNED
        self._esr = None
        if pin is not None and not pin.worst:
            self._esr = MixtureESR(pin.m0, pin.variance, self._bets(pin.m0), pin.threshold)

    def side(self) -> int:
        """Which view of the units has moved: there is one."""
        return 0

    def views(self, units: Sequence[Unit], side: int) -> list[float]:
        """Units as the detector sees them."""
        return self._against(units)

    def usual(self, side: int) -> tuple[float, float]:
        """Mean and variance of that view when all is well; asked only once a baseline is pinned."""
        assert self.pin is not None
        return self.pin.m0, self.pin.variance

    def level(self) -> tuple[float, None]:
        """The mean of y when all is well."""
        return self.pin.mean if self.pin is not None else 0.0, None

    def since_reset(self) -> tuple[int, int]:
        """(units since reset, how many of them come before the estimated change)."""
        return (self._esr.n, self._esr.change_point()) if self._esr is not None else (0, 0)

    def note(self) -> str:
        """The baseline in words."""
        return self.pin.note() if self.pin is not None else "learning"

    def evidence(self) -> float:
        return self._esr.evidence() if self._esr is not None else 0.0

    def reset(self) -> None:
        if self._esr is not None:
            self._esr.reset()

    def forget(self, since: int, units: list[tuple[int, float]]) -> None:
        """Take back what was learned from ``since`` on."""
        if not self._frozen:
            self._baseline.forget(since, units)

    def repin(self) -> None:
        """Forget what normal was and learn it anew."""
        self._baseline.restart()
        self._build()

    def rescale(self, budget: float) -> None:
        """The budget is so many times what it was; the statistic starts from nothing."""
        self._baseline.rescale(budget)
        self._build()

    def redeclare(self) -> None:
        """The rule's bound is not the one of the pin; the statistic starts from nothing."""
        self._baseline.redeclare()
        self._build()

    def baseline(self) -> dict[str, Any]:
        """What changes with the pin alone."""
        return {"pin": self.pin and self.pin[:]}

    learning: Final[Sequence[int]] = ()

    def learned(self, part: int) -> None:
        """Nothing that is large: sums, in the snapshot."""

    def snapshot(self) -> dict[str, Any]:
        """What changes with every unit."""
        return {"learned": self._baseline.snapshot(), "esr": self._esr and self._esr.snapshot()}

    def restore(
        self, baseline: dict[str, Any], state: dict[str, Any], learned: Mapping[int, Any] | None = None
    ) -> None:
        self._baseline.restore(baseline["pin"], state["learned"])
        self._build()
        if self._esr is not None and state["esr"] is not None:
            self._esr.restore(state["esr"])
