"""How much traffic is normal: requests a bucket by hour of the day, learned and then pinned."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt
from typing import Any, NamedTuple

from detectors.baseline import HOUR_MS, ArmingPolicy, Stage
from detectors.declared.count_law import LEAST_DISPERSION
from detectors.declared.policy import BUCKET_MS, DAY_MS

HOURS = 24
WEEK_BUCKETS = 7 * DAY_MS // BUCKET_MS


class VolumePin(NamedTuple):
    """Mean requests a bucket in each hour of the day (UTC): estimated, and the bounds that are defended."""

    stage: Stage
    days: int
    dispersion: float
    threshold: float
    """Mean number of buckets to a false alarm."""
    mean: tuple[float, ...]
    most: tuple[float, ...]
    least: tuple[float, ...]

    def note(self) -> str:
        return f"{self.stage.name.lower()}, {self.days} days by hour of the day"


class VolumeBaseline:
    """Counts of buckets by hour of the day. Armed at three full days, pinned at seven, then frozen.

    ``most`` and ``least`` are an hour's mean, plus and minus z standard errors (2 at first, 1 at the second
    pin, more where many segments share the budget). The buckets of one hour of one day rise and fall
    together, so the standard error is that of as many observations as there were days. The dispersion is
    the method of moments over all hours, ``sum n (s^2 - mean) / sum n mean^2``: what the hours' own counts
    vary beyond a Poisson count, the slope within an hour and the difference of days included.

    **Misleads** where days differ by their place in the week: a baseline of three working days meets its
    first weekend as a fall. Seven days count it as dispersion, which blinds rather than warns.
    """

    __slots__ = ("_counts", "_squares", "_totals", "_weeks", "pin", "policy")

    def __init__(self, weeks: float, policy: ArmingPolicy | None = None) -> None:
        self._weeks = weeks
        self.policy = policy or ArmingPolicy()
        self.restart()

    def restart(self) -> None:
        self.pin: VolumePin | None = None
        self._counts = [0] * HOURS
        self._totals = [0] * HOURS
        self._squares = [0] * HOURS

    @property
    def frozen(self) -> bool:
        return self.pin is not None and self.pin.stage is Stage.PINNED

    def learn(self, start: int, count: int, segments: int) -> bool:
        """Absorb the bucket that starts at ``start``; whether that pinned a new baseline."""
        if self.frozen:
            return False
        self._add(start, count, 1)
        days = sum(self._counts) * BUCKET_MS // DAY_MS
        stage = Stage.PINNED if days >= 7 else Stage.PROVISIONAL if days >= 3 else Stage.LEARNING
        known = Stage.LEARNING if self.pin is None else self.pin.stage
        if stage <= known or min(self._counts) < 2 * days:
            return False
        self.pin = self._pin(stage, days, segments)
        return True

    def _add(self, start: int, count: int, sign: int) -> None:
        hour = start // HOUR_MS % HOURS
        self._counts[hour] += sign
        self._totals[hour] += sign * count
        self._squares[hour] += sign * count * count

    def forget(self, buckets: Iterable[tuple[int, int]]) -> None:
        """Take back buckets ``(start, count)``: they belong to an incident."""
        if not self.frozen:
            for start, count in buckets:
                self._add(start, count, -1)

    def _pin(self, stage: Stage, days: int, segments: int) -> VolumePin:
        means = [total / n for total, n in zip(self._totals, self._counts, strict=True)]
        variances = [
            (squares - n * mean * mean) / (n - 1)
            for squares, n, mean in zip(self._squares, self._counts, means, strict=True)
        ]
        weighed = list(zip(self._counts, means, variances, strict=True))
        over = sum([n * (variance - mean) for n, mean, variance in weighed])
        of = sum([n * mean * mean for n, mean, _ in weighed])
        z = self.policy.errors(stage, segments)
        # One request more in an hour's reference: an hour without any is not known to have none.
        errors = [z * sqrt(max(variance, mean, 1.0 / n) / days) for n, mean, variance in weighed]
        return VolumePin(
            stage,
            days,
            max(over / of, LEAST_DISPERSION) if of else LEAST_DISPERSION,
            WEEK_BUCKETS * self._weeks * max(segments, 1),
            tuple(means),
            tuple([mean + error for mean, error in zip(means, errors, strict=True)]),
            tuple([max(mean - error, 1e-6) for mean, error in zip(means, errors, strict=True)]),
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "pin": self.pin and self.pin[:],
            "hours": [list(self._counts), list(self._totals), list(self._squares)],
            "weeks": self._weeks,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what was written; a threshold that was of another budget becomes this one's."""
        pin = state["pin"]
        self.pin = None
        if pin is not None:
            self.pin = VolumePin(Stage(pin[0]), *pin[1:4], *[tuple(hours) for hours in pin[4:]])
            budget = self._weeks / state.get("weeks", self._weeks)
            self.pin = self.pin._replace(threshold=self.pin.threshold * budget)
        self._counts, self._totals, self._squares = [list(column) for column in state["hours"]]
