"""What is remembered of units depends on their numbers alone: not on batches, writing or restoring."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.blocks import MARKED, token_of
from detectors.memory import NAMED_USERS, RING, STRIDE, UnitMemory
from detectors.sparse_units import HISTORY
from detectors.track import Track
from detectors.unit import Unit
from schemas.observation import Profile

PROFILES = [Profile("prod", "chat", model=f"m{n}", versions=(("k", "1"),)) for n in range(3)]


def make_units(random: Random, many: int) -> list[Unit]:
    return [
        (at * 1_000, random.choice((0.0, 0.25, 1.0)), f"t{at}", PROFILES[at % 3], f"u{random.randrange(90)}")
        for at in range(many)
    ]


class Stored:
    """A memory that is written down now and then, and sometimes lost and made again of what was written."""

    def __init__(self) -> None:
        self.memory = UnitMemory()
        self.parts: dict[str, bytes] = {}

    def write(self) -> int:
        self.parts |= {k: orjson.dumps(data) for k, data in self.memory.write([float]).items()}
        return self.memory.count

    def restore(self, count: int) -> None:
        self.memory = UnitMemory()
        parts: dict[str, Any] = {name: orjson.loads(data) for name, data in self.parts.items()}
        self.memory.restore(count, parts)


def seen(units: list[Unit]) -> list[tuple[object, ...]]:
    return [(time, y, profile, user and token(user)) for time, y, _, profile, user in units]


def token(user: str) -> str:
    return user if user[0] == MARKED else token_of(user)


def worst_three(units: list[Unit]) -> list[str]:
    order = sorted([(unit[1], at) for at, unit in enumerate(units) if unit[1] > 0.0], reverse=True)
    return [units[at][2] for _, at in order[:3]]


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32))
def test_batches_writing_and_restoring_change_nothing(seed: int) -> None:
    random = Random(seed)
    units = make_units(random, random.choice((40, 300, 700, 2_600)))
    whole, pieces = UnitMemory(), Stored()
    at = 0
    while at < len(units):
        end = min(len(units), at + random.choice((1, 7, 63, 64, 65, 400, 1_500)))
        for unit in units[at:end]:
            whole.extend([unit])
            whole.trim()
        pieces.memory.extend(units[at:end])
        middle = random.randrange(at, end) + 1
        assert pieces.memory.ring(middle)[-1] == units[middle - 1]
        pieces.memory.trim()
        if random.random() < 0.5:
            written = pieces.write()
            if random.random() < 0.5:
                pieces.restore(written)
        at = end
        ring, past = pieces.memory.ring(at), pieces.memory.past(at)
        assert seen(ring) == seen(whole.ring(at)) == seen(units[max(at - RING, 0) : at])
        kept = [number for number in range(max(at - RING, 0)) if number % STRIDE == STRIDE - 1][-HISTORY:]
        assert seen(past) == seen(whole.past(at)) == seen([units[number] for number in kept])
        for since in (0, len(ring) // 2, len(ring) - 1):
            assert worst_three(ring[since:]) == worst_three(whole.ring(at)[since:])
        both = ring + past
        users = Counter(token(user) for *_, user in both if user is not None)
        named = {token(user): user for *_, user in pieces.memory.named(both) if user is not None}
        assert all(named[user][0] != MARKED for user, n in users.items() if n >= NAMED_USERS)
        floor = random.choice((0, at // 2))
        (blocks, late), (same, same_late) = pieces.memory.older(at, floor), whole.older(at, floor)
        assert blocks == same
        assert seen(late) == seen(same_late)


def test_what_is_remembered_within_a_batch_is_as_of_the_unit() -> None:
    units = make_units(Random(2), 1_000)
    memory, one_by_one = UnitMemory(), UnitMemory()
    memory.extend(units)
    for number, unit in enumerate(units):
        one_by_one.extend([unit])
        one_by_one.trim()
        if number % 97 == 0:
            assert memory.ring(number + 1) == one_by_one.ring(number + 1)
            assert memory.past(number + 1) == one_by_one.past(number + 1)
            assert memory.older(number + 1) == one_by_one.older(number + 1)


def test_a_user_with_five_units_keeps_the_name_and_others_a_token() -> None:
    stored = Stored()
    for at in range(70):
        stored.memory.extend([(at, 1.0, f"t{at}", PROFILES[0], "often" if at < 5 else f"once-{at}")])
    stored.restore(stored.write())
    users = [unit[4] for unit in stored.memory.named(stored.memory.ring(70))]
    assert users[:5] == ["often"] * 5
    assert users[5:64] == [token_of(f"once-{at}") for at in range(5, 64)]
    assert users[64:] == [f"once-{at}" for at in range(64, 70)], "a chunk that is not full yet has all names"
    stored.memory.extend([(71, 1.0, "t71", PROFILES[0], "once-7")])
    assert stored.memory.named(stored.memory.ring(71))[7][4] == "once-7"


def test_a_window_is_exact_within_the_ring_and_a_checkpoint_before_it_beyond() -> None:
    memory = UnitMemory()
    track = Track(memory, float)
    units = [(at, float(at % 10), f"t{at}", PROFILES[0], None) for at in range(4_000)]
    for start in range(0, 4_000, 130):
        memory.extend(units[start : start + 130])
        track.extend(units[start : start + 130])
        memory.trim()
    near, far = track.window(3_900), track.window(1_000)
    assert (near.onset, near.n, near.value) == (3_900, 100, 4.5)
    assert 1_000 - 4_000 / 16 <= far.onset <= 1_000
    assert far.n == 4_000 - far.onset
    assert abs(far.value - 4.5) < 0.01
