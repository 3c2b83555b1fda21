"""What a pinned baseline of costs defends: decided from a reference, once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import exp, fsum, sqrt
from statistics import stdev
from typing import Any, Final, NamedTuple

from detectors.baseline import unseen
from detectors.control_variate import Controls
from detectors.cost_cycle import Cycle, cycle_of, dearest, fewest_free
from detectors.cost_reference import FREE, GRID, RANK_VARIANCE, CostReference
from detectors.cost_scale import TAIL
from detectors.esr import BETS
from detectors.tilted_esr import POSITIONS, USUAL, VARIANCE, WEIGHTS, position

TAIL_VARIANCE = TAIL * (1.0 - TAIL)
FLAT_TOLERANCE = 0.25
"""Rise of ln(cost), a factor of 1.28, that a baseline forgives that has not seen every hour of the day: it
cannot tell a daily cycle from a rise. Doubled, 1.65, for a reference that saw one moment, perhaps the
cheapest."""
TOP = 0.005
"""Part of a sample that is a price of its own if it lies within ..."""
NEAR = GRID // 100
"""... 1 % of the 99th percentile: a cap, a timeout, a flat price."""

NOTES = {
    Cycle.NONE: ", the hours of the day alike",
    Cycle.BY_HOUR: ", by hour of the day",
    Cycle.DEAREST: ", as in the dearest hour",
}


class CostNormal(NamedTuple):
    """A frozen baseline of costs; log costs are on the grid."""

    cycle: Cycle
    profile: tuple[float, ...]
    """What is subtracted by the time of day (:func:`~detectors.cost_reference.season`); empty: nothing."""
    sample: list[int]
    """Log costs less their hour's, sorted."""
    tolerance: int
    p99: int
    """Above this a request is one of the tail."""
    rank: float
    """What is defended: of the mean rank, ..."""
    weights: tuple[float, ...]
    """... of the means of the bets' weights, ..."""
    flag: float
    """... and of the share of the tail."""

    def note(self) -> str:
        """What it makes of the time of day, in words."""
        if self.cycle is Cycle.UNSEEN:
            return f", flat over the day: forgives {exp(self.tolerance / GRID):.2f} times"
        return NOTES[self.cycle]

    def state(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "profile": self.profile,
            "ref": self.sample,
            "bulk": self.weights,
            "tail": self.flag,
            "cycle": int(self.cycle),
            "p99": self.p99,
        }


NOTHING: Final[dict[str, Any]] = {"profile": (), "ref": [], "bulk": (), "tail": 0.0}
"""The state of no baseline."""


def restored(state: dict[str, Any], span_ms: int, rank: float) -> CostNormal:
    """The baseline of a state. Versions before ``cycle`` drew a profile where every hour had its requests."""
    profile, sample = tuple(state["profile"]), list(state["ref"])
    cycle = Cycle(state["cycle"]) if "cycle" in state else Cycle.BY_HOUR if profile else Cycle.UNSEEN
    tolerance = flat_tolerance(span_ms) if cycle is Cycle.UNSEEN else 0
    p99 = state["p99"] if "p99" in state else p99_of(sample)
    return CostNormal(cycle, profile, sample, tolerance, p99, rank, tuple(state["bulk"]), state["tail"])


def flat_tolerance(span_ms: int) -> int:
    """What a baseline of this length forgives that has not seen every hour of the day."""
    return int(FLAT_TOLERANCE * (1.0 + unseen(span_ms)) * GRID)


def p99_of(sample: Sequence[int]) -> int:
    """The 99th percentile of a sorted sample: less than 1 % of it lies above."""
    return sample[int(TAIL * len(sample))]


def normal(reference: CostReference, whole_days: bool, errors: float) -> CostNormal:
    """The baseline that ``reference`` gives, with so many standard ``errors`` of margin.

    ``whole_days``: the reference is long enough for the hours of the day to be told apart.
    """
    entries = reference.sample.entries()
    hours = reference.hours() if whole_days else []
    cycle, profile = cycle_of(reference, hours)
    residuals = reference.residuals(profile)
    sample = sorted(residuals)
    p99 = p99_of(sample)
    free = reference.free
    fewest = fewest_free(reference, errors) if whole_days else free
    dear = dearest(reference, hours, errors) if cycle is Cycle.DEAREST else 0.0
    means = [mean for _, mean in hours] if cycle is Cycle.BY_HOUR else [reference.usual] * 24
    controls = Controls(
        (
            [0.0 if logged == FREE else logged - means[minute // 60 % 24] for _, logged, minute in entries],
            [(logged == FREE) - free for _, logged, _ in entries],
        ),
        reference.n,
        known=reference.exact,
    )
    at = ((1.0 - free) * dear, fewest - free)

    def defended(views: Sequence[float], usual: float, variance: float) -> float:
        mean, error = controls.mean(views, usual, variance, at)
        # A sample cannot owe half of it to chance: then it is no sample of that reference.
        return max(mean + errors * sqrt(error), usual / 2.0)

    places = _places(residuals, sample)
    rank = min(defended([place / POSITIONS for place in places], 0.5, RANK_VARIANCE), 0.999)
    usual = _usual(places)
    weights = [defended([WEIGHTS[place][k] for place in places], usual[k], VARIANCE[k]) for k in range(BETS)]
    flag = 1.0 - TAIL + errors * sqrt(TAIL_VARIANCE / len(sample))
    if fewest < free < 1.0:
        flag *= (1.0 - fewest) / (1.0 - free)
    if profile:
        top = _price_at_the_top(entries)
        profile = _raised(hours, profile, residuals, errors)
        if top is not None:
            p99 = max(p99, top - int(min(profile) * GRID) + 1)
    tolerance = flat_tolerance(reference.span_ms) if cycle is Cycle.UNSEEN else 0
    return CostNormal(
        cycle, profile, sample, tolerance, p99 + int(dear), rank, tuple(weights), min(flag, 0.999)
    )


def _places(residuals: Sequence[int], sample: Sequence[int]) -> list[int]:
    """Where each stands in the sample that it is of, equal ones in the middle of their ranks."""
    places: dict[int, int] = {}
    for r in residuals:
        if r not in places:
            left = bisect_left(sample, r)
            places[r] = position(left, bisect_right(sample, r, left), len(sample))
    return [places[r] for r in residuals]


def _usual(places: Sequence[int]) -> list[float]:
    """Means of the bets' weights when all is well. A tie weighs as the middle of its ranks does, which is not
    what its ranks would weigh in the mean: more, for small bets, where much is below the middle."""
    size = len(places)
    untied = [position(below, below + 1, size) for below in range(size)]
    return [
        USUAL[k] + (fsum([WEIGHTS[at][k] for at in places]) - fsum([WEIGHTS[at][k] for at in untied])) / size
        for k in range(BETS)
    ]


def _raised(
    hours: Sequence[tuple[int, float]], profile: tuple[float, ...], residuals: Sequence[int], errors: float
) -> tuple[float, ...]:
    """The profile plus so many standard errors of each hour's mean: an hour that was underestimated by chance
    would else be a steady rise at that time of every day."""
    deviation = stdev([r / GRID for r in residuals if r != FREE])
    margins = [errors * deviation / sqrt(n) for n, _ in hours]
    return tuple([mean + margins[(hour - 1) % 24] for hour, mean in enumerate(profile)])


def _price_at_the_top(entries: Sequence[tuple[int, int, int]]) -> int | None:
    """The log cost that many requests around the 99th percentile share. It does not follow the time of day,
    so less its profile it would be one of the tail at some hours and not at others."""
    logs = sorted([logged for _, logged, _ in entries])
    p99 = p99_of(logs)
    near = [logged for logged in logs if abs(logged - p99) <= NEAR]
    return near[-1] if p99 != FREE and len(near) >= TOP * len(logs) else None
