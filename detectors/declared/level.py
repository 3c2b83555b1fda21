"""A declared line: the mean or the sum of a signal over a rolling window of whole buckets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from detectors.declared.buckets import Buckets, Measured, Sum
from detectors.declared.finding import Finding, Returned, Said
from detectors.declared.latch import Latch, Turn
from detectors.declared.policy import BUCKET_MS, Threshold
from detectors.declared.say import length


class Level:
    """Fires when the mean of the last ``over_ms`` crosses the line, on at least ``min_units`` units::

        (sum of values in [end - over, end)) / n  > line      (below: < line), asked at each bucket's end

    With ``sums`` the sum itself is held against the line; then ``min_units`` is not asked for, and below a
    line only where the segment has been known for the whole window. It fires once, clears at
    ``Threshold.clears_at`` (a tenth of the line back unless declared), and is told again after 24 h of not
    clearing.

    A bucket without a unit is not asked about: silence neither fires nor clears. Only where units are all
    that is counted (``counts``: volume) is it, until the window is empty.

    **Nothing is provable:** a line has no budget of false pages. On a healthy mean near the line it fires by
    chance; how often is a matter of the units in the window, and ``gleaner backtest`` counts it. Measured in
    the field: a true pass rate of .90 under "mean < .75" over an hour, 0.2 scored requests a minute, fires
    6.6 times a day. **Misleads** where the mean is moved by its mix, by an hour of the day or by one request
    of 42 times the cost: the learned rules know these.

    >>> watch = Level(Threshold(0.5, False, BUCKET_MS, 2), "answers", "failed", "{:.2f}".format, share=True)
    >>> watch.add([(0, 1.0, "a"), (1, 1.0, "b"), (BUCKET_MS, 0.0, "c"), (2 * BUCKET_MS, 1.0, "d")])
    >>> [(finding.time, finding.value) for finding in watch.close(3 * BUCKET_MS)]
    [(300000, 1.0)]
    """

    __slots__ = (
        "_asked",
        "_buckets",
        "_clear",
        "_counts",
        "_heard",
        "_latch",
        "_policy",
        "_say",
        "_sums",
        "_units",
        "_what",
    )

    def __init__(
        self,
        policy: Threshold,
        units: str,
        what: str,
        say: Callable[[float], str],
        share: bool = False,
        sums: bool = False,
        counts: bool = False,
    ) -> None:
        """``what`` is the signal's name, ``say`` writes its value, ``share`` says that it cannot exceed 1."""
        self._policy = policy
        self._units = units
        self._what = what
        self._say = say
        self._sums = sums
        self._counts = counts
        self._clear = policy.clears_at(share)
        self._buckets = Buckets(policy.over_ms, policy.falls, 0.0 if share and not policy.falls else None)
        self._latch = Latch()
        self._asked: int | None = None
        """The end of the bucket that was asked about last; ``_heard``: of the last one that had a unit."""
        self._heard = 0

    def add(self, units: Iterable[Measured]) -> None:
        self._buckets.extend(units)

    def close(self, upto: int) -> list[Said]:
        """No unit before ``upto`` is to come: what the buckets that end there bring."""
        found: list[Said] = []
        for end, examples in self._buckets.close(upto):
            found += self._silence(end - BUCKET_MS)
            found += self._ask(end, examples)
            self._asked = self._heard = end
        return found + self._silence(upto)

    def _silence(self, upto: int) -> list[Said]:
        """Where units are counted: ask at the ends of the empty buckets since the last one that was asked."""
        if not self._counts or self._asked is None:
            return []
        found: list[Said] = []
        stop = min(upto, self._heard + self._policy.over_ms)
        for end in range(self._asked + BUCKET_MS, stop + 1, BUCKET_MS):
            found += self._ask(end, ())
            self._asked = end
        return found

    def _ask(self, end: int, examples: tuple[str, ...]) -> list[Said]:
        policy = self._policy
        measured = self._buckets.window(end, policy.over_ms)
        value = self._value(end, measured)
        if value is None:
            return []
        beyond = value < policy.line if policy.falls else value > policy.line
        back = value >= self._clear if policy.falls else value <= self._clear
        turn = self._latch.ask(end, beyond, back)
        if turn in (Turn.QUIET, Turn.HELD):
            return []
        over = length(policy.over_ms)
        whose = f"{'' if self._sums else 'mean '}{self._what} of the last {over}"
        of = "" if self._counts else f" ({measured.n:,} {self._units})"
        is_ = f"{whose} is {self._say(value)}{of}"
        if turn is Turn.CLEARED:
            return [
                Returned(
                    time=end,
                    since=end - BUCKET_MS,
                    opened=self._latch.opened,
                    value=value,
                    baseline=policy.line,
                    bound=self._clear,
                    n=measured.n,
                    reason=f"{is_}, back at the {self._say(self._clear)} where the alarm clears",
                )
            ]
        onset = end - policy.over_ms
        if not self._sums:
            onset = self._buckets.onset(end, policy.over_ms, policy.line)
        return [
            Finding(
                time=end,
                onset=onset,
                value=value,
                baseline=policy.line,
                note=f"declared, over {over}",
                n=measured.n,
                reason=f"{is_}, {policy.side} the declared {self._say(policy.line)};"
                f" it clears at {self._say(self._clear)}",
                rises=not policy.falls,
                examples=examples,
            )
        ]

    def _value(self, end: int, measured: Sum) -> float | None:
        """What is held against the line; None where there is not enough to judge by."""
        policy = self._policy
        if not self._sums:
            return measured.total / measured.n if measured.n >= policy.min_units else None
        first = self._buckets.first
        whole = first is not None and end - first >= policy.over_ms
        return measured.total if whole or not policy.falls else None

    def snapshot(self) -> dict[str, Any]:
        return {
            "buckets": self._buckets.snapshot(),
            "told": self._latch.snapshot(),
            "asked": self._asked,
            "heard": self._heard,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._buckets.restore(state["buckets"])
        self._latch.restore(state["told"])
        self._asked, self._heard = state["asked"], state["heard"]
