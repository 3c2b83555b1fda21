"""Everything declared that keeps state goes on alike: restored at any moment, however it is fed and asked."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.declared.buckets import Buckets
from detectors.declared.count_esr import CountESR
from detectors.declared.heavy_hitters import HeavyHitters
from detectors.declared.index_age import IndexAge
from detectors.declared.latch import Latch
from detectors.declared.policy import MaxAge, Slo, Threshold, UserBudget
from detectors.declared.user_budget import UserBudgets
from detectors.declared.volume import Volume
from detectors.declared.volume_baseline import VolumeBaseline
from detectors.declared.watch import READS, DeclaredWatch
from detectors.readings import AMOUNTS
from detectors.rules import Rule
from detectors.segment import SegmentMonitors
from schemas.catalog import ABOVE, RATES, SCORED
from schemas.observation import Outcome, Profile
from schemas.signal import Recovery, Severity, Signal, SignalName
from tests.detectors.declared.rows import HOUR, MINUTE, trace

RULES = (
    Rule("slow", SignalName.LATENCY, Severity.P2, declared=Slo(0.9, above=1_500.0, min_units=20)),
    Rule("handed", SignalName.ESCALATION, Severity.P2, declared=Slo(0.97, min_units=20)),
    Rule("score", SignalName.FAITHFULNESS, Severity.P2, declared=Threshold(0.8, True, HOUR, 10)),
    Rule("ground", SignalName.GROUNDED, Severity.P2, declared=Slo(0.9, min_units=10)),
    Rule("judge", SignalName.UNSCORED, Severity.P3, declared=Threshold(0.3, False, HOUR, 10)),
    Rule("hour", SignalName.SPEND, Severity.P3, declared=Threshold(3.0, False, HOUR)),
    Rule("day", SignalName.SPEND, Severity.P3, declared=Threshold(40.0, False, 24 * HOUR)),
    Rule("few", SignalName.VOLUME, Severity.P2, declared=Threshold(5.0, True, HOUR)),
    Rule("traffic", SignalName.VOLUME, Severity.P2, min_effect=0.25),
    Rule("index", SignalName.INDEX_AGE, Severity.P3, declared=MaxAge(9 * HOUR)),
    Rule("tokens", SignalName.USER_BUDGET, Severity.P2, declared=UserBudget(9_000, False)),
    Rule("default", SignalName.COST, Severity.P2),
)
"""One of each kind, so loose that a short stream makes each of them fire."""
PROFILES = [Profile("prod", "chat", index_version=f"i{n}") for n in range(9)]


Told = Signal | Recovery


class Moment(NamedTuple):
    """What happens between two times at which the rules are asked."""

    rows: list[Any]
    profiles: list[Profile]
    decided: list[tuple[int, int, str]]
    scores: list[tuple[int, str, str, float, bool]]
    judged: list[tuple[int, str, bool]]
    changes: list[tuple[int, str, str]]


def moment(at: int, random: Random) -> Moment:
    """Half an hour: thirty traces, unless there is silence; ever worse, better, and worse again."""
    start, end = at * 30 * MINUTE, (at + 1) * 30 * MINUTE
    bad = 0.5 if at % 60 > 40 else 0.02
    busy = 0 if 250 < at < 262 else random.randrange(20, 40)
    rows, profiles, decided, scores, judged = [], [], [], [], []
    for time in sorted(random.randrange(start, end) for _ in range(busy)):
        name, wrong = f"t{time}", random.random() < bad
        latency = 2_000.0 if wrong else random.choice((None, 900.0))
        row = trace(time, name, f"u{random.randrange(7)}", 0.2 if wrong else 0.05, 90, latency)
        rows.append(row)
        profiles.append(PROFILES[min(at // 40, 8)])
        decided.append((time, Outcome.ESCALATED.value if wrong else 0, name))
        scorer = "app" if at < 9 else "judge"
        scores.append((time, name, scorer, 0.3 if wrong else 0.95, wrong))
        judged.append((time, name, not wrong))
    changes = [(start, "index_updated", f"r{at}")] if at % 50 == 3 else []
    return Moment(rows, profiles, decided, scores, judged, changes)


def feed(watch: DeclaredWatch, of: Moment, start: int, end: int) -> list[Told]:
    """What happens at ``start <= time < end`` of a moment; alarms that come of it."""

    def now(time: int) -> bool:
        return start <= time < end

    for time, dimension, current in of.changes:
        if now(time):
            watch.on_change(time, dimension, current)
    kept = [at for at, row in enumerate(of.rows) if now(row.time)]
    signals: list[tuple[Any, Told]]
    signals = list(watch.on_traces([of.rows[at] for at in kept], [of.profiles[at] for at in kept]))
    watch.on_conversations([one for one in of.decided if now(one[0])])
    for time, name, scorer, score, low in of.scores:
        if now(time):
            signals += [(0, signal) for _, signal in watch.on_score(time, name, scorer, score, low)]
    for time, name, scored in of.judged:
        if now(time):
            watch.on_judged(time, name, scored)
    return [signal for _, signal in signals]


def ask(watch: DeclaredWatch, now: int) -> list[Any]:
    return [*watch.close(now, 0, lambda time: 1 + (time > 100 * HOUR)), *watch.close_scores(now)]


def fresh() -> DeclaredWatch:
    return DeclaredWatch("app", "prod", "chat", RULES)


def _watch(watch: DeclaredWatch, at: int, random: Random) -> Any:
    end = (at + 1) * 30 * MINUTE
    return feed(watch, moment(at, random), 0, end), ask(watch, end - 1)


def _volume(volume: Volume, at: int, random: Random) -> Any:
    start = at * 2 * HOUR
    busy = 0 if at in (200, 201) else random.randrange(100, 140)
    volume.add(sorted(random.randrange(start, start + 2 * HOUR) for _ in range(busy)))
    return volume.close(start + 2 * HOUR, lambda time: 1)


def _age(age: IndexAge, at: int, random: Random) -> Any:
    now = at * HOUR
    if random.random() < 0.1:
        age.changed(now, "index_updated", "")
    age.add([trace(now)], [PROFILES[min(at // 40, 8)]])
    return age.close(now)


def _budgets(budgets: UserBudgets, at: int, random: Random) -> Any:
    return budgets.add([trace(at * HOUR, f"t{at}", f"u{random.randrange(3)}", tokens=random.randrange(900))])


def _buckets(buckets: Buckets, at: int, random: Random) -> Any:
    buckets.extend([(at * 3 * MINUTE, random.random(), f"t{at}")])
    ends = list(buckets.close((at - 3) * 3 * MINUTE))
    return ends, [(buckets.window(end, HOUR), buckets.onset(end, HOUR, 0.5)) for end, _ in ends]


def _latch(latch: Latch, at: int, random: Random) -> Any:
    value = random.random()
    return latch.ask(at, value > 0.7, value < 0.2)


class Subject(NamedTuple):
    make: Callable[[], Any]
    step: Callable[[Any, int, Random], Any]


SUBJECTS = {
    "watch": Subject(fresh, _watch),
    "volume": Subject(lambda: Volume(("a", "p", "r"), 4.0), _volume),
    "volume baseline": Subject(
        lambda: VolumeBaseline(1.0), lambda s, at, r: s.learn(at * 30 * MINUTE, r.randrange(9), 1)
    ),
    "count e-SR": Subject(
        lambda: CountESR(300.0), lambda s, at, r: (s.update(r.random(), r.random()), s.change_point())
    ),
    "index age": Subject(lambda: IndexAge(MaxAge(6 * HOUR)), _age),
    "user budgets": Subject(lambda: UserBudgets(UserBudget(3_000, False)), _budgets),
    "heavy hitters": Subject(
        lambda: HeavyHitters(5), lambda s, at, r: s.add(f"u{r.randrange(12)}", float(r.randrange(1, 9)))
    ),
    "buckets": Subject(lambda: Buckets(2 * HOUR), _buckets),
    "latch": Subject(lambda: Latch(20), _latch),
}
STEPS = 300


@pytest.mark.parametrize("name", SUBJECTS)
@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 2**32), stops=st.sets(st.integers(0, STEPS - 1), max_size=4))
def test_restored_at_any_moment_it_goes_on_alike(name: str, seed: int, stops: set[int]) -> None:
    make, step = SUBJECTS[name]
    whole, pieces = make(), make()
    one, other = Random(seed), Random(seed)
    for at in range(STEPS):
        if at in stops:
            stored = orjson.dumps(pieces.snapshot())
            pieces = make()
            pieces.restore(orjson.loads(stored))
            assert orjson.dumps(pieces.snapshot()) == stored
        assert step(whole, at, one) == step(pieces, at, other), at
    assert orjson.dumps(whole.snapshot()) == orjson.dumps(pieces.snapshot())


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_snapshot_is_a_copy(name: str) -> None:
    make, step = SUBJECTS[name]
    subject, random = make(), Random(1)
    for at in range(100):
        step(subject, at, random)
    snapshot = subject.snapshot()
    stored = orjson.dumps(snapshot)
    for at in range(100, 200):
        step(subject, at, random)
    assert orjson.dumps(snapshot) == stored


@settings(deadline=None, max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_how_it_is_fed_and_when_it_is_asked_changes_nothing(seed: int) -> None:
    """Asked once at the end, or at any moments in between: the same alarms, the same state."""
    random = Random(seed)
    moments = [moment(at, random) for at in range(STEPS)]
    end = STEPS * 30 * MINUTE

    def run(cuts: list[int]) -> tuple[list[Told], bytes]:
        watch = fresh()
        told: list[Told] = []
        asked: list[Told] = []
        for start, stop in zip([0, *cuts], [*cuts, end], strict=True):
            first, last = start // (30 * MINUTE), min(stop // (30 * MINUTE), STEPS - 1)
            for of in moments[first : last + 1]:
                told += feed(watch, of, start, stop)
            asked += [signal for _, signal in ask(watch, stop - 1)]
        signals = sorted([*told, *asked], key=lambda signal: (signal.detected_at, signal.rule, signal.id))
        return signals, orjson.dumps(watch.snapshot())

    at_once = run([])
    alarms = at_once[0]
    assert {signal.rule for signal in alarms} == {rule.name for rule in RULES} - {"default"}
    assert len({signal.id for signal in alarms}) == len(alarms)
    fired = [signal for signal in alarms if isinstance(signal, Signal)]
    assert {one.signal for one in fired if one.scorer} == SCORED & {one.signal for one in fired}
    assert run(sorted({random.randrange(1, end) for _ in range(25)})) == at_once


def test_a_rule_that_says_something_else_now_starts_from_nothing() -> None:
    watch, random = fresh(), Random(3)
    for at in range(20):
        _watch(watch, at, random)
    stored = orjson.loads(orjson.dumps(watch.snapshot()))
    other = (Rule("hour", SignalName.SPEND, Severity.P3, declared=Threshold(4.0, False, HOUR)), *RULES[:5])
    changed = DeclaredWatch("app", "prod", "chat", other)
    changed.restore(stored)
    kept = changed.snapshot()["rules"]
    assert kept["slow"] == stored["rules"]["slow"]
    assert kept["hour"][1]["buckets"]["first"] is None
    assert "traffic" not in kept


def test_a_segment_without_such_a_rule_is_not_asked() -> None:
    assert not DeclaredWatch("app", "prod", "chat", RULES[-1:])
    assert fresh()


def test_scores_of_two_scorers_are_never_summed() -> None:
    watch = DeclaredWatch("app", "prod", "chat", RULES[2:3])
    for at in range(30):
        watch.on_score(at * MINUTE, f"t{at}", "app", 0.1, True)
    watch.on_score(30 * MINUTE, "t30", "judge", 0.9, False)
    for at in range(31, 60):
        watch.on_score(at * MINUTE, f"t{at}", "app", 0.1, True)
    assert watch.close_scores(HOUR) == []
    assert watch.scorer == "judge"
    assert watch.snapshot()["rules"]["score"][1]["buckets"]["closed"][1] == [1]


def test_its_state_is_of_a_stated_size() -> None:
    watch, random = fresh(), Random(4)
    for at in range(STEPS):
        _watch(watch, at, random)
    sizes = {name: len(orjson.dumps(state)) for name, (_, state) in watch.snapshot()["rules"].items()}
    assert max(sizes[name] for name in ("slow", "handed", "ground", "day")) < 14 * 1024
    assert sizes["traffic"] < 10 * 1024
    assert sizes["hour"] < 1_024
    assert sizes["index"] < 1_024


def test_the_first_token_is_watched_learned_or_declared() -> None:
    """A signal that nobody feeds would be a rule that never fires."""
    random = Random(11)
    learned = Rule("first", SignalName.TIME_TO_FIRST_TOKEN, Severity.P3)
    declared = Rule("soon", SignalName.TIME_TO_FIRST_TOKEN, Severity.P2, declared=Slo(0.9, above=1_000.0))
    segment = SegmentMonitors("app", "prod", "chat", (learned,))
    watch = DeclaredWatch("app", "prod", "chat", (declared,))
    rows = [
        trace(at * MINUTE, f"t{at}")._replace(
            time_to_first_token_ms=random.uniform(200, 400) * (10 if at > 6_000 else 1)
        )
        for at in range(6_400)
    ]
    profiles = [PROFILES[0]] * len(rows)
    found = segment.on_traces(rows, profiles, 1).signals
    assert 6_000 < found[0][0] < 6_040
    watch.on_traces(rows, profiles)
    first = watch.close(6_400 * MINUTE, 0, lambda time: 1)[0][1]
    assert isinstance(first, Signal)
    assert first.signal is SignalName.SLOW_START
    assert first.reason.startswith(
        "60.8% of 360 requests with time to first token above 1,000 ms in the last 6 h"
    )


def test_every_signal_is_fed_by_somebody() -> None:
    """Each signal that a rule may name has a reader: no rule is accepted that can never fire."""
    read = {*READS, *RATES, *AMOUNTS, *ABOVE.values()}
    scores = {SignalName.FAITHFULNESS, SignalName.GROUNDED, SignalName.UNSCORED}
    others = {
        SignalName.SERVED_MODEL,
        SignalName.COST_PER_SUCCESS,
        SignalName.INDEX_AGE,
        SignalName.USER_BUDGET,
    }
    assert set(SignalName) == read | scores | others
