"""River's detectors that show no statistic: the setting at which they first alarm is found by bisection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from river import drift
from river.drift.binary import HDDMA, HDDMW
from scipy.stats import ks_2samp

from benchmarks.detectors.field import standardised
from benchmarks.detectors.streams import Stream

LEAST, MOST = 0.02, 150.0
"""Settings searched: -ln of a confidence, so of 0.98 to 7e-66."""
HALVINGS = 9
"""After which the logarithm of the setting is known to 2 %."""
KSWIN_WINDOW, KSWIN_PART = 1_000, 300
TOO_NEAR = float(ks_2samp([0] * KSWIN_PART, [1] * (KSWIN_PART // 10) + [0] * (KSWIN_PART * 9 // 10)).pvalue)
"""The p-value of a distance of 0.1, at which river's KSWIN does not alarm however often it is asked."""

Find = Callable[[Sequence[float], int, int, float], int | None]
"""Over units 0 to ``stop``: the first alarm of a rise from ``start`` on, at this setting. What a detector
finds in its reference it deals with itself."""


class River(Protocol):
    """What river's detectors have in common; it has no types."""

    @property
    def drift_detected(self) -> bool: ...
    def update(self, x: float) -> object: ...


class Searched:
    """A watcher by its alarms."""

    def __init__(self, ys: Sequence[float], find: Find) -> None:
        self._ys, self._find = ys, find

    def peak(self, start: int, stop: int) -> float:
        low, high = LEAST, MOST
        for _ in range(HALVINGS):
            middle = math.sqrt(low * high)
            if self._find(self._ys, start, stop, middle) is None:
                high = middle
            else:
                low = middle
        return low

    def first(self, start: int, stop: int, setting: float) -> int | None:
        return self._find(self._ys, start, stop, setting)


class Kswin:
    """river's KSWIN: its p-value is a statistic, the setting -ln of it. Two-sided: a fall is an alarm too;
    a distance of at most 0.1 never is."""

    def __init__(self, stream: Stream) -> None:
        self._ys: list[float] = stream.y.tolist()

    def _values(self, start: int, stop: int, alpha: float) -> Sequence[float]:
        """-ln p of the units from ``start`` on, up to the first alarm."""
        detector = drift.KSWIN(alpha=alpha, window_size=KSWIN_WINDOW, stat_size=KSWIN_PART, seed=1)
        for y in self._ys[max(start - KSWIN_WINDOW + 1, 0) : start]:
            detector.update(y)
        found: list[float] = []
        for y in self._ys[start:stop]:
            detector.update(y)
            p = float(detector.p_value)
            found.append(-math.log(max(p, 1e-300)) if p < TOO_NEAR else 0.0)
            if detector.drift_detected:
                break
        return found

    def peak(self, start: int, stop: int) -> float:
        return max(self._values(start, stop, 0.0))

    def first(self, start: int, stop: int, setting: float) -> int | None:
        found = self._values(start, stop, math.exp(-setting))
        return start + len(found) - 1 if found[-1] >= setting > 0.0 else None


def adwin(stream: Stream) -> Searched:
    """``river.drift.ADWIN`` that looks at every unit (``clock=1``); only a rising mean is an alarm."""
    return Searched(_levels(stream), _adwin)


def hddm_a(stream: Stream) -> Searched:
    return Searched(_levels(stream), _hddm_a)


def hddm_w(stream: Stream) -> Searched:
    return Searched(_levels(stream), _hddm_w)


def _levels(stream: Stream) -> Sequence[float]:
    levels: list[float] = (standardised(stream) if stream.family == "cost" else stream.y).tolist()
    return levels


def _adwin(ys: Sequence[float], start: int, stop: int, setting: float) -> int | None:
    detector = drift.ADWIN(delta=math.exp(-setting), clock=1)
    began = 0
    for at in range(stop):
        detector.update(ys[at])
        if detector.drift_detected:
            # river forgets the whole window at the next unit; here it still holds the part that it kept.
            before = sum(ys[began : at + 1]) / (at + 1 - began)
            if at >= start and detector.estimation > before:
                return at
            began = at + 1
    return None


def _hddm_a(ys: Sequence[float], start: int, stop: int, setting: float) -> int | None:
    return _hddm(HDDMA(drift_confidence=math.exp(-setting)), ys, start, stop)


def _hddm_w(ys: Sequence[float], start: int, stop: int, setting: float) -> int | None:
    return _hddm(HDDMW(drift_confidence=math.exp(-setting)), ys, start, stop)


def _hddm(detector: River, ys: Sequence[float], start: int, stop: int) -> int | None:
    for at in range(stop):
        detector.update(ys[at])
        if at >= start and detector.drift_detected:
            return at
    return None
