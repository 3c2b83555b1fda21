"""One contract for everything that keeps state: restored from JSON at any moment, it goes on alike.

A new class joins with one line in ``SUBJECTS``: how to make it, and how to feed it one step.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alarm import Alarm
from detectors.baseline import ArmingPolicy, Baseline
from detectors.bottom_k import BottomK
from detectors.bounded import BoundedDetector
from detectors.changes import VersionWatch
from detectors.cost import CostDetector
from detectors.cost_normal import normal
from detectors.cost_reference import CostReference, log_cost
from detectors.detector import Detector
from detectors.esr import MixtureESR, rate_bets
from detectors.log_histogram import LogHistogram
from detectors.monitor import Monitor
from detectors.price_source import PriceSource
from detectors.rate_windows import RateWindows
from detectors.rule_edits import OpenAlarms
from detectors.rules import DEFAULT_RULES
from detectors.segment import SegmentMonitors
from detectors.windows import Closed, Windows
from schemas.observation import PriceStatus, Profile, TraceRow
from schemas.signal import Recovery, Signal, SignalName
from tests.detectors.streams import ESCALATED, badness, dollars, on_conversation, on_score, on_trace, rate

QUICK = ArmingPolicy(
    provisional_units=40, full_units=150, full_span_ms=2 * 3_600_000, slow_units=100, least_threshold=30.0
)
"""Arms after 40 units and pins after 150, so that a short stream passes every stage."""
STEPS = 400
PROFILES = [
    Profile("prod", "chat", model="m", served_model=f"m-{n}", versions=(("k", str(n)),)) for n in range(9)
]


class Remembering(Monitor):
    """A monitor that keeps its own memory of units, as a segment does for it."""

    def __init__(self, detector: Detector) -> None:
        super().__init__(DEFAULT_RULES[0], detector)

    def restore(self, *parts: Any) -> None:
        baseline, state, good, (count, remembered) = parts
        self.track.memory.restore(count, remembered)
        super().restore(baseline, state, good)


class Subject(NamedTuple):
    make: Callable[[], Any]
    step: Callable[[Any, int, Random], Any]


def _score(y: float, at: int) -> float:
    return min(1.0, y + 0.5) if 300 < at <= 360 else y


def _segment(segment: SegmentMonitors, at: int, random: Random) -> Any:
    time, trace, user = at * 60_000, f"t{at}", f"u{random.randrange(4)}"
    profile = PROFILES[min(random.randrange(2) + at // 150 * 2, 8)]
    price = PriceStatus.REPORTED if at % 7 == 0 else PriceStatus.PRICED
    y = _score(badness(random, 0.1), at)
    if at == 350:
        segment.on_change(time, "prompt_version", None, "v9")
    return (
        on_trace(segment, time, trace, profile, user, dollars(random, 3.0 if at > 250 else 1.0), price, 2),
        on_score(segment, time, trace, profile, user, "app" if at < 9 else "ragas_faithfulness", 1.0 - y, 2),
        on_conversation(segment, time, trace, profile, user, rate(random, 0.3 if at > 330 else 0.05) > 0, 2),
        segment.settle(),
    )


def _monitor(monitor: Monitor, at: int, random: Random) -> Any:
    if at == 380:
        monitor.close()
    y = _score(badness(random, 0.1), at)
    alarm = monitor.update(at * 60_000, f"t{at}", y, PROFILES[at // 300], None, 1, ())
    # What is written down names only the traces that examples are taken from.
    if not isinstance(alarm, Alarm):
        return alarm
    units = [[unit[:2] for unit in units] for units in (alarm.after, alarm.before)]
    return [*alarm._replace(after=[], before=[]), *units]


def _windows(windows: Windows, at: int, random: Random) -> Any:
    time, signal = at * 1_000 - random.randrange(60_000), random.choice((SignalName.COST, SignalName.TOKENS))
    kept = windows.add(time, signal, random.random(), late=at % 5 == 0, low=at % 3 == 0)
    # Its owner moves the mark; a segment that nothing has touched is not written down for that.
    stats = windows.close(at * 1_000 - 20_000) if at % 10 == 0 else None
    windows.closed.at = at // 10 * 10_000 - 20_000
    return kept, stats, windows.collect() if at % 7 == 0 else None


def _histogram(histogram: LogHistogram, at: int, random: Random) -> Any:
    histogram.extend([dollars(random) for _ in range(at % 3)])
    return histogram.n, histogram.n and histogram.quantile(0.95)


def _sample(sample: BottomK, at: int, random: Random) -> Any:
    sample.add(random.randrange(2**40), random.randrange(-100, 100), at)
    if at % 90 == 0:
        sample.keep(lambda added: added < at - 10)
    return sample.entries()


def _make_windows(closed: Closed) -> Windows:
    signals = {SignalName.COST: True, SignalName.TOKENS: False}
    return Windows(("a", "prod", "r"), signals, closed, 10_000, 40_000)


def _watch(watch: VersionWatch, at: int, random: Random) -> Any:
    found = watch.observe(at, f"t{at}", PROFILES[min(at // 40, 7) + random.randrange(2)])
    return found, list(watch.recent)


def _reference(reference: CostReference, at: int, random: Random) -> Any:
    cost = dollars(random) if random.random() < 0.9 else 0.0
    reference.learn(at * 600_000, f"t{at}", cost, log_cost(cost))
    found = normal(reference, True, 1.0) if at % 50 == 49 else None
    return reference.mean, reference.residuals(())[:3], found


def _open_alarms(alarms: OpenAlarms, at: int, random: Random) -> Any:
    rule, record = random.choice(DEFAULT_RULES), Recovery if random.random() < 0.3 else Signal
    fields: Any = {"app": "a", "environment": "p", "route": "r", "signal": rule.signal, "rule": rule.name}
    fields |= {"id": f"{at}", "detected_at": at, "value": random.random(), "baseline": 0.1, "n": 9}
    said: Any = record.model_construct(**fields)
    alarms.note([said])
    return sorted(alarms.snapshot())


def _rate_windows(windows: RateWindows, at: int, random: Random) -> Any:
    windows.extend([(at * 1_000, random.choice((0, 0, 1, 1 << 20)))])
    return windows.close(at * 1_000 - 20_000) if at % 10 == 0 else None


SUBJECTS = {
    "rate windows": Subject(
        lambda: RateWindows("app", "prod", "chat", 30_000, {SignalName.ESCALATION}), _rate_windows
    ),
    "esr": Subject(
        lambda: MixtureESR(0.05, 0.05, rate_bets(0.05), 500.0), lambda s, at, r: s.update(rate(r, 0.05))
    ),
    "baseline": Subject(
        lambda: Baseline(1.0, QUICK, 0.03), lambda s, at, r: s.learn(at * 60_000, r.random(), 1)
    ),
    "bounded": Subject(
        lambda: BoundedDetector(rate_bets, 1.0, QUICK),
        lambda s, at, r: s.update(at * 60_000, "", rate(r, 0.05), 1, True),
    ),
    "cost": Subject(
        lambda: CostDetector(1.0, QUICK),
        lambda s, at, r: (s.update(at * 60_000, f"t{at}", dollars(r), 1, True), list(s.outliers)),
    ),
    "cost reference": Subject(CostReference, _reference),
    "sample": Subject(lambda: BottomK(20), _sample),
    "price source": Subject(
        PriceSource, lambda s, at, r: s.admit(2 if r.random() < at / 300 else 0, at > 50)
    ),
    "open alarms": Subject(lambda: OpenAlarms(("a", "p", "r"), DEFAULT_RULES), _open_alarms),
    "version watch": Subject(VersionWatch, _watch),
    "windows": Subject(lambda: _make_windows(Closed()), _windows),
    "log histogram": Subject(lambda: LogHistogram(40), _histogram),
    "monitor": Subject(lambda: Remembering(BoundedDetector(rate_bets, 1.0, QUICK)), _monitor),
    "segment": Subject(lambda: SegmentMonitors("app", "prod", "chat", policy=QUICK), _segment),
}


def written(subject: Any) -> list[Any]:
    """What ``restore`` takes: the snapshot, and before it the baselines of what has some."""
    if isinstance(subject, SegmentMonitors):
        monitors = subject.monitors
        for monitor in monitors:
            monitor.track.memory._written = 0  # all of it, not what has changed
        apart = {part: data for part, (_, made) in monitors.apart().items() if (data := made()) is not None}
        return [subject.baselines(), subject.snapshot(), monitors.remembered(), apart]
    if isinstance(subject, Monitor):
        track = subject.track
        track.memory._written = 0
        memory = [track.memory.count, track.memory.write([track.read])]
        return [subject.detector.baseline(), subject.snapshot(), track.good(), memory]
    if isinstance(subject, BoundedDetector | CostDetector):
        learned = {str(at): subject.learned(at) for at, version in enumerate(subject.learning) if version}
        return [subject.baseline(), subject.snapshot(), learned]
    if isinstance(subject, CostReference):
        return [subject.snapshot(), written(subject.sample)[1]]
    if isinstance(subject, BottomK):
        parts = {str(at): subject.part(at) for at, version in enumerate(subject.versions) if version}
        return [subject.limit, parts]
    if isinstance(subject, Windows):
        return [subject.snapshot(), subject.parts()]
    if isinstance(subject, LogHistogram):
        return [subject.state()]
    if isinstance(subject, Baseline):
        return [subject.pin and subject.pin[:], subject.snapshot()]
    return [subject.snapshot()]


def _numbered(part: Any) -> Any:
    """Parts of a sample by number, as their owner reads them from the entries' names."""
    if isinstance(part, dict) and part and all(name.isdigit() for name in part):
        return {int(name): data for name, data in part.items()}
    return part


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_how_units_are_split_over_calls_changes_nothing(seed: int) -> None:
    """Alarms, outliers and state alike, over learning, arming, changes of every kind and open alarms."""
    rng = Random(seed)
    rows, profiles, units, talks = [], [], [], []
    for at in range(900):
        time, trace, user = at * 60_000, f"t{at}", f"u{rng.randrange(4)}"
        profile = PROFILES[min(rng.randrange(2) + at // 300 * 2, 8)]
        price = PriceStatus.REPORTED if at % 7 == 0 or 500 < at < 800 else PriceStatus.PRICED
        cost = None if at % 11 == 0 else dollars(rng, 90.0 if at % 97 == 0 else 3.0 if at > 450 else 1.0)
        row = TraceRow(time, trace, 1, 0, 0, 0, 0, None, user, 0, cost, price, None, None, None, None)
        rows.append(row)
        profiles.append(profile)
        units.append((time, 1.0 - _score(badness(rng, 0.1), at), trace, profile, user))
        escalated = rate(rng, 0.3 if at > 330 else 0.05) > 0
        talks.append((time, ESCALATED if escalated else 0, trace, profile, user))

    def run(size: Callable[[], int]) -> tuple[list[Signal | Recovery], list[int], bytes]:
        segment = SegmentMonitors("app", "prod", "chat", policy=QUICK)
        signals: list[Signal | Recovery] = []
        outliers: list[int] = []
        at = 0
        while at < len(rows):
            end = at + size()
            verdict = segment.on_traces(rows[at:end], profiles[at:end], 2)
            signals += [signal for _, signal in verdict.signals]
            outliers += [at + place for place in verdict.outliers]
            signals += segment.on_scores(units[at:end], "app", 2)
            signals += segment.on_conversations(talks[at:end], 0, 2)
            signals += [said for _, said in segment.settle()]
            at = end
        ordered = sorted(signals, key=lambda signal: (signal.rule, signal.detected_at))
        return ordered, outliers, orjson.dumps(written(segment))

    one_by_one = run(lambda: 1)
    assert {type(signal) for signal in one_by_one[0]} == {Signal, Recovery}
    assert one_by_one[1]
    assert run(lambda: rng.choice((1, 2, 13, 90, 400))) == one_by_one
    assert run(lambda: 900) == one_by_one


@pytest.mark.parametrize("name", SUBJECTS)
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 2**32), stops=st.sets(st.integers(0, STEPS - 1), max_size=4))
def test_restored_at_any_moment_it_goes_on_alike(name: str, seed: int, stops: set[int]) -> None:
    make, step = SUBJECTS[name]
    whole, pieces = make(), make()
    one, other = Random(seed), Random(seed)
    for at in range(STEPS):
        if at in stops:
            stored = [orjson.dumps(part) for part in written(pieces)]
            before, pieces = pieces, make()
            if isinstance(before, Windows):
                pieces.closed.at = before.closed.at
            pieces.restore(*[_numbered(orjson.loads(part)) for part in stored])
            assert [orjson.dumps(part) for part in written(pieces)] == stored
        assert step(whole, at, one) == step(pieces, at, other), at
    assert orjson.dumps(written(whole)) == orjson.dumps(written(pieces))


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_snapshot_is_a_copy(name: str) -> None:
    make, step = SUBJECTS[name]
    subject, random = make(), Random(1)
    for at in range(120):
        step(subject, at, random)
    snapshot = written(subject)
    stored = orjson.dumps(snapshot)
    for at in range(120, 240):
        step(subject, at, random)
    assert orjson.dumps(snapshot) == stored
