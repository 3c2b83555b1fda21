"""The log histogram: quantiles within their bound, and the same counts whatever way they came together."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.log_histogram import MAX_BUCKETS, LogHistogram, buckets_of
from schemas.histogram import RELATIVE_ERROR, estimate, lower_edge, merged, pack, unpack

AMOUNTS = st.floats(1e-300, 1e300)
VALUES = st.lists(st.one_of(st.just(0.0), AMOUNTS, st.integers(0, 10**6).map(float)), max_size=60)
COUNTS = st.dictionaries(st.integers(0, 131_000), st.integers(1, 10**6), max_size=50)


def histogram_of(values: list[float], most: int = MAX_BUCKETS) -> LogHistogram:
    histogram = LogHistogram(most)
    histogram.extend(values)
    return histogram


@given(AMOUNTS)
def test_a_value_lies_in_its_bucket_and_close_to_what_stands_for_it(value: float) -> None:
    (bucket,) = buckets_of([value])
    assert lower_edge(bucket) <= value < lower_edge(bucket + 1)
    assert abs(estimate(bucket) - value) <= RELATIVE_ERROR * value * (1 + 1e-12)


@pytest.mark.parametrize(
    ("values", "buckets"),
    [([0.0, -0.0], [0, -131_072]), ([1.0, 1.0155, 1.016], [65_472, 65_472, 65_473]), ([5e-324], [0])],
)
def test_buckets_are_the_same_on_every_machine(values: list[float], buckets: list[int]) -> None:
    assert buckets_of(values) == buckets
    assert {estimate(bucket) for bucket in buckets if bucket <= 0} <= {0.0}


@given(COUNTS)
def test_packed_and_unpacked_is_the_same(counts: dict[int, int]) -> None:
    assert unpack(pack(counts)) == dict(sorted(counts.items()))


def test_what_was_never_packed_is_refused() -> None:
    with pytest.raises(ValueError, match="without a count"):
        unpack([7, 1, 0, 2])


@given(VALUES, st.integers(1, 9), st.integers(0, 2**32))
def test_order_batches_and_parts_change_nothing(values: list[float], most: int, seed: int) -> None:
    """Collapsing, too: what is kept are the highest buckets, and all below is in the lowest of them."""
    rng, shuffled = Random(seed), values.copy()
    rng.shuffle(shuffled)
    by_one, merging = LogHistogram(most), LogHistogram(most)
    for value in shuffled:
        by_one.extend([value])
    while shuffled:
        size = rng.randrange(1, len(shuffled) + 1)
        part = histogram_of(shuffled[:size], most)
        restored = LogHistogram(most)
        restored.restore(part.state())
        merging.merge(restored)
        del shuffled[:size]
    whole = histogram_of(values, most)
    assert by_one.state() == merging.state() == whole.state()
    assert whole.n == len(values)
    assert sorted(whole.counts) == sorted(set(buckets_of(values)))[-most:]


@given(VALUES, VALUES)
def test_packed_parts_merge_as_histograms_do(one: list[float], other: list[float]) -> None:
    parts = [histogram_of(one).state(), histogram_of(other).state()]
    assert merged(parts) == merged(parts[::-1]) == histogram_of(one + other).state()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("shape", ["heavy", "log-normal", "uniform", "two modes"])
def test_quantiles_are_within_their_bound_of_the_exact_ones(shape: str, seed: int) -> None:
    rng = Random(seed)
    draw: Callable[[], float] = {
        "heavy": lambda: 0.004 * rng.paretovariate(1.1),
        "log-normal": lambda: rng.lognormvariate(6.8, 1.5),
        "uniform": lambda: rng.uniform(100, 900),
        "two modes": lambda: rng.choice((rng.gauss(200, 5), rng.gauss(20_000, 500))),
    }[shape]
    values = sorted(draw() for _ in range(20_000))
    histogram = histogram_of(values, most=2_000)
    for q in (0.0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0):
        exact = values[max(0, math.ceil(q * len(values)) - 1)]
        assert abs(histogram.quantile(q) - exact) <= RELATIVE_ERROR * exact * (1 + 1e-12), q


def test_above_its_most_buckets_only_the_lowest_quantiles_suffer() -> None:
    rng = Random(3)
    values = sorted(rng.lognormvariate(0.0, 2.5) for _ in range(50_000))
    histogram = histogram_of(values)
    assert len(histogram.counts) == 1_024
    for q in (0.5, 0.95, 0.99):
        assert histogram.quantile(q) == pytest.approx(values[math.ceil(q * 50_000) - 1], rel=RELATIVE_ERROR)
    assert histogram.quantile(0.0) > 10 * values[0]


def test_a_state_is_small() -> None:
    """Its JSON, by the number of values: the buckets are bounded."""
    rng = Random(4)
    sizes = {}
    for n in (20, 1_000, 100_000):
        histogram = histogram_of([rng.lognormvariate(6.8, 0.7) for _ in range(n)])
        sizes[n] = len(orjson.dumps(histogram.state()))
    print(sizes)
    assert sizes[20] < 130
    assert sizes[1_000] < 1_000
    assert sizes[100_000] < 3_000


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_refuses_what_is_no_rank(q: float) -> None:
    with pytest.raises(ValueError, match="must be in"):
        histogram_of([1.0]).quantile(q)


def test_refuses_a_quantile_of_nothing_and_a_histogram_without_buckets() -> None:
    with pytest.raises(ValueError, match="nothing"):
        LogHistogram().quantile(0.5)
    with pytest.raises(ValueError, match="most"):
        LogHistogram(0)
