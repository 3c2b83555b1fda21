"""Blocks sum up exactly, are bounded, and keep whose units they were."""

from __future__ import annotations

from math import log
from random import Random

import orjson
import pytest

from detectors.blocks import (
    A_LENGTH,
    LONGEST,
    MASKS,
    PROFILES,
    USERS,
    VALUES,
    Blocks,
    Scale,
    blocks_in,
    blocks_out,
    folded,
    lane_of,
    token_of,
    total,
    units_of,
)
from detectors.readings import one_of
from detectors.series import USER, Key, series
from detectors.unit import Unit
from schemas.observation import Profile

ONE, OTHER = (Profile("prod", "chat", model=name) for name in "ab")


def filled(scale: Scale, units: list[Unit]) -> Blocks:
    blocks = Blocks(scale)
    for at in range(0, len(units) - 63, 64):
        blocks.absorb(at, units[at : at + 64])
    return blocks


def test_sums_by_profile_are_exact_and_blocks_bounded() -> None:
    random = Random(1)
    units: list[Unit] = [
        (at, random.randrange(1_001) / 1_000, "", random.choice((ONE, OTHER)), None) for at in range(64 * 700)
    ]
    blocks = filled(Scale.FRACTION, units).since(0)
    lengths = [block.n for block in blocks]
    assert lengths == sorted(lengths, reverse=True), "the older, the longer"
    assert all(lengths.count(n) <= A_LENGTH for n in lengths)
    assert max(lengths) == LONGEST
    assert blocks[-1].first + blocks[-1].n == len(units)
    for block in blocks:
        part = units[block.first : block.first + block.n]
        assert block.time == block.first
        assert total(Scale.FRACTION, block.whole, 1) == pytest.approx(sum(u[1] for u in part), abs=1e-9)
        for profile, cell in block.cells.items():
            ys = [u[1] for u in part if u[3] == profile]
            assert units_of(cell) == len(ys)
            assert total(Scale.FRACTION, cell, 1) == pytest.approx(sum(ys), abs=1e-9)
    assert blocks_in(orjson.loads(orjson.dumps(blocks_out(blocks)))) == blocks


def test_every_rate_reads_its_own_of_the_same_conversations() -> None:
    """A conversation may count for several rates."""
    random = Random(2)
    values = [random.choice((0, *MASKS)) | random.choice((0, *MASKS)) for _ in range(64)]
    (block,) = filled(Scale.BITS, [(at, bits, "", ONE, None) for at, bits in enumerate(values)]).since(0)
    for mask in MASKS:
        read = one_of(mask)
        found = total(Scale.BITS, block.whole, lane_of(Scale.BITS, read))
        assert found == sum(read(bits) for bits in values)


def test_of_amounts_the_logarithms_are_summed() -> None:
    (block,) = filled(Scale.AMOUNT, [(at, 0.004 if at else 0.0, "", ONE, None) for at in range(64)]).since(0)
    assert total(Scale.AMOUNT, block.whole, 1) == pytest.approx(63 * log(0.004) + log(1e-6), abs=0.064)


def test_users_are_those_with_most_units() -> None:
    users = [f"u{at % 4 if at % 2 else at}" for at in range(64 * 16)]
    block = filled(Scale.FRACTION, [(at, 1.0, "", ONE, user) for at, user in enumerate(users)]).since(0)[0]
    assert len(block.users) <= USERS
    for often in ("u1", "u3"):
        assert units_of(block.users[token_of(often)]) == users[: block.n].count(often)


def test_many_profiles_are_summed_by_value_and_what_names_requests_is_left_out() -> None:
    made = [Profile("prod", "chat", model=f"m{at % 5}", versions=(("id", str(at)),)) for at in range(128 * 4)]
    block = filled(Scale.FRACTION, [(at, 1.0, "", one, None) for at, one in enumerate(made)]).since(0)[0]
    assert block.n > 64
    assert len(made[: block.n]) > max(PROFILES, VALUES)
    assert {str(name[0]) for name in block.cells} == {"model"}
    assert sum(units_of(cell) for cell in block.cells.values()) == block.n


def test_a_series_has_blocks_and_then_units() -> None:
    units: list[Unit] = [(at, at % 2, f"t{at}", ONE if at % 2 else OTHER, "u") for at in range(66)]
    (block,) = filled(Scale.FRACTION, units).since(0)
    known = series([block, *units[64:]], names={token_of("u"): "u"})
    assert (known.times, known.ns, known.totals) == ([0, 64, 65], [64, 1, 1], [32.0, 0, 1])
    assert known.entries[Key("model", ("a",))] == [(0, 32, 32.0), (2, 1, 1)]
    assert known.entries[Key(USER, ("u",))] == [(0, 64, 32.0), (1, 1, 0), (2, 1, 1)]
    assert known.variance == 0.25


def test_folding_keeps_every_value_of_a_profile() -> None:
    both = Profile("prod", "chat", model="m", versions=(("k", "1"),))
    assert folded({both: 3, ("k", "1"): 2}) == {("model", "m"): 3, ("k", "1"): 5}
