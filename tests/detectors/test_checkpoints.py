"""Running sums at blocks that double in length."""

from __future__ import annotations

from itertools import accumulate

import pytest

from detectors.checkpoints import BLOCK, MOST, Checkpoints


def walked(units: int) -> tuple[Checkpoints, list[float]]:
    """Checkpoints of a stream 0, 1, 2, … with a unit a second, and its running sums."""
    checkpoints = Checkpoints()
    sums = [0.0, *accumulate(float(n) for n in range(units))]
    for n in range(units):
        if n % checkpoints.block == 0:
            checkpoints.add(n, 1_000 * n, sums[n])
    return checkpoints, sums


@pytest.mark.parametrize("units", [1, BLOCK * MOST, BLOCK * MOST + 1, 100_000])
def test_the_last_checkpoint_before_a_unit(units: int) -> None:
    checkpoints, sums = walked(units)
    for n in {0, units // 3, units - 1}:
        at, time, total = checkpoints.before(n)
        assert n - checkpoints.block < at <= n
        assert (time, total) == (1_000 * at, sums[at])


@pytest.mark.parametrize(("units", "block"), [(2_048, 64), (2_049, 128), (4_097, 256), (100_000, 4_096)])
def test_blocks_double_and_stay_few(units: int, block: int) -> None:
    checkpoints, _ = walked(units)
    assert checkpoints.block == block
    assert MOST // 2 <= len(checkpoints.marks()) <= MOST


def test_written_and_taken_over() -> None:
    checkpoints, _ = walked(5_000)
    again = Checkpoints(checkpoints.block, checkpoints.marks())
    assert again.marks() == checkpoints.marks()
    assert Checkpoints().marks() == []
