"""When a change began: at one that was recorded, or within a range of plausible moments."""

from __future__ import annotations

from itertools import accumulate
from math import exp, log

from detectors.changes import Change
from detectors.contrast import worse
from detectors.hypotheses import LEAST_UNITS
from detectors.likelihood import likelihood, log_sum
from detectors.series import Series
from detectors.track import Track, Window

LEVEL = 0.9
"""Posterior probability of the range."""
EARLIER = 0.1
"""Prior odds that it began before all that is remembered, against a moment within."""
LEAST_BEFORE = 5
"""Units before a split that are needed to call them healthy."""
SUSPECT = 0.05
"""Error at which the units since a recorded change count as worse than those before it."""


def onset_range(series: Series, normal: float, onset: int) -> tuple[int, int] | None:
    """The event times (epoch ms) between which the rise of ``y`` began, at a probability of 90 %.

    The posterior of a single change point (Smith, Biometrika 62, 1975): for each unit, how well "those before
    it share one mean, about ``normal``, and those from it on share a larger one" explains all of them, times
    the time since the unit before it, any moment being alike likely beforehand. Of a block only the sum is
    known: it may lie anywhere in it. A twentieth is cut off at
    either end; ``onset``, the detector's own estimate, is always within.

    None where the beginning may lie before all that is remembered (probability above a twentieth).

    **Misleads** on a gradual change, of which it shows the part that stands out, and where the alarm is
    false: then it is the range of nothing. How often it holds the true time is measured in docs/detectors.md.
    """
    times, slots = series.times, len(series.times)
    model = likelihood(series, normal)
    scores = [model.score(n, total) for n, total in zip(series.ns, series.totals, strict=True)]
    ns, totals = list(accumulate(series.ns, initial=0)), list(accumulate(scores, initial=0.0))
    n, total = ns[-1], totals[-1]
    start = next((at for at, before in enumerate(ns) if before >= LEAST_BEFORE), slots)
    if start >= slots:
        return None
    weights = [model.alone(n, total, False) + log(EARLIER * (times[-1] - times[0] + 1))]
    for at in range(start, slots):
        weight, before, since = -1e300, totals[at], total - totals[at]
        if before * (n - ns[at]) < since * ns[at]:
            calm, moved = model.alone(ns[at], before, True), model.alone(n - ns[at], since, False)
            weight = calm + moved
            if series.ns[at - 1] > 1:
                early = ns[at - 1]
                within = model.alone(early, totals[at - 1], True) + moved
                within += model.alone(ns[at] - early, before - totals[at - 1], False)
                weight = log_sum([weight, within]) - log(2.0)
            weight += log(max(times[at] - times[at - 1], 1))
        weights.append(weight)
    everything, tail = log_sum(weights), (1.0 - LEVEL) / 2.0
    passed = exp(weights[0] - everything)
    if passed > tail:
        return None
    first, last = onset, onset
    begun = False
    for at, weight in enumerate(weights[1:], start):
        passed += exp(weight - everything)
        if not begun and passed > tail:
            first, begun = min(onset, times[at - 1]), True
        if passed >= 1.0 - tail:
            last = max(onset, times[at])
            break
    return first, last


def since_a_change(track: Track, window: Window, changes: tuple[Change, ...], normal: float) -> Window:
    """Move the onset back to a recorded change, where the units in between look like those of the alarm.

    The change point of a slow alarm is hours late: it marks where the evidence that happened to suffice
    began. If the units between a recorded change and that point are worse than those before the change
    (at 5 %: a recorded change is a suspect already), and by at least half of the whole move, the change
    is where it began. The earliest such change wins. Heuristic; it cannot look further back than the
    units remembered (about 1,300).
    """
    for change in sorted(changes, key=lambda change: change.time):
        if change.time >= window.onset:
            break
        since = track.window_since(change.time)
        between = [unit[1] for unit in since.after if unit[0] < window.onset]
        before = [unit[1] for unit in since.before]
        if len(between) < LEAST_UNITS or len(before) < LEAST_UNITS or since.n == 0:
            continue
        excess = sum(between) / len(between) - normal
        if excess >= 0.5 * (since.value - normal) and worse(between, before) < SUSPECT:
            return since
    return window
