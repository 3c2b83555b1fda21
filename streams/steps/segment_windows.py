"""All windows of one segment: amounts of its traces, scores of its answers, rates of its conversations."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from detectors.rate_windows import RateWindows
from detectors.windows import Closed, Windows
from schemas.observation import Flag, TraceRow
from schemas.signal import SignalName, WindowStat
from streams.steps.inflight import Result
from streams.steps.ledger import scorable

AMOUNTS = {
    SignalName.COST: True,
    SignalName.TOKENS: True,
    SignalName.LATENCY: True,
    SignalName.TIME_TO_FIRST_TOKEN: True,
}
SCORES = {SignalName.FAITHFULNESS: False}
LOW_SCORE = Flag.LOW_SCORE.value
_time = itemgetter(0)


class Horizons(NamedTuple):
    """Up to where an app's windows are closed. A trace's amounts are known when the watermark has passed
    it; a conversation is decided, and most scores have come, ``decided_ms`` later."""

    amounts: Closed
    decided: Closed

    @classmethod
    def at(cls, watermark: int | None, decided_ms: int) -> Horizons:
        return cls(Closed(watermark), Closed(None if watermark is None else watermark - decided_ms))

    def move(self, watermark: int, decided_ms: int) -> None:
        self.amounts.at, self.decided.at = watermark, watermark - decided_ms


class SegmentWindows:
    """The windows of one segment (app, environment, route); ``horizons`` are its app's.

    Tokens and times are kept of traces that state them; every trace counts in cost, priced or not.
    """

    def __init__(
        self, of: tuple[str, str, str], horizons: Horizons, width_ms: int, watched: Sequence[SignalName]
    ) -> None:
        self.width_ms = width_ms
        self._amounts = Windows(of, AMOUNTS, horizons.amounts, width_ms)
        self._scores = Windows(of, SCORES, horizons.decided, width_ms)
        self.rates = RateWindows(*of, width_ms, watched)
        self.too_late = 0
        """Costs and scores whose window is no longer known."""

    def traces(self, rows: Sequence[TraceRow], late: bool = False) -> None:
        """What traces cost, took and used: rows in the order of their times."""
        extend = self._amounts.extend
        for start, run in self._runs(rows):
            n = len(run)
            costs = [cost for row in run if (cost := row[10]) is not None]
            if not extend(start, SignalName.COST, costs, n - len(costs), 0, len(costs) if late else 0):
                self.too_late += n
                continue
            tokens: list[float] = [
                row[12] + row[13] for row in run if row[12] is not None and row[13] is not None
            ]
            latencies = [took for row in run if (took := row[14]) is not None]
            firsts = [took for row in run if (took := row[16]) is not None]
            for signal, values in (
                (SignalName.TOKENS, tokens),
                (SignalName.LATENCY, latencies),
                (SignalName.TIME_TO_FIRST_TOKEN, firsts),
            ):
                if values:
                    extend(start, signal, values, 0, 0, len(values) if late else 0)

    def measured(self, rows: Sequence[TraceRow]) -> None:
        """The applications' own scores, or none, of traces in the order of their times."""
        for start, run in self._runs(rows):
            scores = [score for row in run if (score := row[15]) is not None]
            low = sum([1 for row in run if row[9] & LOW_SCORE])
            if not self._scores.extend(start, SignalName.FAITHFULNESS, scores, len(run) - len(scores), low):
                self.too_late += len(run)

    def _runs(self, rows: Sequence[TraceRow]) -> Iterator[tuple[int, Sequence[TraceRow]]]:
        """Rows by window."""
        at, width, last = 0, self.width_ms, rows[-1][0]
        while True:
            time = rows[at][0]
            start = time - time % width
            if last < start + width:
                yield start, rows[at:] if at else rows
                return
            end = bisect_left(rows, start + width, at, key=_time)
            yield start, rows[at:end]
            at = end

    def score(self, row: TraceRow, result: Result | None) -> None:
        """A judge's score in its trace's turn, or the application's own that waited its turn."""
        if result is None:
            self._score(row.time, None, False, False)
        else:
            self._score(row.time, result.value, False, result.low or bool(row.flags & LOW_SCORE))

    def late_score(self, time: int, result: Result) -> None:
        self._score(time, result.value, True, result.low)

    def late_trace(self, row: TraceRow) -> None:
        self.traces([row], late=True)
        if row.faithfulness is not None or not scorable(row):
            self._score(row.time, row.faithfulness, True, bool(row.flags & LOW_SCORE))

    def _score(self, time: int, value: float | None, late: bool, low: bool) -> None:
        if not self._scores.add(time, SignalName.FAITHFULNESS, value, late, low and value is not None):
            self.too_late += 1

    def close(self, watermark: int, decided_ms: int) -> list[WindowStat]:
        """What closes when the watermark is here; whoever asks moves the horizons then."""
        decided = watermark - decided_ms
        amounts, scores, rates = self._amounts.close(watermark), self._scores, self.rates
        return amounts + scores.close(decided) + rates.close(decided)

    def collect(self) -> list[WindowStat]:
        """What has come for closed windows since the last call; once a commit."""
        return self._scores.collect() + self._amounts.collect()

    def snapshot(self) -> dict[str, Any]:
        """The open windows: changes with every unit."""
        return {
            "amounts": self._amounts.snapshot(),
            "scores": self._scores.snapshot(),
            "rates": self.rates.snapshot(),
            "too_late": self.too_late,
        }

    def parts(self) -> list[dict[str, list[int]]] | None:
        """The numbers of the next parts, where they have changed since the last call."""
        if not (self._amounts.parts_changed or self._scores.parts_changed):
            return None
        self._amounts.parts_changed = self._scores.parts_changed = False
        return [self._amounts.parts(), self._scores.parts()]

    def restore(self, state: dict[str, Any], parts: Sequence[dict[str, list[int]]] | None) -> None:
        """Take over what was written: the last snapshot, and the last parts if there were any."""
        amounts, scores = parts or ({}, {})
        self._amounts.restore(state["amounts"], amounts)
        self._scores.restore(state["scores"], scores)
        self.rates.restore(state["rates"])
        self.too_late = state["too_late"]
