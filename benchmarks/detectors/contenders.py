"""Who takes part, signal by signal: ours first, all others are compared with it."""

from __future__ import annotations

from functools import partial

from benchmarks.detectors.field import (
    FIVE_MINUTES,
    HOUR,
    Levels,
    Traced,
    bernoulli_cusum,
    burn_rates,
    ewma,
    gauss_cusum,
    page_hinkley,
    static_window,
)
from benchmarks.detectors.searched import Kswin, adwin, hddm_a, hddm_w
from benchmarks.detectors.watchers import Contender, shipped

GUARANTEED = 50_000.0
OURS = Contender("**e-SR, as shipped**", shipped)
SAFE = Contender("**e-SR, A = 50,000**", shipped, setting=GUARANTEED)
DEFAULT_ALPHA = 0.9999
"""river's forgetting factor of Page-Hinkley: a decayed sum against an all-time minimum, which slows it."""
FEW, FEWER = 0.1, 0.03
"""Of the streams, for detectors that are slow: HDDM, KSWIN."""


def _traced(name: str, levels: Levels) -> Contender:
    return Contender(name, partial(Traced, levels=levels))


def _page_hinkley(delta: float) -> list[Contender]:
    """``delta`` is half of the smallest shift to be found."""
    return [
        _traced(f"Page-Hinkley, delta {delta:g}, alpha 1", page_hinkley(delta, 1.0)),
        _traced(f"Page-Hinkley, delta {delta:g}, alpha .9999", page_hinkley(delta, DEFAULT_ALPHA)),
    ]


WINDOWS = [
    _traced("mean of 5 minutes, at least 20 units", static_window(FIVE_MINUTES, 20)),
    _traced("mean of 1 hour, at least 50 units", static_window(HOUR, 50)),
]
EWMAS = [_traced("EWMA .003", ewma(0.003)), _traced("EWMA .01", ewma(0.01))]
ADWIN = Contender("ADWIN, clock 1", adwin)
SLOW = [
    Contender("HDDM_A", hddm_a, FEW),
    Contender("HDDM_W", hddm_w, FEW),
    Contender("KSWIN 1000/300", Kswin, FEWER),
]
GAUSS = _traced("Gauss CUSUM, k = .1", gauss_cusum(0.1))

FIELD: dict[str, list[Contender]] = {
    "faithfulness": [OURS, SAFE, ADWIN, GAUSS, *EWMAS, *_page_hinkley(0.02), *WINDOWS, *SLOW],
    "rate": [
        OURS,
        SAFE,
        ADWIN,
        _traced("Bernoulli CUSUM x 1.5", bernoulli_cusum(1.5)),
        *EWMAS,
        *_page_hinkley(0.005),
        _traced("SRE burn rates, scaled", burn_rates),
        *WINDOWS,
        *SLOW,
    ],
    "cost": [OURS, SAFE, ADWIN, GAUSS, *EWMAS, *_page_hinkley(0.13)[:1], *WINDOWS],
}
