"""How far any method could tell a version that broke something from one that came shortly before."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.detectors.streams import Array
from detectors.hypotheses import REPLACED


def suspects(ys: Array, signal: str, change: int, arrived: int, upto: int, calm: int) -> bool:
    """Whether an observer who knows the mean before and after says that the move began with unit ``arrived``.

    ``ys`` are all units, ``change`` is where the move did begin, ``upto`` the unit of the alarm. Posterior
    odds, with attribution's prior, against a beginning at any other of the units since ``calm`` units
    before the change. Rates are weighed as they are, scores and the logarithms of costs as if normal.

    For rates no method that knows less can name more of those that broke something without blaming more of
    those that did not. **Misleads** a little about scores and costs, which are not normal.
    """
    seen = np.log(ys) if signal == "cost" else ys
    was, now = float(seen[:change].mean()), float(seen[change:].mean())
    start = min(change - calm, arrived)
    part = seen[start : upto + 1]
    if signal == "rate":
        gains = part * math.log(now / was) + (1.0 - part) * math.log((1.0 - now) / (1.0 - was))
    else:
        gains = (now - was) / float(seen[:change].var()) * (part - (was + now) / 2.0)
    since = np.cumsum(gains[::-1])[::-1]
    top = float(since.max())
    anywhere = top + math.log(float(np.exp(since - top).mean()))
    return math.log(REPLACED) + float(since[arrived - start]) > anywhere
