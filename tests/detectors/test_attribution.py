"""Attribution names what was planted, and blames nothing where nothing was."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from detectors.attribution import Verdict, attribute, share_of
from detectors.changes import Change
from detectors.contrast import fisher, rank_sum, worse
from detectors.segment import SegmentMonitors
from detectors.series import Key, series
from detectors.unit import Unit
from schemas.observation import PriceStatus, Profile
from schemas.signal import Cause, Recovery, Signal
from tests.detectors.streams import HEALTHY, badness, dollars, on_conversation, on_trace, rate

NEW = HEALTHY._replace(prompt_version="v7")


def units(random: Random, n: int, mean: float, start: int = 0, profile: Profile = HEALTHY) -> list[Unit]:
    return [
        (start + at, badness(random, mean), f"t{at}", profile, f"u{random.randrange(12)}") for at in range(n)
    ]


def explain(before: list[Unit], after: list[Unit], *changes: Change, normal: float = 0.12) -> Verdict:
    return attribute(series(before + after), normal, changes, after[0][0])


def test_a_full_switch() -> None:
    random = Random(1)
    verdict = explain(units(random, 200, 0.12), units(random, 40, 0.35, 200, NEW))
    assert verdict.cause == Cause(
        dimension="prompt_version", previous="v6", current="v7", share=1.0, effect="within"
    )
    assert verdict.ruled_out == ("served_model, index_version, model unchanged",)


def test_a_full_switch_with_the_onset_estimated_too_late_or_too_early() -> None:
    random = Random(2)
    bad = units(random, 60, 0.4, 200, NEW)
    good = units(random, 200, 0.12)
    for before, after in ((good + bad[:15], bad[15:]), (good[:-15], good[-15:] + bad)):
        cause = explain(before, after).cause
        assert cause is not None
        assert (cause.dimension, cause.current) == ("prompt_version", "v7")


def test_half_a_rollout() -> None:
    random = Random(3)
    good, bad = units(random, 60, 0.12, 200), units(random, 60, 0.45, 200, NEW)
    after = [unit for pair in zip(good, bad, strict=True) for unit in pair]
    cause = explain(units(random, 200, 0.12), after).cause
    assert cause is not None
    assert (cause.dimension, cause.previous, cause.current) == ("prompt_version", "v6", "v7")


def test_scores_acquit_a_version_that_came_120_units_before() -> None:
    """Scores vary less than units of 0 and 1 would, and tell so much more of when they moved."""
    blamed = {"as they vary": 0, "as 0 and 1": 0}
    for seed in range(40):
        random = Random(seed)
        healthy = units(random, 400, 0.12) + units(random, 120, 0.12, 400, NEW)
        onset = healthy[-1][0] + 1
        found = series(healthy + units(random, 50, 0.3, onset, NEW), shares=True)
        changes = [Change(healthy[400][0], "prompt_version", "v6", "v7")]
        for how, seen in (("as they vary", found), ("as 0 and 1", found._replace(dispersion=1.0))):
            blamed[how] += attribute(seen, 0.12, changes, onset).cause is not None
    assert 3 * blamed["as they vary"] < blamed["as 0 and 1"]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_changed_blames_nothing(seed: int) -> None:
    random = Random(seed)
    regions = [HEALTHY._replace(versions=(("region", name),)) for name in ("eu", "us", "ap")]

    def mixed(n: int, mean: float, start: int) -> list[Unit]:
        drawn = units(random, n, mean, start)
        return [(time, y, trace, random.choice(regions), user) for time, y, trace, _, user in drawn]

    verdict = explain(mixed(250, 0.12, 0), mixed(80, 0.35, 300))
    assert verdict.cause is None
    assert verdict.ruled_out == ("served_model, prompt_version, index_version, model unchanged",)


def test_a_change_long_before_the_onset_is_acquitted() -> None:
    random = Random(5)
    before = units(random, 100, 0.12) + units(random, 100, 0.12, 100, NEW)
    assert explain(before, units(random, 60, 0.4, 200, NEW)).cause is None


def test_half_a_rollout_is_acquitted_when_everybody_suffers() -> None:
    random = Random(6)
    after = [
        u
        for pair in zip(units(random, 60, 0.4, 200), units(random, 60, 0.4, 200, NEW), strict=True)
        for u in pair
    ]
    assert explain(units(random, 200, 0.12), after).cause is None


def test_one_user_drives_spend() -> None:
    random = Random(7)

    def requests(n: int, start: int, heavy: bool) -> list[Unit]:
        made: list[Unit] = []
        for at in range(n):
            user = f"u{random.randrange(12)}"
            cost = dollars(random, 20.0 if heavy and user == "u3" else 1.0)
            made.append((start + at, cost, f"t{at}", HEALTHY, user))
        return made

    cause = explain(requests(250, 0, False), requests(150, 300, True), normal=0.0051).cause
    assert cause is not None
    assert (cause.dimension, cause.previous, cause.current) == ("user_id", None, "u3")
    assert cause.share is not None
    assert cause.share > 0.7


def test_an_always_bad_slice_is_not_the_cause_unless_it_grew() -> None:
    random = Random(8)
    bad = HEALTHY._replace(versions=(("region", "ap"),))
    good = HEALTHY._replace(versions=(("region", "eu"),))

    def mix(n: int, part: float, start: int) -> list[Unit]:
        made: list[Unit] = []
        for at in range(n):
            profile = bad if random.random() < part else good
            made.append((start + at, rate(random, 0.4 if profile is bad else 0.02), f"t{at}", profile, None))
        return made

    cause = explain(mix(256, 0.1, 0), mix(100, 0.7, 300), normal=0.058).cause
    assert cause is not None
    assert (cause.dimension, cause.previous, cause.current) == ("region", "eu", "ap")


def test_of_several_on_the_same_units_the_recorded_one_nearest_to_the_onset_is_named() -> None:
    random = Random(9)
    both = HEALTHY._replace(prompt_version="v7", index_version="i2", served_model="gpt-2")
    before, after = units(random, 200, 0.12), units(random, 40, 0.4, 200, both)
    assert (found := explain(before, after).cause) is not None
    assert found.dimension == "served_model"
    changes = (Change(20, "served_model", "gpt-1", "gpt-2"), Change(195, "index_version", "i1", "i2"))
    assert (found := explain(before, after, *changes).cause) is not None
    assert (found.dimension, found.previous, found.current) == ("index_version", "i1", "i2")


def test_the_narrowest_of_nested_causes_is_named() -> None:
    random = Random(10)
    release = HEALTHY._replace(release="r2")
    after: list[Unit] = []
    for at in range(120):
        bad = at % 3 == 0
        profile = release._replace(prompt_version="v7") if bad else release
        after.append((200 + at, badness(random, 0.5 if bad else 0.12), f"t{at}", profile, None))
    before: list[Unit] = [
        (u[0], u[1], u[2], HEALTHY._replace(release="r1"), None) for u in units(random, 200, 0.12)
    ]
    assert (found := explain(before, after).cause) is not None
    assert (found.dimension, found.current) == ("prompt_version", "v7")


def test_without_a_past_nothing_is_ruled_out_and_a_full_switch_is_not_seen() -> None:
    assert explain([], units(Random(1), 50, 0.4)) == Verdict(None, ())


def test_contrasts_against_values_worked_out_by_hand() -> None:
    assert fisher(3, 3, 3, 6) == pytest.approx(1 / 20)
    assert rank_sum([4.0, 5.0, 6.0], [1.0, 2.0, 3.0]) == pytest.approx(0.0404, abs=1e-4)
    assert worse([1.0, 1.0], [1.0, 1.0]) == 1.0
    assert worse([0.5] * 4, [0.5] * 9) == 1.0
    assert worse([], [1.0]) == 1.0


def test_contrasts_keep_their_level() -> None:
    random = Random(1)
    hits = 0
    for _ in range(2_000):
        hits += (
            worse([badness(random, 0.2) for _ in range(8)], [badness(random, 0.2) for _ in range(60)]) < 0.01
        )
    assert hits <= 35


def test_a_slow_alarm_is_traced_back_to_the_recorded_change() -> None:
    """The change point of a slow shift is late; the units since the recorded change say when it began."""
    rng = Random(5)
    segment = SegmentMonitors("app", "prod", "chat")
    signals: list[Signal | Recovery] = []
    old, new = Profile(model="m", served_model="a"), Profile(model="m", served_model="b")
    changed = 0
    for at in range(1_800):
        profile, rate = (old, 0.02) if at < 1_000 else (new, 0.12)
        time = at * 60_000
        changed = changed or (time if at == 1_000 else 0)
        on_trace(segment, time, f"t{at}", profile, None, None, PriceStatus.NO_USAGE, 1)
        signals += on_conversation(segment, time, f"t{at}", profile, None, rng.random() < rate, 1)
    assert signals
    assert isinstance(signals[0], Signal)
    assert signals[0].detected_at > changed
    assert abs(signals[0].onset - changed) <= 60 * 60_000
    assert signals[0].cause is not None
    assert (signals[0].cause.dimension, signals[0].cause.current) == ("served_model", "b")


def test_a_slice_that_got_worse_within_itself_and_one_that_grew_as_bad_as_ever() -> None:
    random = Random(11)
    bad = HEALTHY._replace(index_version="i2")

    def mix(n: int, start: int, part: float, mean: float) -> list[Unit]:
        made: list[Unit] = []
        for at in range(n):
            profile = bad if random.random() < part else HEALTHY
            y = badness(random, mean if profile is bad else 0.1)
            made.append((start + at, y, f"t{at}", profile, None))
        return made

    worse_inside = explain(mix(250, 0, 0.2, 0.1), mix(120, 300, 0.2, 0.45), normal=0.1).cause
    grown = explain(mix(250, 0, 0.2, 0.45), mix(120, 300, 0.7, 0.45), normal=0.17).cause
    assert worse_inside is not None
    assert grown is not None
    assert (worse_inside.current, worse_inside.previous, worse_inside.effect) == ("i2", None, "within")
    assert (grown.current, grown.previous, grown.effect) == ("i2", "i1", "mix")


def test_of_a_few_users_together_the_one_who_accounts_for_most_is_named_with_his_own_share() -> None:
    random = Random(12)

    def requests(n: int, start: int, heavy: float) -> list[Unit]:
        made: list[Unit] = []
        for at in range(n):
            drawn = random.random()
            user = "a" if drawn < heavy else "b" if drawn < 2 * heavy else f"u{random.randrange(30)}"
            cost = dollars(random, {"a": 12.0, "b": 5.0}.get(user, 1.0) if heavy else 1.0)
            made.append((start + at, cost, f"t{at}", HEALTHY, user))
        return made

    cause = explain(requests(250, 0, 0.0), requests(120, 300, 0.12), normal=0.0051).cause
    assert cause is not None
    assert (cause.dimension, cause.current, cause.effect) == ("user_id", "a", "within")
    assert cause.share is not None
    assert 0.3 < cause.share < 0.8


def test_three_users_are_found_together_however_little_each_explains_alone() -> None:
    """With hundreds of bad units of the other two, one user alone is no explanation at all."""
    random = Random(13)

    def conversations(n: int, start: int, heavy: float, bad: float) -> list[Unit]:
        made: list[Unit] = []
        for at in range(n):
            three = random.random() < heavy
            user = random.choice("abc") if three else f"u{random.randrange(40)}"
            made.append((start + at, rate(random, bad if three else 0.02), "", HEALTHY, user))
        return made

    before = conversations(600, 0, 0.05, 0.02)
    for n in (80, 200, 600, 1_200):
        cause = explain(before, conversations(n, 600, 0.4, 0.6), normal=0.02).cause
        assert cause is not None, n
        assert cause.dimension == "user_id"
        assert cause.current in {"a", "b", "c"}


def test_the_parts_of_a_contribution_by_hand() -> None:
    """Before: 1 of 4 units is a's, at 0.4; after: 2 of 4, at 0.8 and 0.6. D = 0.35 - 0.1, all of the move."""
    one, other = HEALTHY._replace(release="a"), HEALTHY._replace(release="b")
    ours, theirs = [0.4, 0.0, 0.0, 0.0], [0.8, 0.6, 0.0, 0.0]
    ys = [(y, one if y else other) for y in ours + theirs]
    made: list[Unit] = [(at, y, "", profile, None) for at, (y, profile) in enumerate(ys)]
    known = series(made)
    a, b = (known.entries[Key("release", (name,))] for name in ("a", "b"))
    assert share_of(known, a, 4, 0.0) == pytest.approx(1.0)
    assert share_of(known, b, 4, 0.0) == pytest.approx(0.0)


def test_a_further_alarm_needs_more_evidence() -> None:
    """The same units: likelier than not is enough for the page, and not to blame a new version later."""
    named = [0, 0]
    for seed in range(30):
        random = Random(seed)
        before, after = units(random, 250, 0.12), units(random, 14, 0.25, 250, NEW)
        change = (Change(250, "prompt_version", "v6", "v7", "t"),)
        for later in (False, True):
            cause = attribute(series(before + after), 0.12, change, 250, later).cause
            named[later] += cause is not None and cause.dimension == "prompt_version"
    assert named == [24, 12]


def test_what_was_always_there_needs_less_of_it_than_what_is_new() -> None:
    """No coincidence brings a user about: at a further alarm a posterior of 2/3 is enough."""
    named = [0, 0]
    for seed in range(30):
        random = Random(seed)
        made: list[Unit] = []
        for at in range(290):
            heavy = at >= 250 and random.random() < 0.25
            user = "heavy" if heavy else f"u{random.randrange(12)}"
            made.append((at, badness(random, 0.4 if heavy else 0.12), f"t{at}", HEALTHY, user))
        for later in (False, True):
            cause = attribute(series(made), 0.12, (), 250, later).cause
            assert cause is None or cause.current == "heavy"
            named[later] += cause is not None
    assert named == [24, 22]


@pytest.mark.parametrize("kind", [badness, rate])
def test_null_incidents_blame_nobody(kind: Callable[[Random, float], float]) -> None:
    """Everything worse, 40 users, 24 values of six dimensions: at most one of 40 is named by mistake."""
    blamed = 0
    for seed in range(40):
        random = Random(seed)
        tenants = [
            HEALTHY._replace(versions=tuple((f"d{d}", f"{(t * (d + 3)) % 4}") for d in range(6)))
            for t in range(11)
        ]
        made: list[Unit] = []
        for at in range(340):
            y = kind(random, 0.08 if at < 240 else 0.3)
            made.append((at, y, f"t{at}", random.choice(tenants), f"u{random.randrange(40)}"))
        blamed += explain(made[:240], made[240:], normal=0.08).cause is not None
    assert blamed <= 1
