"""What normal means: learned from the first units, pinned, and then left alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist
from typing import Any, NamedTuple

from detectors.pauses import Pauses
from detectors.unit import Unit

HOUR_MS = 3_600_000
HOUR_UNITS = 30
"""Units that every hour of the day needs before a baseline by hour may be drawn."""
CYCLE = 35.17
"""Chi-square with 23 degrees of freedom at 5 %: hourly means that differ by less are one mean."""
DAY_MS = 24 * HOUR_MS
SURE = 0.999
"""What a mean of badness is defended at, at most; from here on it is taken for 1."""


class Stage(IntEnum):
    """How far a baseline has come."""

    LEARNING = 0
    """Too few units: the detector is not armed and cannot fire."""
    PROVISIONAL = 1
    """Armed from the first units, with a wider margin; pinned again once."""
    PINNED = 2
    """Frozen until somebody accepts another level as normal (:mod:`detectors.acceptance`)."""


@dataclass(frozen=True, slots=True)
class ArmingPolicy:
    """When a baseline arms, with how many standard errors of margin, and how rare false pages are to be.

    Margins after the measurements in docs/detectors.md: the plain mean of W units as ``m0`` breaks the
    detector's bound; two standard errors below 1,000 units and one from there restore it (measured).
    """

    provisional_units: int = 200
    provisional_errors: float = 2.0
    full_units: int = 5_000
    full_span_ms: int = 3 * DAY_MS
    slow_units: int = 1_000
    slow_span_ms: int = 7 * DAY_MS
    pinned_errors: float = 1.0
    shortest_span_ms: int = HOUR_MS
    """A reference that took less counts as having taken this, when its units a day are reckoned."""
    least_threshold: float = 5_000.0
    """No budget arms below this: a segment of 20 units a day would else be allowed an alarm every month
    of noise, and 200 units of reference do not support a bound that tight anyway."""

    @property
    def least_span_ms(self) -> int:
        """No second pin before the reference spans this."""
        return min(self.full_span_ms, self.slow_span_ms)

    def due(self, stage: Stage, n: int, span_ms: int) -> Stage | None:
        """The stage that a reference of ``n`` units over ``span_ms`` of event time deserves, if a new one.

        >>> ArmingPolicy().due(Stage.LEARNING, 200, 60_000)
        <Stage.PROVISIONAL: 1>
        >>> ArmingPolicy().due(Stage.PROVISIONAL, 5_000, 2 * DAY_MS) is None
        True
        """
        if stage is Stage.LEARNING:
            return Stage.PROVISIONAL if n >= self.provisional_units else None
        if stage is Stage.PROVISIONAL and n >= self.slow_units:
            full = n >= self.full_units and span_ms >= self.full_span_ms
            if full or span_ms >= self.slow_span_ms:
                return Stage.PINNED
        return None

    def errors(self, stage: Stage, segments: int = 1) -> float:
        """Standard errors of margin on a baseline of this stage, where so many segments share a budget.

        Of many baselines some are underestimated by chance, and those fire again and again: the chance of
        each is divided by their number (Bonferroni).

        >>> policy = ArmingPolicy()
        >>> policy.errors(Stage.PINNED), round(policy.errors(Stage.PROVISIONAL, segments=1_000), 2)
        (1.0, 4.08)
        """
        errors = self.pinned_errors if stage is Stage.PINNED else self.provisional_errors
        if segments <= 1:
            return errors
        return NormalDist().inv_cdf(1.0 - (1.0 - NormalDist().cdf(errors)) / segments)

    def threshold(self, n: int, span_ms: int, segments: int, weeks: float) -> float:
        """``A = segments x units a day x 7 x weeks``: mean units to a false alarm that the budget asks for.

        The budget is the rule's over all its segments. Units a day are the reference's own: once it has
        doubled, accept what is as normal.

        >>> ArmingPolicy().threshold(n=10_000, span_ms=DAY_MS, segments=1, weeks=4)
        280000.0
        """
        units_a_day = n * DAY_MS / max(span_ms, self.shortest_span_ms)
        return max(max(segments, 1) * units_a_day * 7.0 * weeks, self.least_threshold)

    def rescaled(self, pin: Pin, budget: float) -> Pin:
        """``pin`` under a budget of so many times the weeks. Where the least threshold had decided, that is
        what is multiplied: more than the budget asks for, never less."""
        return pin._replace(threshold=max(pin.threshold * budget, self.least_threshold))


class Pin(NamedTuple):
    """A pinned baseline: ``mean`` is what to show, ``m0`` what the detector defends (mean plus margin)."""

    stage: Stage
    mean: float
    m0: float
    variance: float
    n: int
    span_ms: int
    threshold: float
    hours: tuple[float, ...] = ()
    """What is defended in each hour of the day (UTC), where the signal has a daily cycle; ``m0`` is then the
    largest of them."""

    @property
    def worst(self) -> bool:
        """Whether all is as bad as can be already: there is nothing to detect."""
        return not self.hours and self.m0 >= 1.0

    def note(self) -> str:
        """The baseline in words.

        >>> Pin(Stage.PROVISIONAL, 0.1, 0.12, 0.05, 200, HOUR_MS, 5000.0).note()
        'provisional, 200 units over 1 hour'
        """
        by_hour = ", by hour of the day" if self.hours else ""
        return f"{self.stage.name.lower()}, {self.n:,} units over {span_in_words(self.span_ms)}{by_hour}"

    def against(self, time: int, y: float) -> float:
        """``y`` as it stands to its hour: ``y - m0(hour) + m0``, which is at least 0 and has a mean of at
        most ``m0`` while every hour keeps to its own."""
        return y + (self.m0 - self.hours[time // HOUR_MS % 24]) if self.hours else y


def span_in_words(span_ms: int) -> str:
    """A length of event time for people.

    >>> span_in_words(90_000), span_in_words(259_200_000)
    ('2 minutes', '3 days')
    """
    for size, name in ((DAY_MS, "day"), (HOUR_MS, "hour"), (60_000, "minute")):
        if span_ms >= size:
            count = round(span_ms / size)
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    return "less than a minute"


def unseen(span_ms: int) -> float:
    """Part of a day that a reference of this length has not seen, 0 to 1.

    >>> unseen(6 * HOUR_MS), unseen(3 * DAY_MS)
    (0.75, 0.0)
    """
    return max(0.0, 1.0 - span_ms / DAY_MS)


def wilson(rate: float, n: int, z: float) -> float:
    """Upper end of the score interval of a rate, ``z`` standard errors wide (Wilson 1927, JASA 22:209).

    >>> round(wilson(0.0, 200, 2.0), 4), round(wilson(0.02, 200, 2.0), 4)
    (0.0196, 0.0512)
    """
    z2 = z * z / n
    return (rate + z2 / 2.0 + math.sqrt(z2 * rate * (1.0 - rate) + z2 * z2 / 4.0)) / (1.0 + z2)


def at_most_one(m0: float) -> float:
    """What is defended of a mean of badness in [0, 1].

    >>> at_most_one(0.5), at_most_one(0.9992), at_most_one(1.02)
    (0.5, 1.0, 1.0)
    """
    return m0 if m0 < SURE else 1.0


class Baseline:
    """Mean and variance of a bounded signal (badness in [0, 1]), learned and then pinned.

    Sums of all units since learning began; ``m0 = mean + z SE`` with ``SE = sqrt(variance / W)``, and for
    a rate (units of 0 and 1) the upper end of the Wilson score interval, since the plain one forgets that a
    rare rate's own variance is estimated too low whenever the rate is. Floors: ``m0 >= max(1 / W, 1e-3)``,
    and the variance is at least that of one positive in W, because a rate without any positive in its
    reference is not known to be zero. An ``m0`` of 0.999 and more is 1: then nothing is left to detect, and
    nothing is watched (:attr:`Pin.worst`): every unit would "exceed" an ``m0`` below a healthy mean of 1.

    At the second pin a signal whose hourly means differ (chi-square test at 5 %, every hour with 30 units) is
    defended hour by hour, each hour's mean with its own margin; else hour means would only add margin.

    A reference shorter than a day cannot tell the time of day from a change, so ``tolerance`` times the
    part of the day that it has not seen is added to ``m0``.

    Pauses of more than a day are no part of what the reference spans, where they are the exception
    (:class:`~detectors.pauses.Pauses`).

    With a ``bound`` nothing is learned but the variance and the volume: ``m0`` is the bound.

    **Misleads** when the reference itself was bad, when it did not cover a whole cycle of the signal
    (provisional ones never do), or when units depend on each other, which makes the SE too small.
    """

    __slots__ = (
        "_first",
        "_hour_n",
        "_hour_total",
        "_last",
        "_least_span",
        "_n",
        "_pauses",
        "_squares",
        "_total",
        "bound",
        "pin",
        "policy",
        "tolerance",
        "weeks",
    )

    def __init__(
        self, weeks: float, policy: ArmingPolicy, tolerance: float = 0.0, bound: float | None = None
    ) -> None:
        self.weeks = weeks
        self.policy = policy
        self.tolerance = tolerance
        self.bound = bound
        self._least_span = policy.least_span_ms
        self.restart()

    def restart(self) -> None:
        """Learn anew from the next unit."""
        self.pin: Pin | None = None
        self._n = 0
        self._total = 0.0
        self._squares = 0.0
        self._first = 0
        self._last = 0
        self._pauses = Pauses()
        self._hour_n = [0] * 24
        self._hour_total = [0.0] * 24

    def rescale(self, budget: float) -> None:
        """The budget is so many times what it was: the threshold follows, never below the least one."""
        if self.pin is not None:
            self.pin = self.policy.rescaled(self.pin, budget)

    def redeclare(self) -> None:
        """The bound is another one than that of the pin: it takes its place, where there is one; what is
        learned instead is learned from nothing."""
        pin = self.pin
        if pin is not None and self.bound is not None:
            self.pin = pin._replace(stage=Stage.PINNED, mean=self.bound, m0=self.bound, hours=())
        elif pin is not None:
            self.restart()

    @property
    def stage(self) -> Stage:
        return self.pin.stage if self.pin is not None else Stage.LEARNING

    def learn(self, time: int, y: float, segments: int) -> bool:
        """Absorb one healthy unit; whether that pinned a new baseline."""
        if self._n == 0:
            self._first = self._last = time
        elif time > self._last:
            self._pauses.note(self._last, time)
            self._last = time
        self._n = n = self._n + 1
        self._total += y
        self._squares += y * y
        hour = time // HOUR_MS % 24
        self._hour_n[hour] += 1
        self._hour_total[hour] += y
        pin = self.pin
        if n < (self.policy.provisional_units if pin is None else self.policy.slow_units):
            return False
        span = self._pauses.span(self._first, self._last, n)
        if pin is not None and span < self._least_span:
            return False
        stage = self.policy.due(self.stage, n, span)
        if stage is None:
            return False
        mean = self._total / n
        variance = max((self._squares - n * mean * mean) / (n - 1), (1.0 - 1.0 / n) / n)
        z = self.policy.errors(stage, segments)
        upper = self._upper(mean, n, z, variance)
        m0 = max(upper + self.tolerance * unseen(span), 1.0 / n, 1e-3)
        threshold = self.policy.threshold(n, span, segments, self.weeks)
        if self.bound is not None:
            # Declared, not learned: the reference says only how many units a day there are.
            self.pin = Pin(Stage.PINNED, self.bound, self.bound, variance, n, span, threshold)
            return True
        hours = self._by_hour(mean, variance, z) if stage is Stage.PINNED else ()
        m0 = max(hours) if hours else at_most_one(m0)
        self.pin = Pin(stage, mean, m0, variance, n, span, threshold, hours)
        return True

    def _upper(self, mean: float, n: int, z: float, variance: float) -> float:
        # y * y = y for 0 and 1 alone, and their sums are exact.
        return wilson(mean, n, z) if self._squares == self._total else mean + z * math.sqrt(variance / n)

    def _by_hour(self, mean: float, variance: float, z: float) -> tuple[float, ...]:
        """What to defend in each hour of the day; empty where the hours don't differ."""
        if min(self._hour_n) < HOUR_UNITS:
            return ()
        means = [total / n for total, n in zip(self._hour_total, self._hour_n, strict=True)]
        spread = sum([n * (one - mean) ** 2 for one, n in zip(means, self._hour_n, strict=True)]) / variance
        if spread < CYCLE:
            return ()
        uppers = [self._upper(one, n, z, variance) for one, n in zip(means, self._hour_n, strict=True)]
        hours = tuple([at_most_one(max(upper, 1e-3)) for upper in uppers])
        return hours if min(hours) < 1.0 else ()

    def cannot_pin(self, last: int, units: int) -> bool:
        """Whether ``units`` more, none later than ``last``, are sure not to pin a new baseline."""
        if self.pin is None:
            return self._n + units < self.policy.provisional_units
        if self._n + units < self.policy.slow_units:
            return True
        return self._pauses.most(self._first, self._last, self._n, last) < self._least_span

    def learn_all(self, units: Sequence[Unit]) -> None:
        """As :meth:`learn` for each of them, where :meth:`cannot_pin` has said so."""
        if not units:
            return
        if self._n == 0:
            self._first = self._last = units[0][0]
        self._pauses.note_all(self._last, units)
        total, squares, last = self._total, self._squares, self._last
        hour_n, hour_total = self._hour_n, self._hour_total
        for time, y, *_ in units:
            hour = time // HOUR_MS % 24
            hour_n[hour] += 1
            hour_total[hour] += y
            total += y
            squares += y * y
            if time > last:
                last = time
        self._n += len(units)
        self._total, self._squares, self._last = total, squares, last

    def forget(self, since: int, units: list[tuple[int, float]]) -> None:
        """Take back units ``(time, y)`` learned from ``since`` on: they belong to an incident."""
        for time, y in units:
            if time >= since and self._n > 0:
                self._n -= 1
                self._total -= y
                self._squares -= y * y
                hour = time // HOUR_MS % 24
                self._hour_n[hour] -= 1
                self._hour_total[hour] -= y
        self._last = max(min(self._last, since), self._first)

    def snapshot(self) -> dict[str, Any]:
        """What has been learned, beside the pin."""
        sums = [self._n, self._total, self._squares, self._first, self._last]
        hours = [list(self._hour_n), list(self._hour_total)]
        return {"sums": sums, "hours": hours, "pauses": self._pauses.snapshot()}

    def restore(self, pin: Sequence[Any] | None, state: dict[str, Any]) -> None:
        """Take over what was written; before ``SURE`` was, 0.999 stood for 1."""
        self.pin = Pin(Stage(pin[0]), *pin[1:7])._replace(hours=tuple(pin[7])) if pin else None
        if self.pin is not None and self.bound is None:
            hours = tuple([at_most_one(hour) for hour in self.pin.hours])
            self.pin = self.pin._replace(m0=at_most_one(self.pin.m0), hours=hours)
        self._n, self._total, self._squares, self._first, self._last = state["sums"]
        self._hour_n, self._hour_total = list(state["hours"][0]), list(state["hours"][1])
        self._pauses.restore(state.get("pauses", (0, 0)))
