"""Healthy streams of every kind through the shipped detectors, learning included, against the bound n / A.

``allowed`` is the mean over the streams of the sum over their units of 1 / threshold: how many false
alarms the bound allows. What is compared with it is the share of streams with an alarm, which can only
be smaller than the number of alarms, with its 95 % interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.detectors.protocol import in_parallel
from benchmarks.detectors.streams import (
    AMOUNTS,
    Array,
    Stream,
    badness,
    conversations,
    daily_badness,
    daily_rate,
    log_costs,
    rate,
    times,
)
from benchmarks.detectors.watchers import shipped
from detectors.baseline import ArmingPolicy, Stage
from detectors.bounded import BoundedDetector
from detectors.cost import CostDetector
from detectors.detector import Detector
from detectors.esr import fraction_bets, rate_bets
from detectors.rules import Rule
from detectors.unit import Unit
from schemas.observation import Flag, ObservationBatch, Profile, Source, TraceRow
from schemas.signal import Severity, Signal, SignalName
from streams.steps.ledger import Ledger, MemoryLedger
from streams.steps.owner import Owner, OwnerPolicy

PER_DAY = 10_000.0
DAYS = 8
CLUSTERED_PER_DAY, CLUSTERED_DAYS = 500.0, 14.0
SHORT, LONG = 5_000, 50_000
THRESHOLD = 50_000.0
BUDGET_WEEKS = 4.0
HEALTHY = Profile("prod", "chat")
UNPRICED = 3
INTERVAL = 1.96


class Outcome(NamedTuple):
    """One healthy stream: whether there was a false alarm, and how many the bound allowed in the mean."""

    alarmed: bool
    allowed: float


class NullCase(NamedTuple):
    """``run`` takes a seed and gives an outcome per line of ``lines``; ``claimed`` says which of them docs
    promise. The others show why the rule is as it is."""

    name: str
    run: Callable[[int], Sequence[Outcome]]
    lines: tuple[str, ...]
    claimed: tuple[bool, ...]
    part: float = 1.0


class Verdict(NamedTuple):
    line: str
    streams: int
    share: float
    low: float
    high: float
    allowed: float
    claimed: bool

    @property
    def holds(self) -> bool:
        """Whether the bound is within reach of the interval."""
        return self.low <= self.allowed


def on_reference(family: str, reference: int, seed: int) -> Sequence[Outcome]:
    """A threshold of 50,000 on the baseline of so many units: P(alarm) within 5,000 units, at most a tenth,
    and within 50,000, at most 1 - 1/e at a run length of 50,000."""
    rng = np.random.default_rng(seed)
    n = reference + LONG
    ys = badness(rng, n, 0.88) if family == "faithfulness" else rate(rng, n, 0.02)
    watcher = shipped(Stream(family, ys, times(rng, n), reference))
    at = watcher.first(reference, n, THRESHOLD)
    soon = at is not None and at < reference + SHORT
    return Outcome(soon, SHORT / THRESHOLD), Outcome(at is not None, 1.0 - math.exp(-LONG / THRESHOLD))


def on_a_day(family: str, seed: int) -> Sequence[Outcome]:
    """Eight days of a signal with a daily cycle, 10,000 units a day: before the second pin, and after it."""
    rng = np.random.default_rng(seed)
    at = times(rng, int(DAYS * PER_DAY), PER_DAY)
    detector: Detector
    if family == "cost":
        ys = np.exp(log_costs(rng, at))
        detector = CostDetector(BUDGET_WEEKS, ArmingPolicy())
    elif family == "faithfulness":
        ys = daily_badness(rng, at)
        detector = BoundedDetector(fraction_bets, BUDGET_WEEKS, ArmingPolicy(), 0.03)
    else:
        ys = daily_rate(rng, at)
        detector = BoundedDetector(rate_bets, BUDGET_WEEKS, ArmingPolicy(), 0.005)
    return _learning(detector, _units(at, ys, "t"))


def of_few_values(kind: str, seed: int) -> Sequence[Outcome]:
    """Eight days of amounts with few values, or many free ones: 10,000 a day."""
    rng = np.random.default_rng(seed)
    at = times(rng, int(DAYS * PER_DAY), PER_DAY)
    # The sample is drawn by the hashes of ids: others in each stream.
    return _learning(
        CostDetector(BUDGET_WEEKS, ArmingPolicy()), _units(at, AMOUNTS[kind](rng, at), f"{seed}-")
    )


def _units(at: Array, ys: Array, prefix: str) -> list[Unit]:
    moments = (at * 1000).astype(int).tolist()
    return [
        (moment, y, f"{prefix}{place}", HEALTHY, None)
        for place, (moment, y) in enumerate(zip(moments, ys.tolist(), strict=True))
    ]


def _learning(detector: Detector, units: list[Unit]) -> Sequence[Outcome]:
    """Provisional and pinned; both restart after an alarm, and go on learning."""
    alarms, allowed = dict.fromkeys(Stage, 0), dict.fromkeys(Stage, 0.0)
    done = 0
    while done < len(units):
        pin = detector.pin
        reached, fired = detector.run(units, done, min(done + 5_000, len(units)), 1, True)
        if pin is not None:
            alarms[pin.stage] += fired
            allowed[pin.stage] += (reached - done) / pin.threshold
        if fired:
            detector.reset()
        detector.outliers.clear()
        done = reached
    return [Outcome(alarms[stage] > 0, allowed[stage]) for stage in (Stage.PROVISIONAL, Stage.PINNED)]


def clustered(seed: int) -> Sequence[Outcome]:
    """Two weeks of conversations through the owner's own steps, as one unit a conversation; and the same
    turns without their conversations, so that each is a unit."""
    turns = conversations(
        np.random.default_rng(seed), int(CLUSTERED_PER_DAY * CLUSTERED_DAYS), CLUSTERED_PER_DAY
    )
    budget = CLUSTERED_DAYS / (7.0 * BUDGET_WEEKS)
    by_conversation = _pages(
        turns.at.tolist(), turns.score.tolist(), turns.broken.tolist(), turns.conversation
    )
    by_turn = _pages(turns.at.tolist(), turns.score.tolist(), turns.broken.tolist(), None)
    signals = (SignalName.FAITHFULNESS, SignalName.BROKEN_OUTPUT)
    return [Outcome(signal in found, budget) for found in (by_conversation, by_turn) for signal in signals]


def _pages(
    at: Sequence[float], scores: Sequence[float], broken: Sequence[float], names: Sequence[int] | None
) -> set[SignalName]:
    """The signals of which the owner tells an alarm."""
    rules = (
        Rule("faithfulness", SignalName.FAITHFULNESS, Severity.P2, budget_weeks=BUDGET_WEEKS),
        Rule("broken", SignalName.BROKEN_OUTPUT, Severity.P2, budget_weeks=BUDGET_WEEKS),
    )
    owner = Owner(0, OwnerPolicy(rules=rules), Ledger(MemoryLedger()))
    rows = [
        TraceRow(
            int(moment * 1000),
            f"t{turn}",
            1,
            0,
            turn,
            0,
            0,
            None if names is None else f"c{names[turn]}",
            None,
            Flag.EMPTY_ANSWER.value if broken[turn] else 0,
            None,
            UNPRICED,
            None,
            None,
            None,
            scores[turn],
        )
        for turn, moment in enumerate(at)
    ]
    owner.absorb(ObservationBatch("app", [Source("s", "traces", 0)], [HEALTHY], list(rows)))
    owner.finish(rows[-1].time + owner.policy.conversation_ms + owner.policy.score_wait_ms)
    return {record.signal for record in owner.outputs.signals if isinstance(record, Signal)}


def _reference(family: str, units: int) -> NullCase:
    name = f"{family}, reference of {units:,}"
    return NullCase(
        name,
        partial(on_reference, family, units),
        ("within 5,000 units", "within 50,000 units"),
        (True, True),
    )


def _day(family: str) -> NullCase:
    # A flat baseline of a signal that has a cycle promises nothing (docs/detectors.md, "When it misleads");
    # cost forgives its usual swing, so there both hold.
    provisional = family == "cost"
    return NullCase(
        f"{family} with a daily cycle, eight days",
        partial(on_a_day, family),
        ("provisional baseline", "pinned baseline"),
        (provisional, True),
        0.5,
    )


CASES = (
    *[_reference(family, units) for family in ("faithfulness", "rate") for units in (200, 1_000)],
    *[_day(family) for family in ("faithfulness", "rate", "cost")],
    *[
        NullCase(
            f"amounts, {kind}, eight days",
            partial(of_few_values, kind),
            ("provisional baseline", "pinned baseline"),
            (True, True),
            0.4,
        )
        for kind in AMOUNTS
    ],
    NullCase(
        "clustered conversations, two weeks",
        clustered,
        (
            "faithfulness by conversation",
            "rate by conversation",
            "faithfulness, every turn",
            "rate, every turn",
        ),
        (True, True, False, False),
        0.3,
    ),
)


def _run(task: tuple[int, int]) -> Sequence[Outcome]:
    case, seed = task
    return CASES[case].run(seed)


def nulls(streams: int, seed: int, workers: int) -> list[Verdict]:
    """Every case on so many streams, or on its part of them."""
    counts = [max(round(streams * case.part), 1) for case in CASES]
    tasks = [(case, seed + r) for case, count in enumerate(counts) for r in range(count)]
    outcomes = in_parallel(_run, tasks, workers)
    verdicts = []
    for at, case in enumerate(CASES):
        mine = [found for (owner, _), found in zip(tasks, outcomes, strict=True) if owner == at]
        for line, claimed, of_line in zip(case.lines, case.claimed, zip(*mine, strict=True), strict=True):
            share = sum([one.alarmed for one in of_line]) / len(of_line)
            low, high = wilson_interval(share, len(of_line))
            allowed = sum([one.allowed for one in of_line]) / len(of_line)
            verdicts.append(Verdict(f"{case.name}: {line}", len(of_line), share, low, high, allowed, claimed))
    return verdicts


def wilson_interval(share: float, n: int) -> tuple[float, float]:
    """95 % score interval of a share of ``n`` (Wilson 1927, JASA 22:209).

    >>> low, high = wilson_interval(0.0, 100)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.037)
    """
    z = INTERVAL * INTERVAL / n
    middle = (share + z / 2.0) / (1.0 + z)
    half = INTERVAL * math.sqrt(share * (1.0 - share) / n + z / (4.0 * n)) / (1.0 + z)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def table(verdicts: Sequence[Verdict]) -> str:
    lines = ["| healthy streams | streams | alarmed [95 %] | allowed | |", "|---|---|---|---|---|"]
    for one in verdicts:
        said = ("holds" if one.holds else "BROKEN") if one.claimed else "not claimed"
        lines.append(
            f"| {one.line} | {one.streams} | {one.share:.3f} [{one.low:.3f}, {one.high:.3f}]"
            f" | {one.allowed:.3f} | {said} |"
        )
    return "\n".join(lines)
